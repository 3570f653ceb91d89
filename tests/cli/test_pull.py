"""storectl dataset pull, and what pull and push say of going on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from tests.faults import Asked, Proxy

from .conftest import Here, Served


@pytest.fixture
def items(here: Here, tmp_path: Path) -> Path:
    """A file with what is in the dataset `cars`."""
    file = tmp_path / "source.jsonl"
    file.write_text("".join(f'{{"n":{n},"name":"car {n}"}}\n' for n in range(30)))
    here("dataset", "push", "cars", str(file), "--create")
    return file


@pytest.mark.parametrize("verb", ["pull", "export"])
def test_a_file_is_named_after_the_dataset_and_told(
    here: Here, items: Path, tmp_path: Path, verb: str
) -> None:
    done = here("dataset", verb, "cars")

    assert (done.code, done.out) == (0, "cars.jsonl\n")
    data = (tmp_path / "cars.jsonl").read_bytes()
    assert data == items.read_bytes()
    assert done.err.startswith("30 items, ")
    assert done.err.endswith(f" to cars.jsonl, sha256 {sha256(data).hexdigest()}\n")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["-f", "csv"], "cars.csv"),
        (["-f", "tsv", "--gzip"], "cars.tsv.gz"),
        (["--zstd"], "cars.jsonl.zst"),
        (["-f", "xlsx"], "cars.xlsx"),
        (["-f", "parquet"], "cars.parquet"),
        (["-o", "a.b.json"], "a.b.json"),
    ],
)
def test_a_name_says_format_and_packing(
    here: Here, items: Path, tmp_path: Path, words: list[str], name: str
) -> None:
    done = here("dataset", "pull", "cars", *words)

    assert done.lines() == [name]
    assert (tmp_path / name).exists()


def test_a_dataset_without_a_name_lends_its_id(here: Here, tmp_path: Path) -> None:
    ident = here("dataset", "create", "-q").out.strip()

    assert here("dataset", "pull", ident).lines() == [f"{ident}.jsonl"]
    assert (tmp_path / f"{ident}.jsonl").read_bytes() == b""


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_what_is_pulled_can_be_pushed(here: Here, items: Path, tmp_path: Path, suffix: str) -> None:
    here("dataset", "pull", "cars", "-o", f"copy.jsonl{suffix}")

    here("dataset", "push", "copy", f"copy.jsonl{suffix}", "--create")

    assert here("dataset", "items", "copy").out == items.read_text()


def test_items_are_shaped_as_items_are(here: Here, items: Path, tmp_path: Path) -> None:
    shape = ["--fields", "name,n", "--offset", "3", "--limit", "2", "--desc"]

    here("dataset", "pull", "cars", "-o", "a.csv", *shape)

    found = (tmp_path / "a.csv").read_bytes().decode()
    assert found == here("dataset", "items", "cars", "--csv", *shape).out.replace("\n", "\n")
    assert found.splitlines() == ["name,n", "car 26,26", "car 25,25"]


def test_a_split_tells_every_file_in_json(here: Here, items: Path, tmp_path: Path) -> None:
    told = here("dataset", "pull", "cars", "--split", "20", "--json").json()

    assert (told["items"], told["bytes"]) == (30, items.stat().st_size)
    assert [one["file"] for one in told["files"]] == ["cars-00001.jsonl", "cars-00002.jsonl"]
    assert [one["items"] for one in told["files"]] == [20, 10]
    for one in told["files"]:
        data = (tmp_path / one["file"]).read_bytes()
        assert (one["bytes"], one["sha256"]) == (len(data), sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "source.jsonl", "--no-clobber"], 6, "source.jsonl is there already"),
        (["-o", "-"], 2, "pull writes files"),
        (["-o", "."], 2, ". is a folder"),
        (["-o", "no/a.jsonl"], 12, "no is not a folder"),
        (["--gzip", "--zstd"], 2, "exclude each other"),
        (["--append", "--split", "3"], 2, "--append and --split exclude each other"),
        (["--append", "--no-clobber"], 2, "--append and --no-clobber exclude each other"),
        (["--append", "-f", "json"], 2, "nothing can be added to the end of json"),
        (["--append", "-f", "csv", "--gzip"], 2, "only jsonl can be added to a packed file"),
        (["-f", "csv", "--delimiter", "ab"], 2, "delimiter"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_left(
    here: Here, items: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = here("dataset", "pull", "cars", *words)

    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"source.jsonl"}


class Breaking(ThreadingHTTPServer):
    """Takes so many pushes, gives so many pages, and then answers 500."""

    daemon_threads = True
    left = 1


class _Handler(BaseHTTPRequestHandler):
    server: Breaking
    protocol_version = "HTTP/1.1"

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _counted(self) -> bool:
        self.server.left -= 1
        if self.server.left < 0:
            self._send(500, b'{"error":{"type":"internal-server-error","message":"Broken."}}')
        return self.server.left >= 0

    def do_GET(self) -> None:
        if self.path.startswith("/v2/capabilities"):
            self._send(404, b"{}")
        elif "/items" not in self.path:
            described = {
                "id": "WkzbQMuFYuamGv3YF", "userId": "u", "name": "cars", "itemCount": 9000,
                "createdAt": "2026-01-01T00:00:00.000Z", "modifiedAt": "2026-01-01T00:00:00.000Z",
                "accessedAt": "2026-01-01T00:00:00.000Z",
            }  # fmt: skip
            self._send(200, json.dumps({"data": described}).encode())
        elif "limit=1&" in self.path + "&" or self._counted():
            count = 1 if "limit=1&" in self.path + "&" else 5000
            self._send(
                200, b'{"n":1}\n' * count,
                X_Apify_Pagination_Total="9000", X_Apify_Pagination_Count=str(count),
            )  # fmt: skip

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self._counted():
            self._send(201, b"{}")

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Breaking]:
    server = Breaking(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setattr("storectl.transfer.push.BATCH_BYTES", 100)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def at(breaking: Breaking) -> dict[str, str]:
    return {
        "STORECTL_STORE": "",
        "STORECTL_SERVER": f"http://127.0.0.1:{breaking.server_port}",
        "STORECTL_TOKEN": "storectl_canary0123456789",
        "STORECTL_RETRIES": "0",
    }


@pytest.mark.parametrize(
    ("words", "code"),
    [(["push", "~cars", "source.jsonl"], 1), (["pull", "~cars", "-o", "a.jsonl"], 1)],
)
def test_what_breaks_off_ends_with_the_command_that_goes_on(
    here: Here, items: Path, at: dict[str, str], words: list[str], code: int
) -> None:
    one_by_one = {**at, "STORECTL_JOBS": "1"}

    done = here("dataset", *words, "--restart", env=one_by_one)

    assert (done.code, done.out) == (code, "")
    assert f"  resume: storectl dataset {' '.join(words)}\n".replace("~cars", "'~cars'") in done.err
    assert "items before that" in done.err


def test_a_journal_holds_no_token(
    here: Here, items: Path, tmp_path: Path, at: dict[str, str]
) -> None:
    state = tmp_path / "state"

    here("dataset", "push", "~cars", "source.jsonl", env={**at, "STORECTL_STATE_DIR": str(state)})

    (journal,) = state.glob("*.json")
    assert "canary" not in journal.read_text()
    assert json.loads(journal.read_text())["job"]["place"] == at["STORECTL_SERVER"]


def test_a_push_without_keys_whose_fate_nobody_knows_goes_on_and_says_so(
    here: Here, items: Path, at: dict[str, str], breaking: Breaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This server counts no item, so that its count proves nothing."""
    monkeypatch.setattr("storectl.transfer.doubt.LAG_SECS", 0.0)
    breaking.left = 1
    assert here("dataset", "push", "~cars", "source.jsonl", env=at).code == 1
    breaking.left = 100

    done = here("dataset", "push", "~cars", "source.jsonl", env=at)

    assert (done.code, done.out) == (0, "30\n"), done.err
    assert done.err.endswith("; at least once: 1 batch was sent again\n")


