"""A folder of Parquet files, one for each batch of a run, that reads as one dataset."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

PART = re.compile(r"part-\d{5,}\.parquet")
RUN_ID = b"valar_batch.run_id"


def part_path(folder: Path, number: int) -> Path:
    """Give the file of a batch."""
    return folder / f"part-{number:05d}.parquet"


def place_beside(folder: Path) -> Path | None:
    """Give what unfinished parts are put beside: the folder, so that nobody reads them in it.

    None is the part itself, where the folder is the top of a file system of its own, or is in one
    that may not be written to.
    """
    place = folder.resolve()
    is_top = place.stat().st_dev != place.parent.stat().st_dev
    may_write = os.access(place.parent, os.W_OK | os.X_OK)
    return place if may_write and not is_top else None


def writers_of(folder: Path) -> set[str]:
    """Name the runs that wrote what is in a folder; an empty name stands for anything else.

    Hidden files do not count: other tools leave them out, too.
    """
    return {
        run_of(path) if PART.fullmatch(path.name) else ""
        for path in folder.iterdir()
        if not path.name.startswith(".")
    }


def run_of(path: Path) -> str:
    """Name the run that wrote a part, by its metadata."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return ""
    name: bytes = metadata.get(RUN_ID, b"")
    return name.decode(errors="replace")


def clear_folder(folder: Path, run_id: str) -> None:
    """Make the folder, and remove the parts of other runs, which would be read as rows of it."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if PART.fullmatch(path.name) and run_of(path) != run_id:
            path.unlink()
