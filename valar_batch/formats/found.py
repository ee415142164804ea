"""Which files an input is: one, those of a folder, or those that a pattern matches."""

from __future__ import annotations

import fnmatch
import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from valar_batch.errors import InputError
from valar_batch.formats.source import COMPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".arrows": "arrow",
}


class Found(NamedTuple):
    """Paths in sorted order, each with the short name that problems of its rows have.

    `left_out` are files of a folder whose names tell no format.
    """

    files: Sequence[tuple[str, str]]
    left_out: Sequence[str] = ()


def find(text: str, *, any_name: bool = False) -> Found:
    """Find the files of an input. A file that exists is itself, whatever is in its name.

    With `any_name`, every visible file of a folder counts, not only those whose names tell their
    format. Raises InputError where there are none.
    """
    if not text:
        raise InputError("the input has no name", hint="give a file, a folder, a pattern, or -")
    path = Path(text)
    if path.is_dir():
        return in_folder(path, any_name=any_name)
    if os.path.lexists(text) or not glob.has_magic(text):
        return Found([(text, text)])
    found = set(glob.iglob(text, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute one
    matches = sorted(match for match in found if is_file(Path(match)))
    if not matches:
        hint = "** goes through folders; names that begin with a dot match only a pattern with one"
        raise InputError(f"{text}: no file matches", hint=hint)
    root = Path(*fixed_parts(path))
    return Found([(match, str(Path(match).relative_to(root))) for match in matches])


def in_folder(folder: Path, *, any_name: bool) -> Found:
    """Find the data files of a folder: not hidden, not marked with `_`, not in folders in it."""
    try:
        names = sorted(
            entry.name
            for entry in os.scandir(folder)
            if not entry.name.startswith((".", "_")) and entry.is_file()
        )
    except OSError as error:
        message = f"{folder}: the folder cannot be read: {error.strerror}"
        raise InputError(message, hint="check who may read it") from error
    telling = [name for name in names if any_name or told_by_name(name)]
    chosen = telling or names
    if not chosen:
        hint = f"for files deeper down give a pattern, as in '{folder / '**' / '*.csv'}'"
        raise InputError(f"{folder}: the folder has no data files", hint=hint)
    left_out = [name for name in names if name not in set(chosen)]
    return Found([(str(folder / name), name) for name in chosen], left_out)


def reads(text: str, path: Path) -> bool:
    """Whether an input of this name has a file at `path`, or would have one that is put there."""
    source, place = Path(text), path.resolve()
    if source.is_dir():
        folder = source.resolve()
        is_told = told_by_name(place.name) is not None
        return place == folder or (place.parent == folder and is_told)
    if os.path.lexists(text) or not glob.has_magic(text):
        return source.exists() and path.exists() and source.samefile(path)
    root = Path(*fixed_parts(source))
    pattern = str(root.resolve() / source.relative_to(root)).replace("**/", "**")
    if "**" in pattern:
        return fnmatch.fnmatch(str(place), pattern)
    return place.match(pattern)


def is_file(path: Path) -> bool:
    """Whether a match is a file or something else that is read like one."""
    return path.exists() and not path.is_dir()


def fixed_parts(pattern: Path) -> Iterable[str]:
    """Give the folders of a pattern before anything in it varies."""
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def told_by_name(name: str) -> str | None:
    """Tell a format by a name, looking below .gz and .zst."""
    path = Path(name.lower())
    return SUFFIXES.get(Path(path.stem).suffix if path.suffix in COMPRESSIONS else path.suffix)
