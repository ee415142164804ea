"""Removing run folders: never under a process that works on one, and never by halves."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from typing import TYPE_CHECKING

from valar_batch import durable, locks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from valar_batch.runs.run import Run

REMOVED_PREFIX = ".removing-"


def remove(run: Run, may_go: Callable[[Run], bool]) -> bool:
    """Remove a run's folder; gives whether it is gone. Raises InUse where another works on it.

    `may_go` is asked once nobody else can change the run any more. The folder is renamed first:
    from then on there is no such run, and what an interrupt leaves is swept later.
    """
    aside = run.path.with_name(f"{REMOVED_PREFIX}{run.id}-{secrets.token_hex(4)}")
    with contextlib.ExitStack() as stack:
        for path in lock_paths(run.path):
            stack.enter_context(locks.taken(path))
        for user in locks.users(run.path):
            raise locks.InUse(user)
        if not may_go(run):
            return False
        run.path.rename(aside)
        durable.sync_folder(aside.parent)
    shutil.rmtree(aside, ignore_errors=True)
    return True


def lock_paths(path: Path) -> list[Path]:
    """Name every lock under which something of a run is changed or read to the end."""
    folders = [*path.glob("batches/*"), *path.glob("retries/*/batches/*")]
    names = ("retries.lock", "outputs.lock", "rows.lock")
    return [*(path / name for name in names), *(folder / "lock" for folder in folders)]


def size_of(path: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