def test_a_pull_goes_on_where_it_broke_off(
    here: Here, items: Path, tmp_path: Path, at: dict[str, str], breaking: Breaking
) -> None:
    one_by_one = ("dataset", "pull", "~cars", "--limit", "9000", "-o", "a.jsonl", "--jobs", "1")
    here(*one_by_one, env=at)
    breaking.left = 100

    done = here(*one_by_one, env=at)

    assert done.code == 0, done.err
    assert ", 5,000 of them earlier" in done.err


def test_a_push_that_is_terminated_says_how_to_go_on(
    here: Here, served: Served, tmp_path: Path
) -> None:
    """Terminated while nobody answers its second batch."""
    (tmp_path / "many.jsonl").write_text(('{"text":"' + "x" * 1000 + '"}\n') * 20_000)
    here.env |= {"STORECTL_STORE": "", "STORECTL_TOKEN": served.token}
    here("dataset", "create", "to-terminate", "--server", served.url)
    push = ("dataset", "push", "to-terminate", "many.jsonl", "--server")
    batches = count(1)

    def plan(asked: Asked) -> str | None:
        return "hold" if "/items" in asked.target and next(batches) == 2 else None

    with Proxy(served.url, plan) as proxy:
        process = here.start(*push, proxy.url)
        assert proxy.held.wait(60)
        process.terminate()
        _, err = process.communicate(timeout=60)
        again = here(*push, proxy.url)

    assert process.returncode == 143, err
    assert f"  resume: storectl dataset push to-terminate many.jsonl --server {proxy.url}\n" in (
        err.decode()
    )
    assert again.code == 0, again.err
    found = here("dataset", "info", "to-terminate", "--json", "--server", served.url)
    assert found.json()["itemCount"] == 20_000


def test_empty_items_in_the_middle_are_neither_lost_nor_doubled_by_a_server(
    here: Here, served: Served, tmp_path: Path
) -> None:
    """5,000 of them, more than a window, with --clean and without."""
    env = {
        "STORECTL_STORE": "", "STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token,
    }  # fmt: skip
    full = [f'{{"n":{n},"text":"{"x" * 600}"}}' for n in range(12_000)]
    lines = [*full[:6_000], *["{}"] * 5_000, *full[6_000:]]
    (tmp_path / "all.jsonl").write_text("\n".join(lines) + "\n")
    here("dataset", "push", "with-empty", "all.jsonl", "--create", env=env)

    here("dataset", "pull", "with-empty", "-o", "kept.jsonl", env=env)
    here("dataset", "pull", "with-empty", "-o", "clean.jsonl", "--clean", env=env)

    assert (tmp_path / "kept.jsonl").read_text().splitlines() == lines
    assert (tmp_path / "clean.jsonl").read_text().splitlines() == full
