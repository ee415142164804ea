"""A damaged file of a run is mended or named; wrong data never comes of it, and nothing is paid."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.conftest import MODEL, Cli, Served
from tests.disk.conftest import write_rows
from valar_batch.cli.main import app

RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--id", "id", "--batch-size", "20", "--quiet")

FIRST = ("batch.json", "rows.arrow", "request.json.zst", "results.jsonl.zst")
FILES = (
    "salt",
    "runs/RUN/run.json",
    "runs/RUN/problems.jsonl",
    "runs/RUN/outputs.json",
    *(f"runs/RUN/batches/00001/{name}" for name in FIRST),
    *(f"runs/RUN/retries/2/batches/00000/{name}" for name in FIRST),
    "runs/EXT/run.json",
    *(f"runs/EXT/batches/00000/{name}" for name in FIRST if name != "request.json.zst"),
)
MENDED = ("salt", "problems.jsonl", "outputs.json", "results.jsonl.zst")
"""Files whose damage no command has to stop for."""


def flipped(content: bytes, bit: int) -> bytes:
    """Give some bytes with one bit turned."""
    if not content:
        return b"\0"
    place = bit // 8 % len(content)
    return content[:place] + bytes([content[place] ^ 1 << bit % 8]) + content[place + 1 :]


DAMAGES = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "flipped": lambda content: flipped(content, len(content) * 4 + 3),
    "garbage": lambda content: bytes(range(256)) * (len(content) // 256 + 1),
    "missing": None,
}


class World:
    """A home with three things: a run with a retry, a batch from elsewhere, and another run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.served = Served(folder / "valar").start()
        self.environment = {"VALAR_API_KEY": "the-key", "VALAR_BASE_URL": self.served.base_url}
        self.home = self.pristine = folder / "pristine"
        self.path = write_rows(folder / "in.jsonl", 60)
        self.other = write_rows(folder / "other.jsonl", 5)
        self.fails(0.3)
        self.run = self("submit", self.path, *RECIPE).stdout.strip()
        self("fetch", self.run, "--to", folder / "first.jsonl", "--quiet", code=3)
        self.fails(0)
        self("retry", self.run, "--quiet")
        self("fetch", self.run, "--to", folder / "whole.jsonl", "--quiet")
        self.whole = (folder / "whole.jsonl").read_bytes()
        self.other_run = self("submit", self.other, *RECIPE, "--name", "other").stdout.strip()
        self("fetch", "other", "--to", folder / "other.out.jsonl", "--quiet")
        self.home = folder / "elsewhere"
        self("submit", write_rows(folder / "third.jsonl", 7, " more"), *RECIPE)
        self.batch = json.loads(self("status", "--json").stdout)["batches"][0]["batch_id"]
        self.home = self.pristine
        self("fetch", self.batch, "--to", folder / "batch.jsonl", "--quiet")
        self.batch_rows = (folder / "batch.jsonl").read_bytes()
        self.ext = next((self.home / "runs").glob("ext-*")).name
        self.executed = self.served.executions()
        self.copies = 0

    def fails(self, share: float) -> None:
        """Let so many of the requests fail that are sent from now on."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.served.port}/local/settings",
            json.dumps({"failure_share": share}).encode(),
            {"Authorization": f"Bearer {self.served.key}"},
        )
        urllib.request.urlopen(request, timeout=20).close()  # noqa: S310 - loopback

    def __call__(self, *arguments: object, code: int | None = 0):
        """Run a command in this process; an error that is not ours fails the test."""
        environment = {**self.environment, "VALAR_BATCH_HOME": str(self.home)}
        done = CliRunner(env=environment).invoke(app, [*map(str, arguments)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert code is None or done.exit_code == code, f"exit {done.exit_code}\n{done.output}"
        if done.exit_code == 1:
            message, _, hint = done.stderr[done.stderr.index("error: ") :].partition("\n")
            assert message and hint.strip(), done.stderr
        return done

    def damaged(self, name: str, damage) -> Path:
        """Begin with a fresh copy of the home, and damage a file of it."""
        self.copies += 1
        shutil.rmtree(self.folder / f"home{self.copies - 1}", ignore_errors=True)
        self.home = self.folder / f"home{self.copies}"
        shutil.copytree(self.pristine, self.home)
        path = self.home / name.replace("RUN", self.run).replace("EXT", self.ext)
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage(path.read_bytes()))
        return path

    def follow(self) -> None:
        """Move away what the last error said, to where it said."""
        found = re.search(r"move (\S+) away, out of (\S+),", self.said)
        assert found, self.said
        shutil.move(found[1], self.folder / f"away{self.copies}")

    def fetched(self, name: str, whole: bytes, path: Path) -> bool:
        """Fetch a run: it is exact, or refused with the name of the damaged file."""
        out = self.folder / "out.jsonl"
        out.unlink(missing_ok=True)
        done = self("fetch", name, "--to", out, "--quiet", code=None)
        if done.exit_code == 1:
            assert not out.exists()
            self.said = done.stderr
            assert str(path) in done.stderr
            return False
        assert out.read_bytes() == whole, done.stderr
        return True


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.served.stop()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_each_file(world, name, damage) -> None:
    """No command ends in a traceback or pays; the hint, once followed, brings everything back."""
    path = world.damaged(name, DAMAGES[damage])
    world("list")
    world("clean")
    world("fetch", world.other_run, "--to", world.folder / "o.jsonl", "--overwrite", "--quiet")
    for command in ("status", "resume", "retry"):
        world(command, world.run, code=None)
    world("submit", world.path, *RECIPE, code=None)
    fetched = world.fetched(world.run, world.whole, path)
    ext = world.fetched(world.batch, world.batch_rows, path)
    assert not fetched or not ext or name.endswith((*MENDED, "request.json.zst"))
    if not fetched:
        world.follow()
        world("submit", world.path, *RECIPE)
        world("retry", world.run)
        assert world.fetched(world.run, world.whole, path)
    if not ext:
        world.follow()
        assert world.fetched(world.batch, world.batch_rows, path)
    assert world.served.executions() == world.executed
