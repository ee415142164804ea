"""Rows that are held as Arrow columns, in pieces, and taken in any order."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECE_BYTES = 16_000_000
"""Rows are put together up to this size: few pieces to take from, and little to copy at a time."""


class HeldRows:
    """Rows in the order in which they came."""

    def __init__(self) -> None:
        self._pieces: list[pa.RecordBatch] = []
        self._begun: list[pa.RecordBatch] = []
        self._bytes = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Take in more rows."""
        self._begun.append(rows)
        self._bytes += rows.nbytes
        if self._bytes >= PIECE_BYTES:
            self._close()

    def _close(self) -> None:
        if self._begun:
            self._pieces.append(pa.concat_batches(self._begun))
        self._begun, self._bytes = [], 0

    def pieces(self) -> list[pa.RecordBatch]:
        """Give all rows."""
        self._close()
        return self._pieces


def rows_at(pieces: Sequence[pa.RecordBatch], places: Sequence[int]) -> pa.RecordBatch:
    """Take the rows at these places, counted through all pieces; at least one."""
    starts = [0, *accumulate(map(len, pieces))]

    def piece_of(place: int) -> int:
        return bisect_right(starts, place) - 1

    def taken(number: int, of: Sequence[int]) -> pa.RecordBatch:
        start = starts[number]
        return pieces[number].take(pa.array([place - start for place in of], pa.int64()))

    first = piece_of(min(places))
    if max(places) < starts[first + 1]:
        return taken(first, places)
    order = sorted(range(len(places)), key=places.__getitem__)
    parts = groupby((places[index] for index in order), piece_of)
    together = pa.concat_batches([taken(number, list(part)) for number, part in parts])
    ranks = dict(zip(order, range(len(order)), strict=True))
    return together.take(pa.array([ranks[index] for index in range(len(order))], pa.int64()))
