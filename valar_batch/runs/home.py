"""The home folder: where runs live, how one is found, and the salt of key fingerprints."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from valar_batch import durable
from valar_batch.core.identity import FOREIGN_PREFIX, RunId, key_fingerprint
from valar_batch.errors import StateError
from valar_batch.runs.part import Part
from valar_batch.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator


RUN_FOLDER = re.compile(rf"(run-|{FOREIGN_PREFIX})[0-9a-f]{{16}}(-[0-9]+)?")
"""What a folder is called that is used; a copy under another name is left alone."""

SHOWN_IDS = 10
SALT_BYTES = 32


class Home:
    """`$VALAR_BATCH_HOME`: made on first use, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs_path = path / "runs"

    def create(self) -> None:
        """Make the folders. Raises StateError where that cannot be."""
        try:
            self.runs_path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
        except OSError as error:
            if error.errno in durable.FULL:
                raise
            raise StateError(
                f"the home folder {self.path} cannot be used: {error.strerror}",
                hint="set VALAR_BATCH_HOME to a folder that you may write to",
            ) from error

    def runs(self) -> list[Run]:
        """Every run here that can be read, newest first."""
        found = [run for run in self.folders() if not run.is_foreign and run.is_readable()]
        return sorted(found, key=lambda run: (-run.record.created_at, run.id))

    def foreign(self) -> Iterator[Run]:
        """Every batch from elsewhere whose answers are kept here and can be read."""
        yield from (run for run in self.folders() if run.is_foreign and run.is_readable())

    def folders(self) -> list[Run]:
        """Every folder of a run or of a batch from elsewhere, also one that cannot be read."""
        try:
            paths = list(self.runs_path.iterdir())
        except FileNotFoundError:
            return []
        return [Run(path) for path in paths if RUN_FOLDER.fullmatch(path.name)]

    def lookup(self, name: str | None) -> Run | None:
        """Find a run by its id, the beginning of it, or its `--name`; None is the latest run.

        Raises StateError where several could be meant, or where there is no run at all.
        """
        if name == "":
            raise StateError("the run has no name", hint="leave it out to mean the latest run")
        folders = [run for run in self.folders() if not run.is_foreign or run.id == name]
        if (run := next((run for run in folders if run.id == name), None)) is not None:
            return run
        known = self.runs()
        if name is None:
            newer = known[0].record.created_at if known else 0.0
            for run in folders:
                if not run.is_readable() and run.path.stat().st_mtime >= newer:
                    raise StateError(
                        f"the latest run may be {run.id}, which cannot be read",
                        hint=f"name the run that is meant; `valar-batch status {run.id}` says what "
                        "is wrong with that one",
                    )
            if known:
                return known[0]
            raise StateError(
                f"there are no runs in {self.path}",
                hint="`valar-batch submit INPUT` makes one; VALAR_BATCH_HOME says where to look",
            )
        for run in known:
            if run.record.name == name:
                return run
        matches = [run for run in folders if run.id.startswith(name)]
        if len(matches) > 1:
            ids = ", ".join(run.id for run in matches[:SHOWN_IDS])
            more = ", …" if len(matches) > SHOWN_IDS else ""
            raise StateError(f"{name!r} could be any of: {ids}{more}", hint="give more of the id")
        return matches[0] if matches else None

    def find(self, name: str | None) -> Run:
        """Find a run as `lookup` does, or a batch from elsewhere. Raises StateError for none."""
        if (run := self.lookup(name)) is not None:
            return run
        for run in self.foreign():
            if run.record.name == name:
                return run
        if name is not None and (part := self.batch(name)) is not None:
            raise StateError(f"{name} is a batch of {part.id}", hint=f"name the run: {part.id}")
        raise self.unknown(name)

    def batch(self, batch_id: str) -> Part | None:
        """Find a batch of a run here by its id at Valar."""
        for run in self.runs():
            with contextlib.suppress(StateError):  # of another run, or named by its run
                for batch in run.all_batches:
                    if batch.read().batch_id == batch_id:
                        return Part(run, batch)
        return None

    def unknown(self, name: str | None) -> StateError:
        """Say that there is no such run."""
        return StateError(
            f"no run {name!r} in {self.path}",
            hint="`valar-batch list` shows the runs; VALAR_BATCH_HOME says where to look",
        )

    def generations(self, digest: str) -> list[Run]:
        """Every run of the same work that is here, the first generation first."""
        base = str(RunId(digest))
        found = [run for run in self.folders() if run.id == base or run.id.startswith(f"{base}-")]
        return sorted(found, key=lambda run: run.record.generation)

    def problems_path(self, source: str) -> Path:
        """Where the problems of a refused input are listed: one file for each input."""
        folder = self.path / "problems"
        folder.mkdir(exist_ok=True, mode=0o700)
        name = re.sub(r"[^\w.-]+", "_", Path(source).name) if source != "-" else "stdin"
        mark = hashlib.sha256(os.fsencode(Path(source).absolute())).hexdigest()[:8]
        return folder / f"{name}-{mark}.jsonl"

    def fingerprint(self, api_key: str) -> str:
        """Tell API keys apart without keeping them."""
        self.create()
        path = self.path / "salt"
        with filelock.FileLock(self.path / "salt.lock"):
            if not path.exists() or path.stat().st_size != SALT_BYTES:
                durable.write_file(path, secrets.token_bytes(SALT_BYTES), mark="writer")
        return key_fingerprint(api_key, path.read_bytes())
