"""Rows in memory: tables, frames and streams by way of Arrow, dicts by way of JSON lines."""

import datetime
import decimal
import io
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.formats.test_rows_in import read, said
from valar_batch.core.checks import article
from valar_batch.core.problems import Problem
from valar_batch.core.template import decode_json
from valar_batch.errors import InputError, UsageError
from valar_batch.formats.readers import open_input

TABLE = pa.table({"a": range(2500), "t": [f"text {n}" for n in range(2500)]})
ROWS = TABLE.to_pylist()


class Foreign:
    """Something that Arrow understands, and no type of ours."""

    def __arrow_c_stream__(self, requested_schema=None):
        return TABLE.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "given",
    [
        TABLE,
        TABLE.to_reader(max_chunksize=700),
        TABLE.to_batches()[0],
        pl.from_arrow(TABLE),
        TABLE.to_pandas(),
        TABLE.to_pandas().set_index(pd.Index(range(9000, 11500), name="index")),
        Foreign(),
    ],
    ids=["table", "reader", "batch", "polars", "pandas", "pandas-index", "foreign"],
)
def test_tables_and_frames(given):
    """Their rows in chunks, their columns, without pandas' index; decoded as far as wanted."""
    reader = open_input(given)
    assert (reader.name, reader.format, reader.columns()) == ("table", "table", ["a", "t"])
    assert (reader.rows_may_differ, reader.nulls_are_absent) == (False, True)
    chunks = list(reader.chunks({"t"}))
    assert max(len(chunk.rows) for chunk in chunks) <= 1000
    assert [row for chunk in chunks for row in chunk.rows] == [{"t": row["t"]} for row in ROWS]
    assert [row for chunk in chunks for row in chunk.kept.to_pylist()] == ROWS
    assert {chunk.lines for chunk in chunks} == {None}
    assert reader.files() == []


def test_the_digest_of_a_table_is_of_its_rows():
    """The same table has the same digest, another value another one."""

    def digest(table):
        reader = open_input(table)
        read(reader, set())
        return reader.digest()

    other = TABLE.set_column(0, "a", pa.array([1, *range(1, 2500)]))
    assert digest(TABLE) == digest(TABLE.slice(0)) != digest(other)


def test_frames_keep_their_types():
    """Categories, times with zones, nested values: as the libraries give them to Arrow."""
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=datetime.UTC)
    rows = [
        {"c": "x", "m": moment, "l": [1, 2], "d": decimal.Decimal("1.10"), "n": None},
        {"c": "y", "m": None, "l": None, "d": None, "n": None},
    ]
    polars = pl.DataFrame(rows, schema_overrides={"c": pl.Categorical, "d": pl.Decimal(10, 2)})
    pandas = pd.DataFrame(rows).astype({"c": "category"})
    for frame in (polars, pandas):
        reader = open_input(frame)
        kept, values, _ = read(reader)
        assert kept == values == rows
        assert pa.types.is_dictionary(reader.schema().field("c").type)
    assert open_input(polars).schema().field("m").type == pa.timestamp("us", "UTC")


def test_frames_that_arrow_cannot_take():
    """Mixed columns, double names, no rows, no columns: each is said."""
    for frame, message in (
        (pd.DataFrame({"a": [1, "x", {}]}), "table: Arrow cannot take its columns: "),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "table: "),
        (pa.Table.from_arrays([pa.array([1])] * 2, ["a", "a"]), "table: there is more than one"),
        (TABLE.slice(0, 0), "table: there are no rows"),
        (pl.DataFrame(), "table: there are no rows"),
    ):
        with pytest.raises(InputError) as error:
            read(open_input(frame))
        assert said(error).startswith(message)


MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5)
VALUES = [
    (1, b"1"),
    (10**30, b"1000000000000000000000000000000"),
    (1.5, b"1.5"),
    (float("nan"), b"null"),
    (None, b"null"),
    ("é", '"é"'.encode()),
    ([1, {"x": (2,)}], b'[1,{"x":[2]}]'),
    (MOMENT, b'"2026-01-02T03:04:05"'),
    (MOMENT.replace(tzinfo=datetime.UTC), b'"2026-01-02T03:04:05+00:00"'),
    (MOMENT.date(), b'"2026-01-02"'),
    (MOMENT.time(), b'"03:04:05"'),
    (pd.Timestamp(MOMENT), b'"2026-01-02T03:04:05"'),
    (pd.Timestamp(1, unit="ns"), b'"1970-01-01T00:00:00.000000001"'),
    (pd.NaT, b"null"),
    (datetime.timedelta(days=1, seconds=2), b'"P1DT2S"'),
    (decimal.Decimal("1.10"), b'"1.10"'),
    (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
    (b"\xff", b'"/w=="'),
    (np.int64(7), b"7"),
    (np.float32(0.5), b"0.5"),
    (np.bool_(1), b"true"),
    (np.str_("x"), b'"x"'),
    (np.array([1, 2]), b"[1,2]"),
    ({7: "x"}, b'{"7":"x"}'),
]


@pytest.mark.parametrize(("value", "text"), VALUES)
def test_values_in_dicts(value, text):
    """What JSON has a form for becomes that."""
    kept, rows, lines = read(open_input([{"v": value}]))
    assert kept == [b'{"v":' + text + b"}"]
    assert rows == [decode_json(kept[0])]
    assert lines == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"v": object()}, "the row cannot be JSON: "),
        ({"v": 1j}, "the row cannot be JSON: "),
        ({"v": "\ud800"}, "the row cannot be JSON: "),
        ({"v": {(1, 2): 3}}, "the row cannot be JSON: "),
        (["v"], "the row is a list, not a dict"),
        (None, "the row is a NoneType, not a dict"),
    ],
)
def test_rows_that_cannot_be_json(row, message):
    """A Problem of its row, and the others are still there."""
    reader = open_input([{"v": 1}, row, {"v": 2}])
    kept, rows, _ = read(reader)
    assert kept == [b'{"v":1}', None, b'{"v":2}']
    assert isinstance(rows[1], Problem)
    assert (rows[1].row, rows[1].message[: len(message)]) == (2, message)
    assert (reader.name, reader.format, reader.rows_may_differ) == ("rows", "rows", True)


def test_dicts_are_consumed_once_and_as_they_are_needed():
    """A generator is never ahead by more than a chunk; mixed rows settle as lines do."""
    given = 0

    def rows():
        nonlocal given
        for given in range(1, 5001):
            yield {"n": given} if given % 2 else {"n": 0.5, "late": ["x"]}

    reader = open_input(rows())
    assert (reader.columns(), given) == (["n"], 1000)
    seen = 0
    for chunk in reader.chunks(None):
        seen += len(chunk.rows)
        assert given <= seen + 1000
    assert seen == 5000
    expected = pa.schema([("n", pa.float64()), ("late", pa.list_(pa.string()))])
    assert reader.schema() == expected


@pytest.mark.parametrize("given", [7, {"a": [1]}, b"a,b", object()])
def test_what_is_no_input(given):
    """Each is refused by its type."""
    with pytest.raises(UsageError) as error:
        open_input(given)
    assert said(error) == (
        f"the input is {article(type(given).__name__)}, which gives no rows"
        " | give a path, a table or frame, or an iterable of dicts"
    )


def test_paths_may_be_objects(tmp_path):
    """A path is a path, as text or as an object; standard input is `-`."""
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert read(open_input(tmp_path / "x.csv"))[1] == [{"a": "1", "b": "2"}]
    assert read(open_input("-", stdin=io.BytesIO(b"a\n1\n")))[1] == [{"a": "1"}]
