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
CLOCK_STEP_SECONDS = 60.0
"""How far ahead an intent may be: clocks are put right by seconds all the time."""

FEWEST_ASKED = 5
"""A result is asked for at least so often before it is missing."""
LONGEST_GAP_SECONDS = 60.0
"""The most that counts between two answers: where there was an outage or the machine slept, it was
not asked for."""
FAULT_FACTOR = 6
"""How much longer a result is asked for that Valar does not deny, but cannot give."""


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
    if intent_age < -CLOCK_STEP_SECONDS:
        return Doubt("the attempt lies in the future, so the clock was set and its age is unknown")
    if intent_age > DOUBT_LIMIT_SECONDS:
        return Doubt("the attempt is over an hour old, and Valar may have forgotten its key")
    return Send()


@dataclass(slots=True)
class Tries:
    """The tries of one POST: since when one may have arrived, on a clock that nobody sets."""

    doubtful_since: float | None = None

    @property
    def are_doubtful(self) -> bool:
        """Whether one may have arrived."""
        return self.doubtful_since is not None

    def may_have_arrived(self, began: float) -> None:
        """Note a try that began then and ended without a word."""
        if self.doubtful_since is None:
            self.doubtful_since = began

    def age(self, now: float) -> float:
        """Seconds since the first that may have arrived."""
        return 0.0 if self.doubtful_since is None else now - self.doubtful_since

    def may_repeat(self, now: float) -> bool:
        """Whether Valar still knows the idempotency key, should one have arrived."""
        return self.age(now) <= DOUBT_LIMIT_SECONDS


@dataclass(slots=True)
class Vain:
    """How often a result was asked for in vain, and over how many seconds, while Valar was well."""

    times: int = 0
    seconds: float = 0.0
    last: float | None = None

    def answered(self, now: float) -> None:
        """Count an answer without the result, at `now` seconds of any clock."""
        if self.last is not None:
            self.seconds += min(now - self.last, LONGEST_GAP_SECONDS)
        self.last = now
        self.times += 1

    def interrupted(self) -> None:
        """Valar was not well: the time until the next answer does not count."""
        self.last = None

    def is_enough(self, missing_after: float, *, is_fault: bool) -> bool:
        """Whether the result is missing, by an answer that is a fault or a plain no."""
        limit = missing_after * FAULT_FACTOR if is_fault else missing_after
        return self.times >= FEWEST_ASKED and self.seconds >= limit
