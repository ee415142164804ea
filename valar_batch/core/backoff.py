"""How long to wait before asking again, and how many to ask at once: pure arithmetic.

One function serves both the control calls and the fan-out.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

BASE = 0.5
CAP = 60.0


def backoff_delay(attempt: int, *, jitter: float, retry_after: float | None = None) -> float:
    """Seconds to wait after the `attempt`-th failure (from 1).

    Doubles from half a second to a minute, spread by `jitter` in [0, 1) over the upper half, so
    that clients that failed together do not come back together. What the server asks for with
    Retry-After is never undercut.
    """
    ceiling = min(CAP, BASE * 2.0 ** min(attempt - 1, 16))
    delay = ceiling * (0.5 + jitter / 2)
    return delay if retry_after is None else max(retry_after, 0.0) + delay / 10


def parse_retry_after(header: str | None, *, now: float) -> float | None:
    """Seconds from a Retry-After header: delta-seconds or an HTTP date (RFC 9110, 10.2.3).

    `now` is Unix time in seconds. An unusable value gives None; a date in the past gives 0.
    """
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except ValueError:
            return None
    return max(0.0, seconds) if seconds < float("inf") else None


@dataclass(slots=True)
class Concurrency:
    """How many requests may be under way: climbs while answers are good, halves when they are not.

    Additive increase by one per full round of good answers (doubling until the first refusal),
    multiplicative decrease at most once per round, so that one burst of refusals counts once.
    """

    most: int
    limit: int = 8
    climbing: bool = True
    good: int = 0
    cooling: int = 0

    def __post_init__(self) -> None:
        self.limit = min(self.limit, self.most)

    def succeeded(self) -> None:
        """Count a good answer."""
        self.cooling = max(0, self.cooling - 1)
        self.good += 1
        if self.good >= self.limit:
            self.good = 0
            step = self.limit if self.climbing else 1
            self.limit = min(self.most, self.limit + step)

    def refused(self) -> None:
        """Count a 429, a 5xx or a timeout."""
        self.climbing = False
        self.good = 0
        if self.cooling == 0:
            self.limit = max(1, self.limit // 2)
            self.cooling = self.limit
