"""A row that was sent more than once: which attempt counts, and whether it may be sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valar_batch.core.statuses import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

UNANSWERED = frozenset({Status.FAILED, Status.CANCELLED, Status.MISSING})
"""What `retry` sends again unless it is told otherwise."""


def winner(statuses: Sequence[str]) -> int:
    """Give the place of the attempt that counts, of attempts from the oldest to the newest.

    It is the newest that completed, else the newest: a failed retry never replaces an answer.
    """
    newest = len(statuses) - 1
    return next((i for i in range(newest, -1, -1) if statuses[i] == Status.COMPLETED), newest)


def may_send_again(statuses: Sequence[str], wanted: Collection[str]) -> bool:
    """Whether a row may be sent again: nothing of it is under way, and what it has is `wanted`.

    An attempt is pending until its result is here, so a row is never sent while one is on its way.
    """
    return Status.PENDING not in statuses and statuses[winner(statuses)] in wanted
