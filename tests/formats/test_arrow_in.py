"""Columns of every Arrow type: read from every kind of file, kept, and written unchanged."""

import datetime
import decimal
import hashlib
import io
import json
import os

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.formats.test_rows_in import read, said
from valar_batch.core.outcome import Outcome
from valar_batch.core.reading import Reading
from valar_batch.errors import InputError
from valar_batch.formats import arrow_files
from valar_batch.formats.layout import layout_of
from valar_batch.formats.readers import open_input
from valar_batch.formats.targets import output_target
from valar_batch.formats.writers import open_output

ONE, TENTH = decimal.Decimal("1.10"), decimal.Decimal("0.10")
DAY = datetime.date(2026, 1, 2)
LONG = "longer than a view holds in itself"
TEXTS = pa.array(["a", LONG, None, "a"])


def dictionary(values, *, index=None, ordered=False):
    """Give a dictionary array of these plain values."""
    encoded = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(
        encoded.indices.cast(index or pa.int32()), encoded.dictionary, ordered=ordered
    )


def listed(make, values):
    """Give lists of the values: one of two, an empty one, and one of each of the rest."""
    return make.from_arrays([0, 2, 2, 3, 4], values)


def viewed(values):
    """Give list views of the values, not in their order."""
    return pa.ListViewArray.from_arrays([3, 0, 0, 1], [1, 2, 0, 3], values)


COLUMNS = {
    "string": TEXTS,
    "large_string": TEXTS.cast(pa.large_string()),
    "string_view": TEXTS.cast(pa.string_view()),
    "binary": pa.array([b"\xff", b"", None, b"a"]),
    "large_binary": pa.array([b"\xff", b"", None, b"a"], pa.large_binary()),
    "binary_view": pa.array([b"\xff" * 20, b"", None, b"a"], pa.binary_view()),
    "fixed_binary": pa.array([b"ab", b"\0\0", None, b"xy"], pa.binary(2)),
    "int8": pa.array([-128, 127, None, 0], pa.int8()),
    "uint64": pa.array([2**64 - 1, 0, None, 1], pa.uint64()),
    "half": pa.array([1.5, -0.0, None, 65504.0], pa.float16()),
    "float": pa.array([0.1, 1e30, None, float("inf")], pa.float32()),
    "double": pa.array([0.1, 1e300, None, -0.0]),
    "bool": pa.array([True, False, None, True]),
    "null": pa.nulls(4),
    "decimal32": pa.array([ONE, TENTH, None, -ONE], pa.decimal32(5, 2)),
    "decimal64": pa.array([ONE, TENTH, None, -ONE], pa.decimal64(15, 2)),
    "decimal128": pa.array([ONE, TENTH, None, -ONE], pa.decimal128(38, 2)),
    "decimal256": pa.array([ONE, TENTH, None, -ONE], pa.decimal256(60, 2)),
    "date32": pa.array([DAY, DAY, None, datetime.date(1, 1, 1)]),
    "time32": pa.array([1, 2, None, 86_399_999], pa.time32("ms")),
    "time64": pa.array([1, 2, None, 86_399_999_999_999], pa.time64("ns")),
    "instant": pa.array([1, -1, None, 2**60], pa.timestamp("ns", "UTC")),
    "zoned": pa.array([1, -1, None, 10**12], pa.timestamp("ms", "Europe/Berlin")),
    "offset": pa.array([1, -1, None, 10**15], pa.timestamp("us", "+05:45")),
    "wall": pa.array([1, -1, None, 10**15], pa.timestamp("us")),
    "duration": pa.array([1, -1, None, 2**60], pa.duration("ns")),
    "seconds": pa.array([1, -1, None, 2**40], pa.duration("s")),
    "list": listed(pa.ListArray, TEXTS),
    "large_list": listed(pa.LargeListArray, TEXTS),
    "fixed_list": pa.FixedSizeListArray.from_arrays(pa.array(range(8)), 2),
    "list_view": viewed(TEXTS),
    "large_list_view": pa.array([[1], [], None, [2, 3]], pa.large_list_view(pa.int64())),
    "map": pa.array([[("k", 1), ("k", 2)], [], None, [("", None)]], pa.map_("string", "int32")),
    "struct": pa.array([{"x": [ONE], "y": None}, {"x": [], "y": 1}, None, {"x": None, "y": 2}],
        pa.struct([("x", pa.list_(pa.decimal128(5, 2))), ("y", pa.int16())])),
    "not_null": pa.array([{"x": 1}] * 4, pa.struct([pa.field("x", pa.int8(), nullable=False)])),
    "dictionary": dictionary(TEXTS),
    "small_dictionary": dictionary(TEXTS, index=pa.int8(), ordered=True),
    "dictionary_of_bytes": dictionary(pa.array([b"\xff", b"", None, b"a"])),
    "list_of_dictionary": listed(pa.ListArray, dictionary(TEXTS)),
    "struct_of_dictionary": pa.StructArray.from_arrays([dictionary(TEXTS)], names=["d"]),
    "map_of_dictionary": pa.MapArray.from_arrays([0, 2, 2, 3, 4], list("abcd"), dictionary(TEXTS)),
    "list_of_view": listed(pa.ListArray, TEXTS.cast(pa.string_view())),
    "uuid": pa.array([bytes(16), b"\1" * 16, None, b"\2" * 16], pa.uuid()),
    "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1.0}', "[]", None, "1"])),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None, 1], pa.int8())),
    "opaque": pa.ExtensionArray.from_storage(pa.opaque(pa.binary(), "type", "vendor"),
        pa.array([b"\xff", b"", None, b"a"])),
    "tensor": pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int8(), [2]),
        pa.FixedSizeListArray.from_arrays(pa.array(range(8), pa.int8()), 2)),
}  # fmt: skip
"""By name: four rows of a type that Parquet has."""

