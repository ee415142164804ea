"""A disk that is full ends a command with one of our errors; with room, it goes on and is exact."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tests.conftest import MODEL, Cli, Served
from tests.disk.conftest import RECIPE, can_mount, check_output, refused, write_rows
from valar_batch.runs import id_index
from valar_batch.runs.draft import Draft
from valar_batch.runs.home import Home

FULL = "No space left on device"
BATCHES = ("--batch-size", "20")


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """A command line whose run is all here, with an output that is larger than some KB."""
    folder = tmp_path_factory.mktemp("fetched")
    path = noisy(folder / "in.jsonl", 40)
    served = Served(folder / "valar").start()
    told = {"VALAR_API_KEY": served.key, "VALAR_BASE_URL": served.base_url}
    cli = Cli(folder / "home", told)
    cli("run", path, *RECIPE, "--to", folder / "out.jsonl")
    served.stop()
    return cli


def noisy(path, count: int):
    """Write an input that does not compress: 6 KB a row on the disk, thrice."""
    noise = random.Random(5)  # noqa: S311 - the same in every run
    rows = [{"id": f"k{n}", "a": f"word{n} {noise.randbytes(6000).hex()}"} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def files_on(disk) -> int:
    """Count the files and folders on a disk."""
    told = os.statvfs(disk.path)
    return told.f_files - told.f_ffree


def free_on(disk, kilobytes: int) -> None:
    """Leave so much room on a disk."""
    told = os.statvfs(disk.path)
    used = (told.f_blocks - told.f_bfree) * told.f_frsize
    disk.resize(f"size={used // 1024 + kilobytes}k")


def test_while_preparing(tmp_path, valar, make_cli, make_disk) -> None:
    """Whatever room a draft had, nothing was sent and nothing of it stays; then all is sent."""
    path = noisy(tmp_path / "in.jsonl", 60)
    disk = make_disk("size=8k")
    cli = make_cli(valar, home="disk/home")
    for kilobytes in (8, 100, 300, 600):
        disk.resize(f"size={kilobytes}k")
        assert FULL in refused(cli("submit", path, *RECIPE, *BATCHES, code=None))
        assert not list(cli.home.glob("runs/run-*"))
        assert not list(cli.home.glob("runs/.preparing-*/*"))
    assert valar.executions()["total"] == 0
    disk.resize("size=8m")
    assert "MB are free beside" in refused(cli("submit", path, *RECIPE, *BATCHES, code=None))
    assert valar.executions()["total"] == 0
    disk.resize("size=100m")
    cli("submit", path, *RECIPE, *BATCHES)
    assert valar.ran_once(60)


def test_at_every_file(tmp_path, valar, make_cli, make_disk) -> None:
    """One more file fits each time: wherever submit, resume, fetch and retry stop, they go on."""
    path, out = write_rows(tmp_path / "in.jsonl", 60), tmp_path / "out.jsonl"
    disk = make_disk("nr_inodes=2")
    cli = make_cli(valar, home="disk/home")

    def grow(rooms, *arguments: object, until_run: bool = False) -> int:
        """Repeat a command with room for more files each time; gives how often it stopped."""
        for stops, files in enumerate(rooms):
            disk.resize(f"nr_inodes={files}")
            done = cli(*arguments, code=None)
            if done.code == 0:
                return stops
            assert FULL in refused(done)
            if until_run and list(cli.home.glob("runs/run-*")):
                return stops
        raise AssertionError("it never ends")

    assert grow(range(11, 60, 3), "submit", path, *RECIPE, *BATCHES, until_run=True) > 3
    assert valar.executions()["total"] < 60
    assert grow(count(files_on(disk)), "resume", "--quiet") > 1
    assert valar.ran_once(60)
    assert grow(count(files_on(disk)), "fetch", "--to", out, "--quiet") > 1
    check_output(out, 60)
    assert valar.ran_once(60)
    chosen = tmp_path / "ids.txt"
    chosen.write_text("k3\nk41\n")
    assert grow(count(files_on(disk), 3), "retry", "--rows", chosen, "--quiet") > 1
    grow(count(files_on(disk), 3), "fetch", "--to", out, "--quiet")
    check_output(out, 60)
    told = valar.executions()
    assert (told["total"], told["distinct"]) == (62, 60)
    assert {entry["custom_id"] for entry in told["repeated"]} == {"k3", "k41"}


@pytest.mark.parametrize("limit", ["disk", "file size"])
def test_while_fetching(tmp_path, valar, make_cli, make_disk, limit) -> None:
    """What was fetched before the disk was full is kept, and the rest comes with more room."""
    path, out = write_rows(tmp_path / "in.jsonl", 400), tmp_path / "out.jsonl"
    disk = make_disk("size=200m") if limit == "disk" else None
    cli = make_cli(valar, home="disk/home")
    cli("submit", path, *RECIPE)
    stops = 0
    for kilobytes in (0, 4, 8, 16, 512):
        if disk is not None:
            free_on(disk, kilobytes)
            done = cli("fetch", "--to", out, "--quiet", code=None)
        else:
            done = limited(cli, kilobytes, "fetch", "--to", out, "--quiet")
        if done.code == 0:
            break
        assert (FULL if disk else "File too large") in refused(done)
        stops += 1
        assert not list(tmp_path.glob("*.partial"))
    assert stops > 1
    check_output(out, 400)
    assert valar.ran_once(400)


def limited(cli, kilobytes: int, *arguments: object):
    """Run a command that can write no file larger than so many KB."""
    code = (
        "import resource, runpy, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes << 10}, {kilobytes << 10}))\n"
        "runpy.run_module('valar_batch', run_name='__main__', alter_sys=True)"
    )
    return replace(cli, command=(sys.executable, "-c", code))(*arguments, code=None)


@pytest.mark.parametrize("name", ["out.parquet", "out.csv.gz", "parts/"])
def test_the_output(tmp_path, fetched, make_disk, name) -> None:
    """An output that does not fit leaves nothing of itself, and what was there before as it was."""
    cli = fetched
    disk = make_disk("size=200m", name="outputs")
    out = f"{disk.path}/{name}"
    free_on(disk, 8)
    assert FULL in refused(cli("fetch", "--to", out, "--quiet", code=None))
    assert [path for path in disk.path.rglob("*") if path.is_file()] == []
    disk.resize("size=200m")
    cli("fetch", "--to", out, "--quiet")
    before = {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
    free_on(disk, 8)
    assert FULL in refused(cli("fetch", "--to", out, "--quiet", code=None))
    after = {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
    assert after == before
    assert before


def spill(home: Home) -> None:
    """Write more digests of ids than a small disk holds."""
    with Draft(home) as draft:
        index = id_index.IdIndex(draft.path / "ids")
        for row in range(100_000):
            index.add(f"k{row}", row)


def test_the_index_of_ids(make_disk) -> None:
    """Where the digests of ids do not fit, the draft is named and removed."""
    home = Home(make_disk("size=64k").path / "home")
    held, id_index.SPILL_BYTES = id_index.SPILL_BYTES, 24_000
    try:
        with pytest.raises(OSError, match=FULL) as raised:
            spill(home)
    finally:
        id_index.SPILL_BYTES = held
    assert Path(raised.value.filename).is_relative_to(home.runs_path)
    assert list(home.runs_path.iterdir()) == []


def test_the_local_valar(tmp_path, make_cli, make_disk) -> None:
    """A local Valar that finds no room stops the command; with room, the rehearsal is complete."""
    path, out = write_rows(tmp_path / "in.jsonl", 60), tmp_path / "out.jsonl"
    disk = make_disk("size=40k", name="home/local")
    cli = make_cli(VALAR_BASE_URL="local")
    said = refused(cli("run", path, *RECIPE, "--to", out, code=None))
    assert said == "error: the local Valar stopped as it started"
    disk.resize("size=4m")
    cli("run", path, *RECIPE, "--to", out)
    check_output(out, 60)


def test_a_served_valar(serve, make_disk) -> None:
    """A local Valar whose disk fills says so, goes on, and takes the same batch once with room."""
    disk = make_disk("size=4m", name="valar")
    valar = serve()
    params = {"model": MODEL, "input": "a" * 500}
    requests = [{"custom_id": f"k{n}", "params": params} for n in range(60)]
    body = json.dumps({"endpoint": "/v1/responses", "requests": requests}).encode()
    free_on(disk, 0)
    status, answer = post(valar, "/v1/batches", body)
    message = "the local Valar failed: database or disk is full: its log says more"
    assert (status, answer["error"]["message"]) == (500, message)
    assert valar.executions()["total"] == 0
    disk.resize("size=4m")
    batch = post(valar, "/v1/batches", body)
    assert batch[0] == 200
    assert post(valar, "/v1/batches", body) == batch
    assert valar.ran_once(60)


def post(valar, path: str, body: bytes) -> tuple[int, dict]:
    """Send a body under one idempotency key, past our own client."""
    headers = {
        "Authorization": f"Bearer {valar.key}",
        "Content-Type": "application/json",
        "Idempotency-Key": "the same",
    }
    url = f"http://127.0.0.1:{valar.port}{path}"
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.skipif(can_mount(), reason="the other tests of this file mount as they are")
def test_in_a_namespace() -> None:
    """Where only a namespace may mount, this file is tested in one."""
    inside = ("unshare", "--map-root-user", "--mount")
    if not shutil.which("unshare") or subprocess.run([*inside, "true"], check=False).returncode:
        pytest.skip("no namespace can be made here")
    command = [*inside, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
