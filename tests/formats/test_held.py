"""Rows that are held in pieces are taken in any order, as often as asked."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from valar_batch.formats.held import PIECE_BYTES, HeldRows, rows_at


def rows(numbers: range) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"n": list(numbers), "text": [f"row {n}" for n in numbers]})


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), data=st.data())
def test_rows_from_any_pieces(sizes, data) -> None:
    """Each place gives its own row, whichever piece it is in."""
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    pieces = [rows(range(s, s + size)) for s, size in zip(starts, sizes, strict=True)]
    places = data.draw(st.lists(st.integers(0, sum(sizes) - 1), min_size=1, max_size=9))
    taken = rows_at(pieces, places)
    assert taken.to_pydict() == {"n": places, "text": [f"row {place}" for place in places]}


def test_pieces_are_bounded() -> None:
    """Rows are put together up to a size, and all of them are there in order."""
    held, big = HeldRows(), "x" * (PIECE_BYTES // 4)
    for number in range(10):
        held.add(pa.RecordBatch.from_pydict({"n": [number], "text": [big]}))
    pieces = held.pieces()
    assert [piece["n"].to_pylist() for piece in pieces] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