OTHERWISE = {
    "runs": (pc.run_end_encode(TEXTS), TEXTS),
    "view_dictionary": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0], pa.uint32()),
            pa.array(["a", LONG], pa.string_view())),
        dictionary(TEXTS, index=pa.uint32()),
    ),
    "number_dictionary": (dictionary(pa.array([5, 6, None, 5])), pa.array([5, 6, None, 5])),
    "list_view_of_dictionary": (
        viewed(dictionary(TEXTS)),
        pa.array([["a"], ["a", LONG], [], [LONG, None, "a"]], pa.list_(dictionary(TEXTS).type)),
    ),
    "empty_struct": (pa.array([{}, None, {}, {}], pa.struct([])),
        pa.array(["{}", None, "{}", "{}"])),
    "union": (pa.UnionArray.from_dense(pa.array([0, 1, 0, 1], pa.int8()),
        pa.array([0, 0, 1, 1], pa.int32()), [pa.array([1, None]), pa.array(["x", "y"])]),
        pa.array(["1", '"x"', None, '"y"'])),
    "runs_in_struct": (
        pa.StructArray.from_arrays([pc.run_end_encode(TEXTS)], names=["r"]),
        pa.array([json.dumps({"r": text}, separators=(",", ":")) for text in TEXTS.to_pylist()]),
    ),
}  # fmt: skip
"""By name: rows of a type that Parquet has not, and what they are instead."""


def written(table, path, kind):
    """Write a table as an input of a kind; gives the input."""
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "file":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    elif kind == "stream":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    elif kind == "compressed":
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(path, table.schema, options=options) as writer:
            writer.write_table(table)
    else:
        return table
    return str(path)


def through(given, folder):
    """Read an input and write it to Parquet; gives what is in it then, without the outcomes."""
    reader = open_input(given, Reading())
    kept = [chunk.kept for chunk in reader.chunks(set())]
    stream = io.BytesIO()  # as the run folder keeps them
    with pa.ipc.new_stream(stream, pa.schema([("input", kept[0].type)])) as writer:
        for rows in kept:
            writer.write_batch(pa.RecordBatch.from_arrays([rows], names=["input"]))
    with pa.ipc.open_stream(stream.getvalue()) as again:
        kept = [batch["input"] for batch in again]
    path = folder / "out.parquet"
    schema = reader.schema()
    layout = layout_of(schema)
    with open_output(output_target(str(path)), layout, provenance={}) as writer:
        for rows in kept:
            writer.write(rows, layout.held([Outcome("r", "completed")] * len(rows)))
    return pq.read_table(path).select(schema.names)


@pytest.mark.parametrize("kind", ["parquet", "file", "stream", "compressed", "table"])
@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_comes_through(tmp_path, name, kind):
    """Type and values are those that Parquet itself gives back for the column."""
    array = COLUMNS[name]
    table = pa.table({"before": range(4), name: array})
    out = through(written(table, tmp_path / "in.x", kind), tmp_path)
    pq.write_table(table, tmp_path / "plain.parquet")
    assert out.schema.types == [pa.int64(), array.type]
    assert out.schema.equals(pq.read_schema(tmp_path / "plain.parquet"))
    assert out.column(1).to_pylist() == array.to_pylist()
    assert plain(out.column(1)) == plain(table.column(1))


