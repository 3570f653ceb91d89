"""Global options: before the noun and after the verb, from flags, variables and config.toml."""

from __future__ import annotations

import pytest

from storectl.cli.settings import duration_secs, settle
from storectl.config import Config, Interface, Transfer
from storectl.errors import InvalidInput

from .conftest import Here


@pytest.fixture(autouse=True)
def one_dataset(here: Here) -> None:
    assert here("dataset", "create", "prices").code == 0


@pytest.mark.parametrize(
    "args",
    [
        ["--json=name", "dataset", "ls"],
        ["dataset", "--json=name", "ls"],
        ["dataset", "ls", "--json=name"],
        ["-q", "dataset", "ls", "--json=name"],
    ],
)
def test_a_global_option_stands_before_the_noun_or_after_the_verb(
    here: Here, args: list[str]
) -> None:
    done = here(*args)

    assert done.json() == {"items": [{"name": "prices"}], "total": 1, "truncated": False}


def test_json_without_a_value_takes_no_word_from_the_command(here: Here) -> None:
    before = here("--json", "dataset", "ls").json()
    between = here("dataset", "ls", "--json", "pri*").json()

    assert [one["name"] for one in before["items"]] == ["prices"]
    assert [one["name"] for one in between["items"]] == ["prices"]


def test_json_with_a_question_mark_names_the_fields(here: Here) -> None:
    done = here("dataset", "ls", "--json=?")

    assert {"id", "name", "itemCount", "modifiedAt", "size"} <= set(done.lines())
    assert "urlSigningSecretKey" not in done.lines()


def test_an_unknown_field_is_named_with_those_there_are(here: Here) -> None:
    done = here("dataset", "ls", "--json=nam")

    assert (done.code, done.out) == (2, "")
    assert "no field 'nam'" in done.err
    assert "itemCount" in done.err


def test_a_json_flag_that_is_the_value_of_another_option_stays_one(here: Here) -> None:
    done = here("dataset", "ls", "--older-than", "--json")

    assert done.code == 2
    assert "not '--json'" in done.err


def test_two_forms_exclude_each_other(here: Here) -> None:
    done = here("dataset", "ls", "--csv", "--tsv")

    assert done.code == 2
    assert "--csv and --tsv exclude each other" in done.err


def test_dry_run_is_refused_where_it_means_nothing(here: Here) -> None:
    done = here("-n", "dataset", "ls")

    assert done.code == 2
    assert "storectl dataset ls has no --dry-run" in done.err


@pytest.mark.parametrize(
    "args", [["-n", "dataset", "rm", "prices"], ["dataset", "rm", "prices", "-n"]]
)
def test_dry_run_is_obeyed_wherever_it_stands(here: Here, args: list[str]) -> None:
    done = here(*args)

    assert done.code == 0
    assert here("dataset", "info", "prices").code == 0


def test_a_variable_chooses_the_form_and_a_flag_overrides_it(here: Here) -> None:
    env = {"STORECTL_FORMAT": "jsonl"}

    assert here("dataset", "ls", env=env).out.startswith("{")
    assert here("dataset", "ls", "--csv", env=env).out.startswith("id,name")


@pytest.mark.parametrize(
    ("flags", "environ", "found"),
    [
        ({}, {}, "never"),
        ({}, {"FORCE_COLOR": "1"}, "always"),
        ({}, {"CLICOLOR_FORCE": "0"}, "never"),
        ({}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, "never"),
        ({"color": "always"}, {"NO_COLOR": "1"}, "always"),
        ({}, {"TERM": "dumb"}, "never"),
    ],
)
def test_colour_goes_by_flag_then_no_color_then_force_then_config(
    flags: dict[str, str], environ: dict[str, str], found: str
) -> None:
    config = Config(ui=Interface(color="never"))

    assert settle(flags, environ, config).color == found


def test_numbers_come_from_flag_then_variable_then_config() -> None:
    config = Config(transfer=Transfer(retries=1, timeout="2m"))

    built_in = settle({}, {}, Config())
    configured = settle({}, {}, config)
    variable = settle({}, {"STORECTL_RETRIES": "2", "STORECTL_TIMEOUT": "500ms"}, config)
    flag = settle({"retries": "3"}, {"STORECTL_RETRIES": "2"}, config)

    assert (built_in.retries, built_in.timeout_secs) == (8, 60)
    assert (configured.retries, configured.timeout_secs) == (1, 120)
    assert (variable.retries, variable.timeout_secs) == (2, 0.5)
    assert flag.retries == 3


