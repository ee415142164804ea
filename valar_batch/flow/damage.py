"""Results that were here and are damaged: they are fetched again, which costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from valar_batch.core.lifecycle import BatchState
from valar_batch.errors import StateError
from valar_batch.flow.events import Notice, in_use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from valar_batch.flow.events import Reporter
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.run import Run

T = TypeVar("T")


class DamagedResults(StateError):
    """Results of a collected batch are damaged on the disk; they are still at Valar."""

    def __init__(self, title: str, path: Path) -> None:
        super().__init__(
            f"results of {title} are damaged: {path}",
            hint="repeat the command: they are fetched again",
        )


def mending(run: Run, report: Reporter, work: Callable[[], T], *, is_repeatable: bool = True) -> T:
    """Do what joins a run, and once more where results are damaged, which are opened again then.

    So results are read once where they are whole. `is_repeatable`: what `work` writes can be
    written anew; else results are looked at beforehand.
    """
    if not is_repeatable:
        reopen_damaged(run, report)
    try:
        return work()
    except DamagedResults:
        if not reopen_damaged(run, report):
            raise
        return work()


def reopen_damaged(run: Run, report: Reporter) -> bool:
    """Open the collected batches again whose results are damaged here; gives whether one is.

    This reads all that was fetched before.
    """
    return any([reopened(folder, report) for folder in run.all_batches])  # noqa: C419 - every one


def reopened(folder: BatchFolder, report: Reporter) -> bool:
    """Open a batch again where it is collected and its results are damaged."""
    record = folder.read()
    if record.state is not BatchState.COLLECTED or folder.has_results(record):
        return False
    with folder.writing(in_use(record.title, report)):
        if folder.read().state is BatchState.COLLECTED and not folder.has_results(record):
            folder.mark_damaged()
    report(Notice(f"{record.title}: results are damaged on the disk, and are fetched again"))
    return True
