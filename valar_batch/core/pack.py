"""Requests to batches: how many fit, decided from sizes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valar_batch.core.rules import MAX_BATCH_BYTES, MAX_BATCH_REQUESTS
from valar_batch.core.wire import BODY_OVERHEAD, SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Sequence


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

    def take(self, sizes: Sequence[int]) -> int:
        """Say how many of the next rows go into the open batch, and count their requests.

        `sizes` are those of their requests, 0 for a row without one. An empty batch takes any.
        """
        requests = len(sizes) - sizes.count(0)
        total = sum(sizes) + len(SEPARATOR) * requests
        if (
            self.requests + requests <= self.limits.requests
            and self.bytes + total < self.limits.bytes
        ):
            self.requests += requests
            self.bytes += total
            return len(sizes)
        for index, size in enumerate(sizes):
            if size:
                if self.requests and not self.fits(size):
                    return index
                self.add(size)
        return len(sizes)

    def close(self) -> None:
        """Begin a new batch."""
        self.requests = 0
        self.bytes = BODY_OVERHEAD
