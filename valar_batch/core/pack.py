"""Requests to batches: how many fit, decided from sizes alone."""

from __future__ import annotations

from dataclasses import dataclass

from valar_batch.core.rules import MAX_BATCH_BYTES, MAX_BATCH_REQUESTS
from valar_batch.core.wire import BODY_OVERHEAD, SEPARATOR


@dataclass(frozen=True, slots=True)
class Limits:
    """The most requests and the most body bytes of one batch; Valar's limits can be lowered."""

    requests: int = MAX_BATCH_REQUESTS
    bytes: int = MAX_BATCH_BYTES

    @property
    def largest_request(self) -> int:
        """Bytes of the largest request that fits in a batch of its own."""
        return self.bytes - BODY_OVERHEAD - 1


@dataclass(slots=True)
class Packer:
    """Greedy, in input order, and deterministic. Bodies stay under `limits.bytes`."""

    limits: Limits
    requests: int = 0
    bytes: int = BODY_OVERHEAD

    def fits(self, size: int) -> bool:
        """Whether a request of `size` bytes still fits in the open batch."""
        return (
            self.requests < self.limits.requests
            and self.bytes + size + len(SEPARATOR) < self.limits.bytes
        )

    def add(self, size: int) -> None:
        """Count a request into the open batch."""
        self.requests += 1
        self.bytes += size + len(SEPARATOR)

    def close(self) -> None:
        """Begin a new batch."""
        self.requests = 0
        self.bytes = BODY_OVERHEAD
