"""Small disks: file systems of their own that are full, and that are given room."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.conftest import MODEL, Finished

RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--id", "id", "--quiet")


class Disk:
    """A tmpfs. `room` bounds it: `size=` in bytes or `nr_inodes=` in files and folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)

    def mount(self, room: str) -> bool:
        """Put it in its place; whether that is allowed here."""
        command = ["mount", "-t", "tmpfs", "-o", f"{room},mode=0755", "none", str(self.path)]
        with contextlib.suppress(FileNotFoundError):
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        return False

    def resize(self, room: str) -> None:
        """Give it more room, or less."""
        subprocess.run(["mount", "-o", f"remount,{room}", str(self.path)], check=True)

    def unmount(self) -> None:
        """Take it away, whoever still has it open."""
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)


def can_mount() -> bool:
    """Whether a disk can be mounted here."""
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder, "disk"))
        is_mounted = disk.mount("size=4k")
        disk.unmount()
    return is_mounted


@pytest.fixture
def make_disk(tmp_path):
    """Make small disks; where that is not allowed, the test is skipped."""
    made: list[Disk] = []

    def make(room: str, name: str = "disk") -> Disk:
        disk = Disk(tmp_path / name)
        if not disk.mount(room):
            pytest.skip("no file system can be mounted here")
        made.append(disk)
        return disk

    yield make
    for disk in made:
        disk.unmount()


def write_rows(path: Path, count: int, extra: str = "") -> Path:
    """Write an input; its ids are `k0`, `k1`, …"""
    rows = ({"id": f"k{n}", "a": f"word{n}{extra}"} for n in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def check_output(path: Path, count: int) -> None:
    """Every row once, in order, with its own answer."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"k{n}" for n in range(count)]
    for row in rows:
        assert row["status"] == "completed"
        assert row["a"].split()[0] in row["output_text"].split()


def refused(done: Finished) -> str:
    """Check that a command ended with one of our errors, and a hint; gives what it said."""
    assert done.code == 1, f"exit {done.code}\n{done.out}\n{done.err}"
    assert "Traceback" not in done.err
    assert "Exception ignored" not in done.err
    message, _, hint = done.err[done.err.index("error: ") :].partition("\n")
    assert hint.strip(), done.err
    return message
