"""How long a command takes to start, in times of a Python that does nothing."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from results import Goal, Row, rounds

ROOT = Path(__file__).parents[1]
COMPLETION = """source {script}
COMP_WORDS=(storectl datas) COMP_CWORD=1; _storectl; echo "${{COMPREPLY[*]}}" """


def compile_all() -> None:
    """Bytecode of everything that is imported, whatever the environment says."""
    for folder in (sysconfig.get_path("purelib"), str(ROOT / "storectl")):
        compileall.compile_dir(folder, quiet=2, workers=0)


def environment(folder: Path) -> dict[str, str]:
    """Of a command that is timed: no settings of this machine, bytecode on."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STORECTL_", "APIFY_", "PYTHON"))
    }
    return {**kept, "STORECTL_CONFIG_DIR": str(folder / "config")}


def program() -> list[str]:
    """The installed command, or the module where there is none."""
    script = Path(sys.executable).with_name("storectl")
    return [str(script)] if script.exists() else [sys.executable, "-m", "storectl"]


def measure(folder: Path, count: int) -> list[Row]:
    """One row for each command. Each is first seen to work."""
    env = environment(folder)
    store = str(folder / "store-of-start")
    storectl = program()
    subprocess.run(
        [*storectl, "--store", store, "dataset", "create", "results", "-q"],
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    script = ROOT / "completions" / "storectl.bash"
    cases = [
        ("storectl --version", [*storectl, "--version"], "storectl ", 1.6),
        (
            "completion of a first word, in bash",
            ["bash", "--norc", "-c", COMPLETION.format(script=script)],
            "dataset",
            2.0,
        ),
        ("storectl --help", [*storectl, "--help"], "Usage: ", 7.0),
        ("dataset ls --help", [*storectl, "dataset", "ls", "--help"], "Usage: ", None),
        ("dataset ls, embedded", [*storectl, "--store", store, "dataset", "ls"], "results", 8.0),
    ]
    bare = [sys.executable, "-c", "pass"]
    rows = []
    for job, words, said, most in cases:
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
        assert said in done.stdout, (words, done)
        goals = (Goal(most=most, of="ratio"),) if most else ()
        rows.append(Row(job, "ms", "python -c pass", goals))

    def one_round() -> None:
        for row, (_, words, _, _) in zip(rows, cases, strict=True):
            row.add(_wall_ms(words, env), _wall_ms(bare, env))

    one_round()
    for row in rows:
        row.figures.clear()
        row.ratios.clear()
    rounds(count, [one_round], "start-up")
    return rows


def _wall_ms(words: list[str], env: dict[str, str]) -> float:
    to_null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.perf_counter()
    child = os.posix_spawnp(words[0], words, env, file_actions=to_null)
    _, status = os.waitpid(child, 0)
    taken = time.perf_counter() - start
    assert status == 0, words
    return taken * 1000
