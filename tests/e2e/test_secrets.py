"""The API key is in nothing that is printed or written, and goes to no host but Valar's."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import MODEL, environment
from tests.e2e.odd_valar import OddValar

KEY = "sk+Geheim/0123456789"
"""A key whose every encoding is another text."""
FORMS = {
    "as it is": KEY,
    "in base64": base64.b64encode(KEY.encode()).decode().rstrip("="),
    "quoted": quote(KEY, safe=""),
    "escaped": json.dumps(KEY).replace("/", r"\/").strip('"'),
    "in hex": KEY.encode().hex(),
    "hashed without salt": hashlib.sha256(KEY.encode()).hexdigest(),
}
RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--batch-size", "4")

pty = pytest.importorskip("pty", reason="no terminals on this platform")


def assert_absent(content: bytes, place: object) -> None:
    """The key is not in there, in no form."""
    for form, text in FORMS.items():
        assert text.encode() not in content, f"{place} has the key {form}"


def assert_in_no_file(folder) -> None:
    """Nothing below the folder holds the key, neither in a name nor in a file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert_absent(os.fsencode(path), "a name")
        assert_absent(path.read_bytes(), path)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"a": f"w{n}"}) + "\n" for n in range(10)))
    return path


@pytest.fixture
def keyed(serve, make_cli):
    """A command line with the secret key, and a Valar that takes it and fails some rows."""
    served = serve("--failure-share", "0.3", "--api-key", KEY)
    cli = make_cli(served, VALAR_API_KEY=KEY)
    assert_in_no_file(served.home)
    return cli


def on_terminal(cli, *arguments: object) -> bytes:
    """Run a command on a terminal of its own and give all that it shows there."""
    ours, its = pty.openpty()
    process = cli.start(*arguments, stdin=its, stdout=its, stderr=its)
    os.close(its)
    shown = bytearray()
    try:
        while piece := os.read(ours, 65_536):
            shown += piece
    except OSError:
        pass  # How Linux tells that the other side is closed.
    os.close(ours)
    process.wait(60)
    return bytes(shown)


@pytest.mark.parametrize("way", ["terminal", "plain", "quiet"])
def test_nothing_of_a_run_holds_the_key(path, tmp_path, keyed, way) -> None:
    """Every command, as loud and as quiet as it can be: no output and no file has the key."""
    more = {"quiet": ("--quiet",), "plain": ("--progress", "plain")}.get(way, ())
    as_json = ("--json",) if way == "quiet" else ()
    out = tmp_path / "out"
    commands: tuple[tuple[object, ...], ...] = (
        ("validate", path, *RECIPE, *as_json),
        ("preview", path, *RECIPE, *as_json),
        ("submit", path, *RECIPE, "--name", "work", *more),
        ("status", "work", *as_json),
        ("fetch", "work", "--to", out / "1.jsonl", "--keep-response", *more, *as_json),
        ("run", path, *RECIPE, "--to", out / "1.parquet", *more, *as_json),
        ("run", path, *RECIPE, "--again", "--to", out / "2.csv", *more, *as_json),
        ("retry", "work", *more),
        ("resume", "work", *more),
        ("list", *as_json),
        ("list", "--remote", *as_json),
        ("models", *as_json),
        ("fetch", "no-such-batch", "--to", out / "3.csv"),
        ("run", path, *RECIPE, "--temperature", "9", "--to", out / "4.csv"),
    )
    out.mkdir()
    for command in commands:
        if way == "terminal":
            assert_absent(on_terminal(keyed, *command), command)
        else:
            done = keyed(*command, code=None)
            assert_absent((done.out + done.err).encode(), command)
    assert sorted(file.name for file in out.iterdir()) == ["1.jsonl", "1.parquet", "2.csv"]
    assert_in_no_file(tmp_path)


class Telling(OddValar):
    """A Valar that gives the key away in all that it says."""

    def __init__(self, refusing: str) -> None:
        self.refusing = refusing
        super().__init__()

    def post(self, body: dict) -> tuple[int, bytes]:
        return (401, self.telling()) if self.refusing == "POST" else super().post(body)

    def get(self, path: str) -> tuple[int, bytes]:
        asked = {"/v1/batches": "list", "/v1/batches/b%2F1": "status"}.get(path, "result")
        if asked != self.refusing:
            return super().get(path)
        return (400 if asked == "result" else 401), self.telling()

    def telling(self) -> bytes:
        error = {"message": f"no: {KEY}", "type": KEY, "param": KEY, "code": KEY}
        return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("refusing", "code"), [("list", 5), ("POST", 5), ("status", 5), ("result", 3)]
)
def test_a_server_that_repeats_the_key(tmp_path, make_cli, refusing, code) -> None:
    """What an error of Valar quotes is struck out, wherever it arrives."""
    path = tmp_path / "in.csv"
    path.write_text("a\n" + "x\n" * 6)
    telling = Telling(refusing)
    url = f"http://127.0.0.1:{telling.server.server_port}/v1"
    cli = make_cli(VALAR_BASE_URL=url, VALAR_API_KEY=KEY, VALAR_BATCH_MISSING_AFTER="0.5")
    with contextlib.closing(telling):
        done = cli("run", path, *RECIPE[:4], "--to", tmp_path / "out.jsonl", code=code)
    assert "no: [key]" in done.err
    assert_absent((done.out + done.err).encode(), "what is printed")
    assert_in_no_file(tmp_path)


