"""Folders and files that may not be read or written, and disks that are read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import COMMAND
from tests.disk.conftest import RECIPE, check_output, refused, write_rows

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> tuple[str, ...]:
    """What makes a command run as somebody for whom permissions hold."""
    if os.getuid() != 0:
        return ()
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    try:
        probe = subprocess.run([*NOBODY, "ls", closed], capture_output=True, check=False)
        helps = subprocess.run([*NOBODY, *COMMAND, "--version"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("permissions do not hold for root, and there is no setpriv")
    if probe.returncode == 0 or helps.returncode:
        pytest.skip("permissions do not hold for root, and nobody else can run the program")
    return NOBODY


@pytest.fixture
def place():
    """A folder that others can reach."""
    path = Path(tempfile.mkdtemp(prefix="valar-batch-"))
    path.chmod(0o755)
    yield path
    for folder in (path, *path.rglob("*")):
        if folder.is_dir():
            folder.chmod(0o700)
    shutil.rmtree(path)


@pytest.fixture
def mortal(prefix, place, valar, make_cli):
    """A command line without root's privileges, its home in a place that is its own."""
    cli = make_cli(valar)
    cli = replace(cli, home=place / "home", command=(*prefix, *COMMAND))
    own(place)
    return cli


def own(place: Path) -> None:
    """Give a folder and all in it to the one who runs the commands."""
    if os.getuid() == 0:
        for path in (place, *place.rglob("*")):
            os.chown(path, 65534, 65534)


def test_a_home_that_cannot_be(mortal, place, valar) -> None:
    """A home that may not be made or written to is refused before anything is sent."""
    path = write_rows(place / "in.jsonl", 3)
    (place / "file").write_text("")
    for name, mode in (("closed", 0o555), ("made", 0o500)):
        (place / name).mkdir()
        (place / name).chmod(mode)
    own(place)
    (place / "theirs").mkdir()
    (place / "theirs").chmod(0o777)
    theirs = ("theirs",) if os.getuid() == 0 else ()
    for name in ("file", "file/home", "closed/home", "made", *theirs):
        home = place / name
        cli = replace(mortal, home=home)
        said = refused(cli("submit", path, *RECIPE, code=None))
        assert said.startswith(f"error: the home folder {home} cannot be used: ")
    assert valar.executions()["total"] == 0


@pytest.mark.parametrize("name", ["run.json", "batches/00000/rows.arrow"])
def test_what_may_not_be_read(mortal, place, valar, name) -> None:
    """It is named, with the way to read it again, and no other run stops for it."""
    path, out = write_rows(place / "in.jsonl", 3), place / "out.jsonl"
    other = write_rows(place / "other.jsonl", 2, " more")
    own(place)
    mortal("submit", other, *RECIPE, "--name", "other")
    run = mortal("submit", path, *RECIPE).out.strip()
    closed = mortal.home / "runs" / run / name
    mode = closed.stat().st_mode
    closed.chmod(0)
    done = mortal("fetch", run, "--to", out, code=None)
    assert f"{closed}" in refused(done)
    assert f"chmod -R u+rwX {mortal.home}/runs/{run}" in done.err
    assert run in mortal("list").out
    mortal("fetch", "other", "--to", place / "other.out.jsonl", "--quiet")
    closed.chmod(mode)
    mortal("fetch", run, "--to", out, "--quiet")
    check_output(out, 3)
    assert valar.ran_once(5)


def test_an_output_that_cannot_be(mortal, place, valar) -> None:
    """A place that cannot be written to is refused before anything is sent."""
    path = write_rows(place / "in.jsonl", 3)
    (place / "parts").mkdir()
    own(place)
    for name in ("out.jsonl", "out.parquet", "new-parts/", "parts/"):
        folder = place / ("parts" if name == "parts/" else "")
        folder.chmod(0o555)
        done = mortal("run", path, *RECIPE, "--to", f"{place}/{name}", code=2)
        folder.chmod(0o755)
        assert f"the folder {folder} is not yours to write to, or read-only" in done.err
    assert valar.executions()["total"] == 0


def test_a_folder_in_a_closed_one(mortal, place) -> None:
    """Parts go into a folder that is the user's, also where the folder around it is not."""
    path = write_rows(place / "in.jsonl", 3)
    (place / "closed" / "parts").mkdir(parents=True)
    own(place)
    (place / "closed").chmod(0o555)
    mortal("run", path, *RECIPE, "--to", f"{place}/closed/parts/")
    names = [part.name for part in (place / "closed").rglob("*")]
    assert names == ["parts", "part-00000.parquet"]


def test_a_read_only_disk(tmp_path, valar, make_cli, make_disk) -> None:
    """What is there is shown; nothing is sent that could not be kept, or written in the end."""
    path, disk = write_rows(tmp_path / "in.jsonl", 3), make_disk("size=200m")
    cli = make_cli(valar, home="disk/home")
    run = cli("submit", path, *RECIPE).out.strip()
    disk.resize("ro")
    assert run in cli("list").out
    assert cli.json("status", run)["run"] == run
    refused(cli("fetch", run, "--to", tmp_path / "out.jsonl", code=None))
    path = write_rows(path, 5, " more")
    said = refused(cli("submit", path, *RECIPE, code=None))
    assert said == f"error: the home folder {cli.home} cannot be used: Read-only file system"
    elsewhere = cli.elsewhere(tmp_path / "home")
    done = elsewhere("run", path, *RECIPE, "--to", disk.path / "out.csv", code=2)
    assert f"the folder {disk.path} is not yours to write to, or read-only" in done.err
    assert valar.ran_once(3)
    disk.resize("rw")
    cli("fetch", run, "--to", tmp_path / "out.jsonl", "--quiet")
    check_output(tmp_path / "out.jsonl", 3)
