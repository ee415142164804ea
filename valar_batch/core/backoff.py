"""How long to wait before asking again, for how long at all, and how many to ask at once.

Pure arithmetic, which serves both the control calls and the fan-out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isnan

BASE = 0.5
CAP = 60.0
LONGEST_RETRY_AFTER = 86_400.0
UNREACHED_SECONDS = 60.0
"""How long a Valar is tried that never answered: a wrong address does not mend itself."""
OUTAGE_SECONDS = 86_400.0
"""How long one is waited for that did answer: a network that is away comes back, in a night."""
REMIND_SECONDS = 600.0
"""After so many seconds of an outage the user is told again that it lasts."""
LASTING_SECONDS = 10.0
"""The end of a shorter outage is not worth a word."""
ROUND = 16
"""The fewest answers that say how it goes: of fewer, one stray fault would be too large a share."""
TOLERATED = 8
"""A round is bad when more than one answer in this many is a fault."""
POLL_SOONEST = 0.5
POLL_LATEST_AT_FIRST = 60.0
POLL_LATEST = 300.0
POLL_GROWTH = 3.0
POLL_SHARE = 0.02
"""The most of the time that goes into polling one batch, and that its end is noticed late."""
POLL_CORE_SHARE = 0.015
"""The most of a core that goes into polling, of however many batches."""
FOUND_SECONDS = 20e-6
"""What a poll may cost for each result that it finds: a fraction of what fetching one costs."""


def backoff_delay(attempt: int, *, jitter: float, retry_after: float | None = None) -> float:
    """Seconds to wait after the `attempt`-th failure (from 1).

    Doubles from half a second to a minute, spread by `jitter` in [0, 1) over the upper half, so
    that clients that failed together do not come back together. What the server asks for with
    Retry-After is never undercut.
    """
    ceiling = min(CAP, BASE * 2.0 ** min(attempt - 1, 16))
    delay = ceiling * (0.5 + jitter / 2)
    return delay if retry_after is None else max(retry_after, 0.0) + delay / 10


def next_try(
    failures: int,
    failing_for: float,
    *,
    patience: float,
    jitter: float,
    retry_after: float | None = None,
) -> float | None:
    """Seconds until what failed `failures` times is tried again; None where it is given up.

    `failing_for` is the time since the first of these failures. The last try comes when `patience`
    seconds are over, or when the server allows it.
    """
    if failing_for >= patience:
        return None
    delay = backoff_delay(failures, jitter=jitter, retry_after=retry_after)
    return delay if retry_after is not None else min(delay, patience - failing_for)


@dataclass(slots=True)
class Contact:
    """Whether Valar answers, as the calls of one command find, and what to say of it.

    `patience` is for a Valar that has answered. Times are seconds of any one clock.
    """

    patience: float = UNREACHED_SECONDS
    has_answered: bool = False
    failing_since: float | None = None
    told_at: float | None = None

    @property
    def limit(self) -> float:
        """For how long a failing call is repeated."""
        return self.patience if self.has_answered else min(self.patience, UNREACHED_SECONDS)

    def failed(self, now: float, delay: float) -> bool:
        """Note a failure that is followed by a wait of `delay`; whether the user is to be told.

        Once for an outage, and again where the wait is longer than usual or it goes on for long.
        """
        if self.failing_since is None:
            self.failing_since, self.told_at = now, None
        if self.told_at is None or delay > CAP or now - self.told_at >= REMIND_SECONDS:
            self.told_at = now
            return True
        return False

    def lasted(self, now: float) -> float:
        """Seconds for which there were only failures."""
        return 0.0 if self.failing_since is None else now - self.failing_since

    def answered(self, now: float) -> float:
        """Note an answer; gives how long there was none, where the user is to be told, else 0."""
        lasted = self.lasted(now)
        self.has_answered, self.failing_since = True, None
        return lasted if lasted >= LASTING_SECONDS else 0.0


def parse_retry_after(header: str | None, *, date: str | None, now: float) -> float | None:
    """Seconds from a Retry-After header: delta-seconds or an HTTP date (RFC 9110, 10.2.3).

    A date is read against the answer's own `date` header, for this machine's clock may be wrong;
    only without one against `now`, Unix time in seconds. An unusable value gives None, a date in
    the past 0, one beyond a day a day.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        until, since = _timestamp(header), _timestamp(date)
        if until is None:
            return None
        seconds = until - (now if since is None else since)
    return None if isnan(seconds) else min(max(0.0, seconds), LONGEST_RETRY_AFTER)