def test_what_limits_a_transfer_comes_from_flag_then_variable_then_config() -> None:
    config = Config(transfer=Transfer(jobs=2, rate=15, bwlimit="1.5M"))
    environ = {"STORECTL_JOBS": "3", "STORECTL_RATE": "50%", "STORECTL_BWLIMIT": "800"}

    built_in = settle({}, {}, Config())
    configured = settle({}, {}, config)
    variable = settle({}, environ, config)
    flag = settle({"jobs": "4", "rate": "auto", "bwlimit": "2k"}, environ, config)

    assert (built_in.jobs, built_in.rate, built_in.part, built_in.bytes_a_sec) == (8, None, 1, None)
    assert (configured.jobs, configured.rate, configured.part) == (2, 15, 1)
    assert configured.bytes_a_sec == 1_500_000
    assert (variable.jobs, variable.rate, variable.part) == (3, None, 0.5)
    assert variable.bytes_a_sec == 800
    assert (flag.jobs, flag.rate, flag.part, flag.bytes_a_sec) == (4, None, 1, 2000)


def test_a_store_of_this_process_has_more_writers_unless_the_jobs_are_told() -> None:
    usual = settle({}, {}, Config())
    configured = settle({}, {}, Config(transfer=Transfer(jobs=1)))
    flag = settle({"jobs": "1"}, {}, Config())

    assert (usual.jobs, usual.writers) == (8, 32)
    assert (configured.jobs, configured.writers) == (1, 1)
    assert (flag.jobs, flag.writers) == (1, 1)


@pytest.mark.parametrize(
    ("flags", "environ", "config", "words"),
    [
        ({"color": "red"}, {}, Config(), "--color must be one of auto, always, never, not 'red'"),
        ({}, {"STORECTL_PROGRESS": "x"}, Config(), "STORECTL_PROGRESS must be one of"),
        ({}, {}, Config(ui=Interface(progress="x")), "progress in config.toml must be one of"),
        ({"retries": "-1"}, {}, Config(), "--retries must be a whole number, not '-1'"),
        ({"jobs": "0"}, {}, Config(), "--jobs must be between 1 and 256, not 0"),
        ({"jobs": "many"}, {}, Config(), "--jobs must be a whole number, not 'many'"),
        ({}, {"STORECTL_RATE": "0"}, Config(), "STORECTL_RATE must be auto, a number such as 20"),
        ({"rate": "101%"}, {}, Config(), "--rate must be auto, .*not '101%'"),
        ({"rate": "fast"}, {}, Config(), "--rate must be auto"),
        ({"bwlimit": "0"}, {}, Config(), "--bwlimit must be a size such as 500K or 10M"),
        ({"bwlimit": "10X"}, {}, Config(), "--bwlimit must be a size"),
        ({}, {}, Config(transfer=Transfer(bwlimit="-1")), "bwlimit in config.toml must be a size"),
        ({}, {}, Config(transfer=Transfer(jobs=0)), "jobs in config.toml must be between 1"),
        ({"timeout": "soon"}, {}, Config(), "--timeout must be a time such as 60s"),
        ({}, {"STORECTL_FORMAT": "yaml"}, Config(), "STORECTL_FORMAT must be one of json"),
    ],
)
def test_a_wrong_value_names_where_it_came_from(
    flags: dict[str, str], environ: dict[str, str], config: Config, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        settle(flags, environ, config)


@pytest.mark.parametrize(
    ("text", "secs"), [("60", 60), ("60s", 60), ("1.5m", 90), ("12h", 43_200), ("30d", 2_592_000)]
)
def test_times_have_units(text: str, secs: float) -> None:
    assert duration_secs(text, "--older-than") == secs


@pytest.mark.parametrize(
    "words",
    [("--jobs", "0"), ("-j", "x"), ("--rate", "0%"), ("--bwlimit", "1T"), ("--retries", "x")],
)
def test_a_bad_limit_is_a_mistake_of_usage(here: Here, words: tuple[str, str]) -> None:
    before, after = here(*words, "dataset", "ls"), here("dataset", "ls", *words)

    assert (before.code, after.code) == (2, 2)
    assert (before.out, before.err) == ("", after.err)
    assert before.err.startswith("error: --")


def test_an_alias_of_the_configuration_expands_to_a_command(here: Here) -> None:
    here("config", "set", "aliases.mine", "dataset ls -q")

    assert here("mine").out == here("dataset", "ls", "-q").out
