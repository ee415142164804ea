"""What becomes of a request, and when: drawn from its hash, so that a rehearsal repeats itself."""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

SOONEST, LATEST = 0.2, 2.0
"""The spread of settling, in multiples of the mean."""
SKEW = (LATEST - SOONEST) / (1 - SOONEST) - 1
"""The power that gives a draw from [0, 1) a mean of 1 once it is spread over that span."""
QUEUED_SHARE = 0.2
"""The share of its time that a request is queued; then it is in progress."""


COMPLETES, FAILS, IS_CANCELLED = range(3)
"""How a request ends."""


class Odds(NamedTuple):
    """The shares of requests, 0 to 1 together, that do not complete."""

    failed: float = 0.0
    cancelled: float = 0.0


def fate(params_hash: bytes, odds: Odds) -> int:
    """Draw how a request ends; what fails under some odds fails under higher ones, too."""
    draw = int.from_bytes(params_hash[:8])
    if draw < odds.failed * 2**64:
        return FAILS
    return IS_CANCELLED if draw < (odds.failed + odds.cancelled) * 2**64 else COMPLETES


def settling_delay(params_hash: bytes, position: int, latency: float) -> float:
    """Seconds from a batch's creation until the request at `position` settles.

    Between 0.2 and 2 times `latency`, with `latency` as the mean over many requests.
    """
    if not latency:
        return 0.0
    place = params_hash + position.to_bytes(8)
    draw = int.from_bytes(hashlib.blake2b(place, digest_size=8).digest()) / 2**64
    return latency * (SOONEST + (LATEST - SOONEST) * math.pow(draw, SKEW))
