"""Results that were here and are damaged: they are fetched again, which costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valar_batch.core.lifecycle import BatchState
from valar_batch.flow.events import Notice, in_use

if TYPE_CHECKING:
    from valar_batch.flow.events import Reporter
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.run import Run


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
