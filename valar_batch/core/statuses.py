"""The words for what becomes of a request: Valar's, and those of the output.

Sources: API reference, Responses and Batches; the guides on background mode.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Status(StrEnum):
    """What became of a row: the words of the output's `status` column."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INVALID = "invalid"
    MISSING = "missing"
    PENDING = "pending"


STATUS_WORDS: Mapping[str, Status] = MappingProxyType(
    {
        "completed": Status.COMPLETED,
        "failed": Status.FAILED,
        "cancelled": Status.CANCELLED,
        "canceled": Status.CANCELLED,
        "pending": Status.PENDING,
        "running": Status.PENDING,
        "queued": Status.PENDING,
        "in_progress": Status.PENDING,
    }
)
"""Every status word that Valar's reference and guides use, folded to lower case."""

TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


def remote_status(word: str) -> Status | None:
    """What a status word of Valar means, in either vocabulary and any case; None if unknown.

    An unknown word is never terminal.
    """
    return STATUS_WORDS.get(word.casefold())
