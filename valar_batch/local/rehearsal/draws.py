"""Draws that repeat themselves: a row of numbers that follows from a seed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Draws:
    """Draws from one seed, each new one independent of those before."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._taken = 0

    def below(self, bound: int) -> int:
        """Draw a whole number from 0 to `bound` - 1."""
        self._taken += 1
        place = self._seed + self._taken.to_bytes(4)
        return int.from_bytes(hashlib.blake2b(place, digest_size=16).digest()) % bound

    def one_of(self, choices: Sequence[T]) -> T:
        """Draw one of the choices."""
        return choices[self.below(len(choices))]
