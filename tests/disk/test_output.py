"""An output takes its place when it is complete: until then, what was there before is there."""

from __future__ import annotations

import gzip
import signal
import time

import pytest

from tests.disk.conftest import RECIPE, write_rows


@pytest.fixture
def path(tmp_path):
    return write_rows(tmp_path / "in.jsonl", 5)


@pytest.mark.parametrize("name", ["out.parquet", "out.csv.gz", "parts/", "deep/er/out.jsonl"])
def test_a_folder_that_is_not_there(tmp_path, path, cli, valar, name) -> None:
    """It is refused before anything is sent, with the command that makes it."""
    out = f"{tmp_path}/absent/{name}"
    done = cli("run", path, *RECIPE, "--to", out, code=2)
    parent = out.rstrip("/").rpartition("/")[0]
    assert f"{out}: the folder {parent} does not exist" in done.err
    assert f"mkdir -p {parent}" in done.err
    assert not (tmp_path / "absent").exists()
    assert valar.executions()["total"] == 0


def test_no_place_for_a_file(tmp_path, path, cli, valar) -> None:
    """Devices, and a file where a folder should be, are refused before anything is sent."""
    (tmp_path / "file").write_text("kept")
    for out, reason in (
        ("/dev/full", "what is there is no file"),
        ("/dev/null", "what is there is no file"),
        (f"{tmp_path}/file/", "what is there is a file, not a folder"),
        (f"{tmp_path}/file/out.jsonl", f"the folder {tmp_path}/file does not exist"),
        (f"{tmp_path}/{'x' * 300}", "File name too long"),
    ):
        form = "parquet" if out.endswith("/") else "jsonl"
        done = cli("run", path, *RECIPE, "--to", out, "--format", form, code=None)
        assert done.code in (1, 2), done
        assert reason in done.err
    assert valar.executions()["total"] == 0
    assert (tmp_path / "file").read_text() == "kept"


def test_the_longest_name(tmp_path, path, cli) -> None:
    """A name that just fits can be written: the file beside it has a shorter one."""
    out = tmp_path / f"{'é' * 120}.jsonl"
    cli("run", path, *RECIPE, "--to", out)
    assert len(out.read_bytes().splitlines()) == 5


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("out.jsonl", "exists, and this run did not write it"),
        ("parts/", "holds files that this run did not write"),
    ],
)
def test_an_output_that_exists(tmp_path, path, cli, valar, name, reason) -> None:
    """What another wrote is refused before anything is sent, and not touched."""
    out = tmp_path / name
    file = out / "part-00000.parquet" if name == "parts/" else out
    file.parent.mkdir(exist_ok=True)
    file.write_text("precious")
    done = cli("run", path, *RECIPE, "--to", f"{tmp_path}/{name}", code=2)
    assert f"{out} {reason}" in done.err
    assert "--overwrite" in done.err
    assert file.read_text() == "precious"
    assert valar.executions()["total"] == 0
    cli("run", path, *RECIPE, "--to", f"{tmp_path}/{name}", "--overwrite")
    assert file.read_bytes() != b"precious"
    assert valar.ran_once(5)


def test_killed_while_writing(tmp_path, cli) -> None:
    """kill -9 in the middle of an output: the old file is whole, and the next clears up."""
    path, out = write_rows(tmp_path / "in.jsonl", 4000), tmp_path / "out.jsonl.gz"
    cli("run", path, *RECIPE, "--to", tmp_path / "first.jsonl")
    out.write_text("precious")
    killed = 0
    while killed < 3:
        process = cli.start("fetch", "--to", out, "--overwrite", "--quiet")
        while process.poll() is None and not list(tmp_path.glob(".out.jsonl.gz.*.partial")):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if killed:
            assert out.read_text() == "precious"
            assert len(list(tmp_path.glob(".out.jsonl.gz.*.partial"))) == 1
    cli("fetch", "--to", out, "--overwrite", "--quiet")
    assert gzip.decompress(out.read_bytes()) == (tmp_path / "first.jsonl").read_bytes()
    assert not list(tmp_path.glob(".out*"))
