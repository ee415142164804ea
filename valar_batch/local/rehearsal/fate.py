"""What becomes of a request, and when: drawn from its hash, so that a rehearsal repeats itself."""

from __future__ import annotations

import hashlib
import math

SOONEST, LATEST = 0.2, 2.0
"""The spread of settling, in multiples of the mean."""
SKEW = (LATEST - SOONEST) / (1 - SOONEST) - 1
"""The power that gives a draw from [0, 1) a mean of 1 once it is spread over that span."""
QUEUED_SHARE = 0.2
"""The share of its time that a request is queued; then it is in progress."""


def fails(params_hash: bytes, failure_share: float) -> bool:
    """Whether a request is among the `failure_share` (0 to 1) of requests that fail."""
    return int.from_bytes(params_hash[:8]) < failure_share * 2**64


def settling_delay(params_hash: bytes, position: int, latency: float) -> float:
    """Seconds from a batch's creation until the request at `position` settles.

    Between 0.2 and 2 times `latency`, with `latency` as the mean over many requests.
    """
    if not latency:
        return 0.0
    place = params_hash + position.to_bytes(8)
    draw = int.from_bytes(hashlib.blake2b(place, digest_size=8).digest()) / 2**64
    return latency * (SOONEST + (LATEST - SOONEST) * math.pow(draw, SKEW))
