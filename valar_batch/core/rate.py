"""How many requests a second Valar permits, as its refusals tell: cut by them, else it climbs."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

ROUND = 100
TOLERATED = 5
"""The rate is cut when more of a round's answers than these are refusals: less are not worth it,
and a server that refuses one in a hundred at random permits no less than others."""
SOON = 1.0
"""A refusal of what was sent so many seconds after a cut says that the cut was not enough."""
CUT, CUT_AGAIN = 0.8, 0.5
PLATEAU = 5.0
"""Seconds of waiting for this rate alone, after which it is where it was before the cut; more
where each cut costs a pause."""
LEAST = 10.0
SPARE = 0.05
"""What was not asked for within so many seconds is forfeited."""


@dataclass(slots=True)
class LearnedRate:
    """Requests a second: without bounds until Valar refuses some, then near what it permits.

    After a cut it climbs as CUBIC (RFC 9438) does, but in shares of itself: fast at first, slowly
    around where the refusals were, then ever faster. It climbs only while it is what requests wait
    for, so it never runs away from what was tried. Times are seconds of any one clock.
    """

    rate: float = inf
    _ceiling: float = inf
    _waited: float = 0.0
    _depth: float = 0.0
    _plateau: float = PLATEAU
    _cut_at: float = -inf
    _answers: int = 0
    _refusals: float = 0.0
    _spare: float = 0.0
    _filled_at: float = -inf

    def take(self, now: float, wanted: int) -> int:
        """Give how many of the wanted requests may be sent now."""
        if self.rate == inf:
            return wanted
        elapsed = min(1 / LEAST, now - self._filled_at)
        self._filled_at = now
        self._spare = min(self._spare + elapsed * self.rate, max(1.0, SPARE * self.rate))
        if wanted > self._spare:
            self._waited += elapsed
            climbed = self._waited / self._plateau - 1
            self.rate = max(LEAST, self._ceiling * (1 + self._depth * climbed**3))
        taken = min(wanted, int(self._spare))
        self._spare -= taken
        return taken

    @property
    def wait(self) -> float:
        """Seconds until a request may be sent again."""
        return 0.0 if self.rate == inf else max(0.0, (1 - self._spare) / self.rate)

    def succeeded(self) -> None:
        """Count an answer that is no refusal."""
        self._answers += 1
        if self._answers >= ROUND:
            self._answers, self._refusals = 0, 0.0

    def refused(self, now: float, sent: float, reach: float, pause: float = 0.0) -> None:
        """Count a 429 to what was sent at `sent`, and cut the rate where they are too many.

        `reach` is the rate that the connections allow, `pause` what a Retry-After demands: what
        could have been sent in it counts as refused.
        """
        if sent < self._cut_at:
            return
        rate = min(self.rate, reach)
        self.succeeded()
        self._refusals += 1 + pause * rate
        if self._refusals <= TOLERATED:
            return
        factor = CUT_AGAIN if sent - self._cut_at < SOON else CUT
        self._ceiling, self._depth, self._waited = rate, 1 - factor, 0.0
        self._plateau = PLATEAU * (1 + pause)
        self.rate = max(LEAST, rate * factor)
        self._answers, self._refusals, self._spare = 0, 0.0, 0.0
        self._cut_at = self._filled_at = now + pause
