"""Completion: scripts that are complete, quick and fresh."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from storectl.cli.completion import SHELLS, script

from .conftest import REPOSITORY, Here

FILES = {
    "bash": "storectl.bash",
    "zsh": "_storectl",
    "fish": "storectl.fish",
    "powershell": "storectl.ps1",
}


def completed(line: str) -> list[str]:
    """What bash offers for the last word of a line."""
    words = line.split(" ")
    asked = f"""
source /dev/stdin <<'SCRIPT'
{script("bash")}
SCRIPT
COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
COMP_CWORD={len(words) - 1}
_storectl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    run = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    return run.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("storectl data", ["dataset"]),
        ("storectl dataset re", ["rename"]),
        ("storectl -p prod dataset in", ["info"]),
        ("storectl --json kvs cr", ["create"]),
        ("storectl dataset ls --old", ["--older-than"]),
        ("storectl dataset ls --accessi", ["--accessible"]),
        ("storectl dataset ls --sort m", ["modified"]),
        ("storectl dataset ls --color al", ["always"]),
        ("storectl completion fi", ["fish"]),
        ("storectl access re", ["report"]),
        ("storectl access report --fail-on st", ["stale"]),
        ("storectl token create ci --scope queue:l", ["queue:list"]),
        ("storectl queue access gr", ["grant"]),
        ("storectl kvs access set files re", ["restricted"]),
        ("storectl dataset link prices --rev", ["--revoke-all"]),
        ("storectl dataset items prices -o f", []),
    ],
)
def test_bash_completes_commands_options_and_their_values(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_kept_in_the_repository_are_fresh(shell: str) -> None:
    kept = REPOSITORY / "completions" / FILES[shell]

    assert kept.read_text() == script(shell), f"storectl completion {shell} > {kept}"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_knows_every_noun_and_asks_no_python(shell: str) -> None:
    text = script(shell)

    assert all(word in text for word in ("dataset", "rename", "--older-than", "revoke"))
    assert "python" not in text.replace("js python", "").replace("js or python", "")


@pytest.mark.parametrize(("shell", "check"), [("zsh", "-n"), ("fish", "--no-execute")])
def test_a_script_can_be_parsed(shell: str, check: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(script(shell))

    subprocess.run([program, check, str(file)], check=True)


def test_install_puts_it_where_the_shell_looks(here: Here, tmp_path: Path) -> None:
    done = here("completion", "bash", "--install", env={"XDG_DATA_HOME": str(tmp_path / "data")})

    path = tmp_path / "data/bash-completion/completions/storectl"
    assert done.out == f"{path}\n"
    assert path.read_text() == script("bash")


def test_an_unknown_shell_is_named_with_those_there_are(here: Here) -> None:
    done = here("completion", "tcsh")

    assert done.code == 2
    assert "powershell" in done.err
