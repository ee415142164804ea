"""A damaged file of a run is mended or named; wrong data never comes of it, and nothing is paid."""

from __future__ import annotations

import json
import os
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
            assert message, done.stderr
            assert hint.strip(), done.stderr
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
    if damage in ("garbage", "missing"):
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


def test_damaged_results_to_the_standard_output(world) -> None:
    """What was written to a pipe cannot be taken back, so damage is found before the first row."""
    world.damaged("runs/RUN/batches/00001/results.jsonl.zst", DAMAGES["cut"])
    done = world("fetch", world.run, "--to", "-", "--quiet")
    assert done.stdout_bytes == world.whole
    assert world.served.executions() == world.executed


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FILES), st.sampled_from(["cut", "flip"]), st.integers(0, 1 << 24))
def test_any_byte(world, name, how, place) -> None:
    """Cut at any byte or with any bit turned, a file gives the exact output, or is named."""
    if how == "cut":
        path = world.damaged(name, lambda content: content[: place % (len(content) + 1)])
    else:
        path = world.damaged(name, lambda content: flipped(content, place))
    world.fetched(world.run, world.whole, path)
    world.fetched(world.batch, world.batch_rows, path)
    assert world.served.executions() == world.executed


@pytest.mark.parametrize(
    "name",
    [
        "batches",
        "batches/00000",
        "batches/00002",
        "retries/2/batches",
        "retries/2/batches/00000",
    ],
)
def test_a_missing_folder(world, name) -> None:
    """A batch that is gone is never rows that are gone: the hint brings it back."""
    world.damaged("salt", lambda content: content)
    path = world.home / "runs" / world.run / name
    shutil.rmtree(path)
    batches = path if path.name == "batches" else path.parent
    assert not world.fetched(world.run, world.whole, batches)
    world("retry", world.run, code=1)
    world.follow()
    world("submit", world.path, *RECIPE)
    world("retry", world.run)
    assert world.fetched(world.run, world.whole, path)
    assert world.served.executions() == world.executed


def test_the_latest_run_cannot_be_read(world) -> None:
    """Without a name, no other run is taken for it; the list shows both, and says why."""
    path = world.damaged("runs/RUN/run.json", lambda _: b"{")
    assert world.other_run in world("status").output
    os.utime(path.parent)
    done = world("fetch", "--to", world.folder / "latest.jsonl", code=1)
    assert f"the latest run may be {world.run}, which cannot be read" in done.stderr
    done = world("list", "--json")
    listed = {run["run"]: run for run in json.loads(done.stdout)}
    assert listed[world.other_run]["state"] == "collected"
    assert listed[world.run]["state"] == "damaged"
    assert str(path) in listed[world.run]["error"]
    assert f"{world.run}: {path} cannot be used: " in done.stderr


def edit(path: Path, **facts: object) -> None:
    """Write a record anew, as another version would have."""
    record = {**json.loads(path.read_bytes()), **facts}
    del record["check"]
    path.write_text(json.dumps({key: value for key, value in record.items() if value != "gone"}))


def test_a_newer_version(world) -> None:
    """What a newer version wrote is refused by every command about it; others go on."""
    path = world.damaged("runs/RUN/run.json", lambda content: content)
    edit(path, folder_version=2, news="of the future")
    for command in (
        ("status", world.run),
        ("fetch", world.run, "--to", world.folder / "newer.jsonl"),
        ("resume", world.run),
        ("retry", world.run),
        ("submit", world.path, *RECIPE),
        ("run", world.path, *RECIPE, "--to", world.folder / "newer.jsonl"),
    ):
        done = world(*command, code=1)
        assert f"{path.parent} was written by a newer version of valar-batch" in done.stderr
        assert "update valar-batch to work with this run" in done.stderr
    assert world("list").stdout.count("\tdamaged\t") == 1
    world("clean")
    world("status", "other")
    world("submit", world.other, *RECIPE, "--name", "other")
    assert world.served.executions() == world.executed


def test_an_older_version(world) -> None:
    """Records without the fields that came later serve as they are."""
    path = world.damaged("salt", lambda content: content)
    folder = world.home / "runs" / world.run
    later = ("folder_version", "rows_file", "fixed", "translated", "optional_columns")
    edit(folder / "run.json", **dict.fromkeys(later, "gone"))
    for record in folder.rglob("batch.json"):
        edit(record, of_batches="gone", adopted="gone")
    (folder / "outputs.json").unlink()
    for command in ("status", "resume", "retry"):
        world(command, world.run)
    assert world.fetched(world.run, world.whole, path)
    assert world.served.executions() == world.executed


def test_the_real_command(world) -> None:
    """The command as a process: each ends in order, with one of our errors."""
    world.damaged("runs/RUN/batches/00001/rows.arrow", DAMAGES["flipped"])
    cli = Cli(world.home, world.environment)
    out = world.folder / "real.jsonl"
    for command in (
        ("status", world.run),
        ("list",),
        ("fetch", world.run, "--to", out, "--overwrite"),
        ("resume", world.run),
        ("retry", world.run),
        ("clean",),
        ("submit", world.path, *RECIPE),
    ):
        done = cli(*command, code=None)
        assert done.code in (0, 1), done
        assert "Traceback" not in done.err
        assert (done.code == 1) == ("error: " in done.err)
    assert world.served.executions() == world.executed
