"""The one place that turns what happened into an exit status."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from valar_batch.errors import BillingRefused, InputError, KeyRefused, UsageError, ValarBatchError

if TYPE_CHECKING:
    from valar_batch.flow.join import Summary


class Exit(IntEnum):
    """The exit statuses of every command."""

    DONE = 0
    STOPPED = 1
    USAGE = 2
    INCOMPLETE_ROWS = 3
    NOT_FINISHED = 4
    REFUSED = 5
    INVALID_INPUT = 6
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


ERRORS: tuple[tuple[type[ValarBatchError], Exit], ...] = (
    (UsageError, Exit.USAGE),
    (InputError, Exit.INVALID_INPUT),
    (KeyRefused, Exit.REFUSED),
    (BillingRefused, Exit.REFUSED),
    (ValarBatchError, Exit.STOPPED),
)


def status_of_error(error: ValarBatchError) -> Exit:
    """Give the exit status for an error."""
    return next(status for kind, status in ERRORS if isinstance(error, kind))


def status_of_output(summary: Summary) -> Exit:
    """Give the exit status for an output that was written."""
    if summary.statuses["pending"]:
        return Exit.NOT_FINISHED
    return Exit.DONE if summary.is_complete else Exit.INCOMPLETE_ROWS