def plain(column):
    """Give a column so that times are compared in all their digits."""
    kind = column.type
    exact = pa.types.is_temporal(kind) and not pa.types.is_date(kind)
    return (
        column.cast(pa.int32() if kind.bit_width == 32 else pa.int64()) if exact else column
    ).to_pylist()


@pytest.mark.parametrize("kind", ["file", "stream", "compressed", "table"])
@pytest.mark.parametrize("name", OTHERWISE)
def test_types_that_parquet_has_not(tmp_path, name, kind):
    """Runs and dictionaries of numbers are their values, what no type holds is its JSON text."""
    if kind == "stream" and name == "runs":
        pytest.skip("pyarrow writes no such stream")
    array, expected = OTHERWISE[name]
    table = pa.table({"before": range(4), name: array})
    out = through(written(table, tmp_path / "in.x", kind), tmp_path)
    assert out.schema.types == [pa.int64(), expected.type]
    assert out.column(1).to_pylist() == expected.to_pylist()


def test_seconds_and_dates_in_milliseconds_are_parquet_s_own():
    """Parquet has no seconds; the schema of the input, which an Arrow output has, keeps them."""
    kinds = [pa.timestamp("s"), pa.time32("s"), pa.date64()]
    table = pa.table({str(kind): pa.array([0, None], kind) for kind in kinds})
    assert open_input(table).schema().types == kinds


def test_all_types_beside_each_other_with_nulls_and_slices(tmp_path):
    """Columns do not disturb one another, and rows from the middle of arrays are themselves."""
    table = pa.table({**COLUMNS, **{name: array for name, (array, _) in OTHERWISE.items()}})
    table = pa.concat_tables([table] * 3).slice(2, 7)
    expected = pa.table({**COLUMNS, **{name: array for name, (_, array) in OTHERWISE.items()}})
    expected = pa.concat_tables([expected] * 3).slice(2, 7)
    out = through(written(table, tmp_path / "in.arrow", "file"), tmp_path)
    assert out.to_pylist() == expected.to_pylist()


def test_values_in_templates(tmp_path):
    """Values are decoded: nested ones as lists and dicts, also where the output has JSON text."""
    names = ["string_view", "half", "list_view", "struct_of_dictionary", "empty_struct", "runs"]
    columns = {**COLUMNS, **{name: array for name, (array, _) in OTHERWISE.items()}}
    table = pa.table({name: columns[name] for name in names})
    _, rows, _ = read(open_input(written(table, tmp_path / "in.arrow", "file"), Reading()))
    assert rows[1] == {
        "string_view": LONG,
        "half": -0.0,
        "list_view": ["a", LONG],
        "struct_of_dictionary": {"d": LONG},
        "empty_struct": None,
        "runs": LONG,
    }


@pytest.mark.parametrize("name", ["x.arrow", "x.feather", "x.ipc", "x.arrows", "x"])
@pytest.mark.parametrize("kind", ["file", "stream", "compressed"])
def test_arrow_is_told_by_name_and_content(tmp_path, name, kind):
    """A file is told from a stream by its bytes, whatever its name; both also on a pipe."""
    table = pa.table({"a": range(2500), "t": ["x"] * 2500})
    path = written(table, tmp_path / name, kind)
    for given, pipe in ((path, None), ("-", (tmp_path / name).read_bytes())):
        reader = open_input(given, stdin=io.BytesIO(pipe or b""))
        assert (reader.format, reader.columns()) == ("arrow", ["a", "t"])
        assert read(reader, {"a"})[1] == [{"a": number} for number in range(2500)]
        assert reader.digest() == sha256(tmp_path / name)