BREAKING = """
import os, sys

def breaking(*_, **__):
    raise RuntimeError("broken on purpose")

def break_it():
    name, _, attribute = os.environ["BREAKS"].rpartition(".")
    __import__(name)
    setattr(sys.modules[name], attribute, breaking)

if os.environ.get("BREAKS"):
    break_it()
"""
"""A library that raises what nobody foresaw: the only way into a traceback."""


@pytest.mark.parametrize(
    "broken", ["zstandard.ZstdCompressor", "httpx.Client", "pycurl.CurlMulti", "filelock.FileLock"]
)
def test_a_traceback_does_not_hold_the_key(path, tmp_path, serve, make_cli, broken) -> None:
    """Not even a fault that nobody foresaw shows it, with every debugging aid of Python on."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(BREAKING)
    served = serve("--api-key", KEY)
    paths = os.pathsep.join((str(tmp_path / "broken"), environment(tmp_path)["PYTHONPATH"]))
    cli = make_cli(
        served,
        VALAR_API_KEY=KEY,
        BREAKS=broken,
        PYTHONPATH=paths,
        PYTHONDEVMODE="1",
    )
    done = cli("run", path, *RECIPE, "--to", tmp_path / "out.jsonl", code=1)
    assert "broken on purpose" in done.err
    assert "Traceback" in done.err
    assert_absent((done.out + done.err).encode(), "what is printed")
    assert_in_no_file(tmp_path)


LOUD = """
import logging, sys
logging.basicConfig(level=1, stream=sys.stdout)
import valar_batch
valar_batch.run(
    [{"a": "x"}], model=sys.argv[1], prompt="{{ a }}", api_key=sys.argv[2], base_url=sys.argv[3]
)
"""


def test_the_logs_of_the_libraries_do_not_hold_the_key(tmp_path, serve) -> None:
    """From Python, with every logger of every library at its loudest."""
    served = serve("--api-key", KEY)
    done = subprocess.run(
        [sys.executable, "-c", LOUD, MODEL, KEY, served.base_url],
        env=environment(tmp_path / "home"),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"DEBUG" in done.stdout
    assert_absent(done.stdout + done.stderr, "the log")
    assert_in_no_file(tmp_path)


class Elsewhere:
    """Another host, which hears what it should not."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str | None]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append((self.path, self.headers.get("Authorization")))
                self.send_error(500)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://localhost:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Redirecting(OddValar):
    """A Valar that sends one kind of call elsewhere."""

    def __init__(self, redirected: str, status: int, url: str) -> None:
        self.redirected, self.status, self.url = redirected, status, url
        super().__init__()

    def headers(self, path: str) -> dict[str, str]:
        return {"Location": self.url + path}

    def post(self, body: dict) -> tuple[int, bytes]:
        return (self.status, b"") if self.redirected == "POST" else super().post(body)

    def get(self, path: str) -> tuple[int, bytes]:
        asked = {"/v1/batches": "list", "/v1/batches/b%2F1": "status"}.get(path, "result")
        return (self.status, b"") if asked == self.redirected else super().get(path)


@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("redirected", ["list", "POST", "status", "result"])
def test_a_redirect_is_not_followed(tmp_path, make_cli, redirected, status) -> None:
    """It is waited out like any answer that is not Valar's, and the other host hears nothing."""
    path = tmp_path / "in.csv"
    path.write_text("a\n" + "x\n" * 6)
    elsewhere = Elsewhere()
    odd = Redirecting(redirected, status, elsewhere.url)
    url = f"http://127.0.0.1:{odd.server.server_port}/v1"
    cli = make_cli(VALAR_BASE_URL=url, VALAR_API_KEY=KEY)
    with contextlib.closing(odd), contextlib.closing(elsewhere):
        process = cli.start("run", path, *RECIPE[:4], "--to", tmp_path / "out.jsonl")
        told = f"status {status} to {elsewhere.url}/v1/batches"
        assert any(told in line.decode() for line in process.stderr)
        process.kill()
        assert elsewhere.heard == []


def test_the_key_stays_out_of_the_local_valar(path, tmp_path, make_cli) -> None:
    """The detached server, which outlives the command, is not handed Valar's key."""
    cli = make_cli(VALAR_API_KEY=KEY, UPSTREAM_API_KEY=KEY, VALAR_LOCAL_LINGER="30")
    cli("run", path, *RECIPE, "--local", "--to", tmp_path / "out.jsonl")
    (announcement,) = cli.home.glob("local/server.json")
    pid = json.loads(announcement.read_bytes())["pid"]
    try:
        given = Path(f"/proc/{pid}/environ")
        if given.exists():
            assert_absent(given.read_bytes(), "the environment of the local Valar")
    finally:
        os.kill(pid, 15)
    assert_in_no_file(tmp_path)


@pytest.mark.parametrize("before", [None, 0o755])
def test_the_home_is_closed_to_others(path, tmp_path, keyed, before) -> None:
    """Whatever the umask, and even where the folder was there and open."""
    if before is not None:
        keyed.home.mkdir(mode=before)
    process = keyed.start("submit", path, *RECIPE, umask=0)
    assert process.wait(60) == 0
    assert stat.S_IMODE(keyed.home.stat().st_mode) == 0o700
