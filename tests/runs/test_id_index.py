"""Ids that occur twice in a run are found, in memory that does not grow with them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from valar_batch.runs import id_index


def expected(ids: list[str]) -> set[tuple[int, int]]:
    first: dict[str, int] = {}
    return {
        (row, first[name]) for row, name in enumerate(ids, 1) if first.setdefault(name, row) != row
    }


@given(st.lists(st.text("abc", max_size=3), max_size=80), st.sampled_from([1, 100, 10**6]))
@settings(deadline=None)
def test_each_repeat_is_found_with_the_first_row(tmp_path_factory, ids, spill) -> None:
    """Every row that repeats an id is given with the first row that has it, spilled or not."""
    folder = tmp_path_factory.mktemp("ids") / "ids"
    held, id_index.SPILL_BYTES = id_index.SPILL_BYTES, spill
    try:
        index = id_index.IdIndex(folder)
        for row, name in enumerate(ids, 1):
            index.add(name, row)
        assert set(index.duplicates()) == expected(ids)
        assert folder.exists() == (len(ids) * id_index.RECORD.size >= spill)
    finally:
        id_index.SPILL_BYTES = held
