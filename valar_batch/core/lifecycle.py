"""A batch's life: recorded state and what Valar says give the next step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DOUBT_LIMIT_SECONDS = 3600.0
"""How old an intent may be before a repeat is left to the user: Valar does not publish how long it
keeps an idempotency reservation."""


class BatchState(StrEnum):
    """Where a batch stands, as recorded on disk."""

    PREPARED = "prepared"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    SETTLED = "settled"
    COLLECTED = "collected"


MOVES: Mapping[BatchState, frozenset[BatchState]] = MappingProxyType(
    {
        BatchState.PREPARED: frozenset({BatchState.SUBMITTING, BatchState.SUBMITTED}),
        BatchState.SUBMITTING: frozenset(
            {BatchState.PREPARED, BatchState.SUBMITTING, BatchState.SUBMITTED}
        ),
        BatchState.SUBMITTED: frozenset({BatchState.SETTLED, BatchState.COLLECTED}),
        BatchState.SETTLED: frozenset({BatchState.SETTLED, BatchState.COLLECTED}),
        BatchState.COLLECTED: frozenset({BatchState.SUBMITTED}),
    }
)
"""Which states may follow which: submitting goes back to prepared when Valar refused the call,
collected to submitted when results were damaged on the disk."""


@dataclass(frozen=True, slots=True)
class Send:
    """Nothing speaks against sending the batch."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """The batch is at Valar already, under this id."""

    batch_id: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """The batch may be at Valar and cannot be found: only the user may decide."""

    reason: str


def before_sending(
    state: BatchState,
    *,
    found: str | None,
    same_key: bool,
    intent_age: float,
    resend: bool,
) -> Send | Adopt | Doubt:
    """What to do with a batch that is not known to have arrived.

    `found` is the id of the batch with this label and count at Valar, if there is one; `same_key`
    whether the API key is the one that the intent was recorded under; `intent_age` the seconds
    since then. An idempotency reservation belongs to one key and lasts an unpublished time, so a
    doubtful POST is repeated only under the same key and within the hour.
    """
    if found is not None:
        return Adopt(found)
    if state is not BatchState.SUBMITTING or resend:
        return Send()
    if not same_key:
        return Doubt("it was sent under another API key, and an idempotency key belongs to one key")
    if not 0 <= intent_age <= DOUBT_LIMIT_SECONDS:
        return Doubt("the attempt is over an hour old, and Valar may have forgotten its key")
    return Send()