def _timestamp(text: str | None) -> float | None:
    """Read an HTTP date; one without a zone is UTC, wherever this machine stands."""
    try:
        date = parsedate_to_datetime((text or "").strip())
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def next_poll_delay(
    interval: float, moved: int, left: int, seconds: float, elapsed: float = 0.0
) -> float:
    """Seconds until a batch is polled again that has been watched for `elapsed` seconds.

    Later while nothing moves; while requests settle, about when a tenth of those left will have;
    never so often that polling, which took `seconds`, is more than its share, though one slow
    answer makes it no more than thrice as rare. A minute is always enough to wait, and after
    hours the same share of them, up to five minutes.
    """
    price = min(spent_in_vain(seconds, moved, left) / POLL_SHARE, interval * POLL_GROWTH)
    if moved == 0:
        interval *= 1.5
    elif left:
        interval *= min(1.5, max(0.5, left / (10 * moved)))
    latest = min(POLL_LATEST, max(POLL_LATEST_AT_FIRST, elapsed * POLL_SHARE))
    return min(latest, max(POLL_SOONEST, interval, price))


def spent_in_vain(seconds: float, moved: int, left: int) -> float:
    """What a poll cost beyond what it brought.

    Where at least as many requests settled as are left, the end is near, and the next poll is as
    good as paid for; that is so for at most log2 of them polls of a batch.
    """
    return 0.0 if moved >= left else max(0.0, seconds - moved * FOUND_SECONDS)


@dataclass(slots=True)
class PollBudget:
    """When polling may go on, so that all batches together stay within their share of a core.

    A poll takes CPU time by the size of the batch, so with many large ones it is this that makes
    polls rare, beyond what `next_poll_delay` asks for. Times are seconds of any one clock.
    """

    resumes_at: float = 0.0

    def polled(self, now: float, cpu: float, *, moved: int, left: int) -> None:
        """Note a poll that took `cpu` seconds, settled `moved` requests and left so many."""
        self.resumes_at = now + spent_in_vain(cpu, moved, left) / POLL_CORE_SHARE


@dataclass(slots=True)
class Concurrency:
    """How many requests may be under way: climbs while rounds of answers are good, else halves.

    A round is as many answers as may be under way. A good round doubles the limit until the first
    setback, and adds one after it; a bad round halves it. Faults (5xx, timeouts, lost connections)
    make a round bad only above a share: a server that drops one request in a hundred is no less
    able to take two hundred at once. Refusals (429) are no matter of how many at once, but of how
    many a second: see LearnedRate.
    """

    most: int
    limit: int = ROUND
    climbing: bool = True
    answers: int = 0
    faults: int = 0

    def __post_init__(self) -> None:
        self.limit = max(1, min(self.limit, self.most))

    def succeeded(self) -> None:
        """Count a good answer."""
        self.answers += 1
        if self.answers >= self.limit and self.answers >= ROUND:
            self._end_round()

    def faulted(self) -> None:
        """Count a 5xx, a timeout or a lost connection."""
        self.faults += 1
        self.succeeded()

    def _end_round(self) -> None:
        if self.faults * TOLERATED > self.answers:
            self.limit = max(1, self.limit // 2)
            self.climbing = False
        else:
            self.limit = min(self.most, self.limit * 2 if self.climbing else self.limit + 1)
        self.answers = self.faults = 0
