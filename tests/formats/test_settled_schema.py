"""The schema of JSON rows: one type per column, whatever the order and the chunks."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.template import decode_json
from valar_batch.formats.schema import DEEPEST, JSON_TEXT, Settling

JSON = pa.field("a", pa.string(), metadata=JSON_TEXT)


def settled(lines, chunk=1_000):
    """Settle the schema of JSON texts, a chunk at a time."""
    rows = [decode_json(line) for line in lines]
    settling = Settling()
    for start in range(0, len(rows), chunk):
        settling.add(rows[start : start + chunk])
    return settling.schema()


def nested(depth):
    """Give a value within so many arrays."""
    return "[" * depth + "1" + "]" * depth


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["null"], pa.string()),
        (["null", '"x"'], pa.string()),
        (["true", "null", "false"], pa.bool_()),
        (["1", "-1", "null"], pa.int64()),
        ([str(2**63 - 1), str(-(2**63))], pa.int64()),
        ([str(2**63), "0"], pa.uint64()),
        ([str(2**64 - 1)], pa.uint64()),
        ([str(2**64)], None),
        ([str(2**63), "-1"], None),
        ([str(-(2**63) - 1)], None),
        (["1", "2.5"], pa.float64()),
        (["1.10", "null"], pa.float64()),
        ([str(2**53), "0.5"], pa.float64()),
        ([str(2**53 + 1), "0.5"], None),
        (["0.5", str(-(2**53) - 1)], None),
        (["1e400"], None),
        (["1", '"x"'], None),
        (["1", "true"], None),
        (["[]", "null"], pa.list_(pa.string())),
        (["[]", "[1]", "[null, 2.5]"], pa.list_(pa.float64())),
        (["[[1],[]]"], pa.list_(pa.list_(pa.int64()))),
        (['[1,"x"]'], None),
        (["[1]", '"x"'], None),
        (["[1]", "1"], None),
        (['{"x":1}', '{"y":[true]}', "null"],
            pa.struct([("x", pa.int64()), ("y", pa.list_(pa.bool_()))])),
        (['[{"x":1},null,{"x":null}]'], pa.list_(pa.struct([("x", pa.int64())]))),
        (["{}"], None),
        (['{"x":1}', "{}"], None),
        (['{"x":{}}'], None),
        (['{"x":1}', "[1]"], None),
        (['{"x":1}', '{"x":"1"}'], None),
        ([json.dumps({str(i): i for i in range(1000)})],
            pa.struct([(str(i), pa.int64()) for i in range(1000)])),
        ([json.dumps({str(i): i}) for i in range(1001)], None),
        ([nested(DEEPEST + 1)], None),
    ],
)  # fmt: skip
def test_types(values, kind):
    """Each column has the one type that holds all its values exactly, else it is JSON text."""
    lines = [f'{{"a":{value}}}' for value in values]
    expected = pa.schema([JSON if kind is None else pa.field("a", kind)])
    for chunk in (1, 2, 1000):
        for order in (lines, lines[::-1]):
            got = settled(order, chunk)
            if order is lines or kind is None or not pa.types.is_struct(kind):
                assert got.equals(expected, check_metadata=True)


def test_columns_stand_in_order_of_first_appearance():
    """A column may come as late as it likes."""
    lines = ['{"b":1}'] * 50_000 + ['{"a":1,"b":2}', '{"c":1}', "{}"]
    assert settled(lines).names == ["b", "a", "c"]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)), st.integers(1, 5))
def test_chunks_do_not_change_the_schema(rows, chunk):
    """The schema is a matter of the rows and their order alone."""
    lines = [json.dumps(row) for row in rows]
    whole = settled(lines)
    assert settled(lines, chunk).equals(whole, check_metadata=True)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=6))
def test_order_of_rows_changes_only_the_order_of_columns(rows):
    """No type depends on which row came first."""
    lines = [json.dumps(row) for row in rows]
    there, back = settled(lines), settled(lines[::-1])
    assert {f.name: shape(f) for f in there} == {f.name: shape(f) for f in back}


def shape(field):
    """Give a field as values that do not know the order of keys."""
    return types(field.type), field.metadata


def types(kind):
    """Give a type as values that do not know the order of keys."""
    if pa.types.is_struct(kind):
        return {f.name: types(f.type) for f in kind}
    return [types(kind.value_type)] if pa.types.is_list(kind) else str(kind)