def sha256(path):
    """Give the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_dictionary_that_changes_on_the_way(tmp_path):
    """Each batch of a stream may bring its own dictionary."""
    batches = [
        pa.record_batch({"d": pa.array([f"{n}", "x"]).dictionary_encode()}) for n in range(3)
    ]
    with pa.ipc.new_stream(tmp_path / "x.arrows", batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    out = through(str(tmp_path / "x.arrows"), tmp_path)
    assert out["d"].to_pylist() == ["0", "x", "1", "x", "2", "x"]
    assert pa.types.is_dictionary(out["d"].type)


def test_large_batches_are_cut(tmp_path, monkeypatch):
    """A batch of many rows becomes chunks of at most 1,000, smaller ones where rows are long."""
    monkeypatch.setattr(arrow_files, "MAPPED", 1)
    table = pa.table({"t": [f"{n:010}" * 2000 for n in range(1500)]})
    path = written(table, tmp_path / "x.arrow", "file")
    chunks = list(open_input(path).chunks(None))
    assert [len(chunk.rows) for chunk in chunks] == [399, 399, 399, 303]
    assert [row["t"] for chunk in chunks for row in chunk.rows] == table["t"].to_pylist()


def test_views_are_kept_without_what_else_they_point_to(tmp_path):
    """A chunk of views is as small as its own text."""
    texts = pa.array([f"{n:040}" for n in range(20_000)]).cast(pa.string_view())
    lists = pa.array([[n, n] for n in range(20_000)], pa.list_view(pa.int64()))
    for chunk in open_input(pa.table({"t": texts, "l": lists})).chunks(set()):
        assert len(pa.RecordBatch.from_arrays([chunk.kept], names=["input"]).serialize()) < 120_000


def test_arrow_files_that_cannot_be_read(tmp_path):
    """Cut off anywhere, of Feather's first version, compressed from outside: each is said."""
    table = pa.table({"a": range(3000)})
    path = tmp_path / "x.arrow"

    def refused(content, name="x.arrow"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError) as error:
            read(open_input(str(path)))
        return said(error).replace(str(path), "X")

    for kind in ("file", "stream"):
        written(table, path, kind)
        content = path.read_bytes()
        for size in (20, 200, len(content) // 2, len(content) - 20):
            if kind == "file" or size != len(content) - 20:
                assert refused(content[:size]).startswith("X: cannot be read as Arrow: ")
    assert refused(b"nonsense and more").startswith("X: cannot be read as Arrow: ")
    assert refused(b"") == "X: there are no rows | check that this is the right input"
    assert refused(b"FEA1....").startswith("X: Feather version 1 is not read | write it again")
    gz = b"\x1f\x8b\x08" + bytes(20)
    assert refused(gz, "x.arrow.gz") == (
        "X: Parquet and Arrow files are not read from .gz or .zst"
        " | unpack it: they are compressed inside"
    )
    with pa.ipc.new_file(path, table.schema):
        pass
    assert refused(path.read_bytes()) == "X: there are no rows | check that this is the right input"
    written(table, path, "file")
    with pytest.raises(InputError, match="it is cut off"):
        read(open_input("-", stdin=io.BytesIO(path.read_bytes()[:-7])))


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_a_row_group_of_any_size_is_read_in_parts(tmp_path, kind):
    """What Arrow holds at a time is far less than a row group, or a batch, that is the file."""
    rows = 300_000
    noise = pa.array([os.urandom(16).hex() for _ in range(rows)])
    table = pa.table({"n": range(rows), "t": noise})
    path = tmp_path / f"in.{kind}"
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=rows, use_dictionary=False)
    else:
        written(table.combine_chunks(), path, kind)
    whole = table.nbytes
    del table, noise
    before, most, seen = pa.total_allocated_bytes(), 0, 0
    for chunk in open_input(str(path)).chunks({"n"}):
        seen += len(chunk.rows)
        most = max(most, pa.total_allocated_bytes() - before)
    assert seen == rows
    assert most < whole / 2


def test_text_that_is_no_utf8(tmp_path):
    """Arrow does not look at the bytes of its text: they are looked at before anything is sent."""
    texts = pa.array([b"a", b"\xff\xfe"]).view(pa.string())
    path = str(tmp_path / "x.parquet")
    for array in (texts, texts.dictionary_encode()):
        pq.write_table(pa.table({"n": [1, 2], "t": array}), path)
        with pytest.raises(InputError) as error:
            read(open_input(path), set())
        assert said(error).replace(path, "X") == (
            "X: cannot be read as Parquet: column 't': Invalid UTF8 sequence at string index 1"
            " | check that the file is complete and that it is Parquet"
        )


DOUBLE = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["y", "y"])


@pytest.mark.parametrize(
    "column",
    [
        DOUBLE,
        pa.ListArray.from_arrays([0, 1], DOUBLE),
        pa.DictionaryArray.from_arrays(pa.array([0]), DOUBLE),
        pa.StructArray.from_arrays([DOUBLE], names=["x"]),
    ],
    ids=["struct", "list", "dictionary", "within"],
)
def test_a_struct_with_a_field_twice(tmp_path, column):
    """Python cannot hold it: it is refused by name, before a row is read."""
    path = tmp_path / "x.arrow"
    written(pa.table({"n": [1], "c": column}), path, "stream")
    with pytest.raises(InputError) as error:
        read(open_input(str(path)))
    assert said(error).replace(str(path), "X") == (
        "X, column 'c': a struct has more than one field 'y'"
        " | give every field of a struct its own name"
    )
