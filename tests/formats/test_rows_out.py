"""Outputs: every row as it came in, beside its outcome, in a file that is whole or absent."""

import base64
import csv
import datetime
import decimal
import io
import json
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valar_batch.core.outcome import OPTIONAL, Outcome
from valar_batch.core.reading import Reading
from valar_batch.errors import UsageError
from valar_batch.formats import writers
from valar_batch.formats.kept import to_columns, to_json_objects
from valar_batch.formats.layout import layout_of
from valar_batch.formats.readers import open_input
from valar_batch.formats.targets import Target, output_target
from valar_batch.formats.writers import open_output

DONE = Outcome(
    "r-1",
    "completed",
    'Yes, "é"\n',
    response_id="resp_1",
    model="m",
    input_tokens=10,
    cached_tokens=0,
    output_tokens=2,
    cost_usd=1.5e-05,
    attempts=1,
)
BAD = Outcome("r-2", "invalid", error="bad")
ADDED = [name for name in Outcome._fields if name not in OPTIONAL]


def added(outcome):
    """Give the columns that an output adds when nothing more is asked for."""
    return {name: getattr(outcome, name) for name in ADDED}


def taken_in(content, input_format=None):
    """Read text: the kept chunks and the schema."""
    reader = open_input("-", Reading(input_format), stdin=io.BytesIO(content))
    kept = [chunk.kept for chunk in reader.chunks(None)]
    return kept, reader.schema()


def write(path, kept, schema, outcomes=None, *, custom_id_is_input=False, provenance=None):
    """Write an output; gives its bytes."""
    layout = layout_of(schema, custom_id_is_input=custom_id_is_input)
    target = output_target(str(path))
    with open_output(target, layout, provenance=provenance or {}) as writer:
        for array in kept:
            said = (outcomes or [DONE] * len(array))[: len(array)]
            writer.write(array, layout.held(said, target.form))
    return path.read_bytes()


JSONL = b"""{"id": 1.10, "text":"\\u00e9, \\"x\\"", "n":{"a":[1, 2.50]}, "big":1%b}
nonsense
{ }
{"id":2,"text":"","n":null,"big":1,"status":true, "late": 9007199254740993 }
""" % (b"0" * 30)


def test_jsonl_to_jsonl_keeps_the_bytes(tmp_path):
    """A row is its own bytes, with the outcome before its closing brace."""
    kept, schema = taken_in(JSONL)
    out = write(tmp_path / "out.jsonl", kept, schema, [DONE, BAD, DONE, BAD])
    tails = {
        outcome: json.dumps(
            {("valar_" if k == "status" else "") + k: v for k, v in added(outcome).items()},
            ensure_ascii=False,
            separators=(",", ":"),
        )
        .encode()
        .replace(b"1.5e-05", b"0.000015")[1:]
        for outcome in (DONE, BAD)
    }
    lines = JSONL.splitlines()
    assert out.splitlines() == [
        lines[0][:-1] + b"," + tails[DONE],
        b"{" + tails[BAD],
        b"{ " + tails[DONE],
        lines[3][:-1] + b"," + tails[BAD],
    ]


def test_jsonl_to_parquet_has_types_and_json_text(tmp_path):
    """Columns have the settled types; what no type holds is exact JSON text."""
    kept, schema = taken_in(JSONL)
    write(tmp_path / "out.parquet", kept, schema, [DONE, BAD, DONE, BAD])
    table = pq.read_table(tmp_path / "out.parquet")
    names = ["valar_status" if name == "status" else name for name in ADDED]
    assert table.column_names == ["id", "text", "n", "big", "status", "late", *names]
    assert table.schema.types[:6] == [
        pa.float64(),
        pa.string(),
        pa.struct([("a", pa.list_(pa.float64()))]),
        pa.string(),
        pa.bool_(),
        pa.int64(),
    ]
    assert [dict(list(row.items())[:6]) for row in table.to_pylist()] == [
        {
            "id": 1.1,
            "text": 'é, "x"',
            "n": {"a": [1.0, 2.5]},
            "big": "1" + "0" * 30,
            "status": None,
            "late": None,
        },
        dict.fromkeys(["id", "text", "n", "big", "status", "late"]),
        dict.fromkeys(["id", "text", "n", "big", "status", "late"]),
        {
            "id": 2.0,
            "text": "",
            "n": None,
            "big": "1",
            "status": True,
            "late": 9007199254740993,
        },
    ]
    got = [tuple(row.values()) for row in table.select(names).to_pylist()]
    assert got == [tuple(added(outcome).values()) for outcome in (DONE, BAD, DONE, BAD)]
    assert table.schema.field("big").metadata[b"valar_batch"] == b"json"


def test_jsonl_to_csv_writes_numbers_as_they_stood(tmp_path):
    """Text as it is, null empty, empty text quoted, nested values as their JSON."""
    kept, schema = taken_in(JSONL)
    short = Outcome("r", "failed", attempts=1)
    out = write(tmp_path / "out.csv", kept, schema, [DONE, short, short, short])
    assert out.decode() == (
        "id,text,n,big,status,late,custom_id,valar_status,output_text,incomplete_reason,error,"
        "response_id,model,input_tokens,cached_tokens,output_tokens,reasoning_tokens,cost_usd,"
        "attempts\n"
        '1.10,"é, ""x""","{""a"":[1, 2.50]}",1000000000000000000000000000000,,,'
        'r-1,completed,"Yes, ""é""\n",,,resp_1,m,10,0,2,,1.5e-05,1\n'
        ",,,,,,r,failed,,,,,,,,,,,1\n"
        ",,,,,,r,failed,,,,,,,,,,,1\n"
        '2,"",,1,true,9007199254740993,r,failed,,,,,,,,,,,1\n'
    )


CSV = b'a,"b,""c"\n1.10,""\n"x\r\ny"\n" z ",007\n'


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_csv_text_comes_through(tmp_path, suffix):
    """CSV stays text in every output; what a ragged row lacks is null."""
    kept, schema = taken_in(CSV)
    path = tmp_path / f"out.{suffix}"
    out = write(path, kept, schema)
    expected = [
        {"a": "1.10", 'b,"c': ""},
        {"a": "x\r\ny", 'b,"c': None},
        {"a": " z ", 'b,"c': "007"},
    ]
    if suffix == "csv":
        rows = [row[:2] for row in csv.reader(io.StringIO(out.decode(), newline=""))]
        assert rows == [["a", 'b,"c'], ["1.10", ""], ["x\r\ny", ""], [" z ", "007"]]
        assert out.decode().split("\n", 1)[1].startswith('1.10,"",r-1')
        assert '"x\r\ny",,r-1' in out.decode()
    else:
        read = (
            pq.read_table(path).to_pylist()
            if suffix == "parquet"
            else map(json.loads, out.splitlines())
        )
        done = added(DONE)
        assert list(read) == [row | done for row in expected]


DAY = datetime.date(2026, 1, 2)
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
COLUMNS = {
    "text": (pa.large_string(), ["é,", None], ["é,", None], ['"é,"', ""]),
    "kind": (pa.dictionary(pa.int8(), pa.string()), ["", "b"], ["", "b"], ['""', "b"]),
    "int": (pa.uint64(), [2**64 - 1, 0], [2**64 - 1, 0], [str(2**64 - 1), "0"]),
    "float": (pa.float64(), [1.0, float("inf")], [1.0, None], ["1.0", "inf"]),
    "flag": (pa.bool_(), [True, None], [True, None], ["true", ""]),
    "money": (pa.decimal128(10, 2), [decimal.Decimal("1.10"), None], ["1.10", None], ["1.10", ""]),
    "day": (pa.date32(), [DAY, None], ["2026-01-02", None], ["2026-01-02", ""]),
    "at": (pa.timestamp("ns", "UTC"), [MOMENT, None], [MOMENT.isoformat(), None],
        [MOMENT.isoformat(), ""]),
    "raw": (pa.binary(), [b"\xff\x00", None], [base64.b64encode(b"\xff\x00").decode(), None],
        ["/wA=", ""]),
    "uuid": (pa.uuid(), [UUID(int=1), None], [str(UUID(int=1)), None], [str(UUID(int=1)), ""]),
    "list": (pa.list_(pa.decimal128(5, 1)), [[decimal.Decimal("1.5"), None], []],
        [["1.5", None], []], ['"[""1.5"",null]"', "[]"]),
    "deep": (pa.struct([("x", pa.list_(pa.string()))]), [{"x": ["é"]}, None],
        [{"x": ["é"]}, None], ['"{""x"":[""é""]}"', ""]),
}  # fmt: skip


def test_parquet_comes_through(tmp_path):
    """Parquet to Parquet keeps types and values, to text writes every value exactly."""
    schema = pa.schema([(name, column[0]) for name, column in COLUMNS.items()])
    table = pa.table({name: column[1] for name, column in COLUMNS.items()}, schema=schema)
    pq.write_table(table, tmp_path / "in.parquet")
    reader = open_input(str(tmp_path / "in.parquet"))
    kept = [chunk.kept for chunk in reader.chunks(set())]

    write(tmp_path / "out.parquet", kept, reader.schema())
    out = pq.read_table(tmp_path / "out.parquet").select(list(COLUMNS))
    assert out.schema.types == schema.types
    assert out.to_pylist() == table.to_pylist()

    lines = write(tmp_path / "out.jsonl", kept, reader.schema()).splitlines()
    for i, line in enumerate(lines):
        expected = {name: column[2][i] for name, column in COLUMNS.items()}
        assert json.loads(line) == expected | added(DONE)

    text = write(tmp_path / "out.csv", kept, reader.schema(), [BAD._replace(custom_id=None)] * 2)
    expected = [",".join(column[3][i] for column in COLUMNS.values()) for i in (0, 1)]
    assert text.decode().splitlines()[1:] == [f"{row},,invalid,,,bad,,,,,,,,0" for row in expected]


def test_an_own_custom_id_is_not_repeated(tmp_path):
    """A finished request's custom_id is the outcome's; any other column keeps its name."""
    kept, schema = taken_in(b'{"custom_id":"mine","params":{"x":1}}')
    out = write(tmp_path / "out.jsonl", kept, schema, custom_id_is_input=True)
    rest = {k: v for k, v in added(DONE).items() if k != "custom_id"}
    assert json.loads(out) == {"custom_id": "mine", "params": {"x": 1}, **rest}
    out = write(tmp_path / "out.jsonl", kept, schema, custom_id_is_input=False)
    expected = {"custom_id": "mine", "params": {"x": 1}, "valar_custom_id": "r-1", **rest}
    assert json.loads(out) == expected
    for suffix in ("csv", "parquet"):
        write(tmp_path / f"out.{suffix}", kept, schema, custom_id_is_input=True)
    names = ["custom_id", "params", *rest]
    assert pq.read_schema(tmp_path / "out.parquet").names == names
    assert (tmp_path / "out.csv").read_text().partition("\n")[0].split(",") == names


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_all_rows_may_be_problems_or_absent(tmp_path, suffix):
    """Without any input column the outcomes are still there; without rows the file is sound."""
    kept, schema = taken_in(b"{nonsense\nnonsense\n")
    path = tmp_path / f"out.{suffix}"
    write(path, kept, schema, [BAD, BAD])
    assert read_back(path) == [added(BAD)] * 2
    write(path, [], schema)
    assert read_back(path) == []


def read_back(path):
    """Read rows with another reader than ours; CSV's values by their columns' types."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    with path.open(newline="") as stream:
        rows = csv.DictReader(stream)
        return [
            {k: int(v) if k == "attempts" else v or None for k, v in row.items()} for row in rows
        ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_identical_input_gives_identical_bytes(tmp_path, suffix):
    """No time, no random name, no order of a hash gets into an output."""
    kept, schema = taken_in(JSONL * 700)
    provenance = {"run": "run-1", "version": "0"}
    outs = {write(tmp_path / f"{i}.{suffix}", kept, schema, provenance=provenance) for i in "ab"}
    assert len(outs) == 1


def test_parquet_provenance_and_row_groups(tmp_path, monkeypatch):
    """Metadata says where the file comes from; row groups are bounded by rows and by bytes."""
    monkeypatch.setattr(writers, "ROW_GROUP_ROWS", 2500)
    kept = [pa.array([b'{"a":"x"}'] * 6000, pa.large_binary())]
    schema = pa.schema([("a", pa.string())])
    path = tmp_path / "out.parquet"
    write(path, kept, schema, [DONE] * 6000, provenance={"run_id": "run-1"})
    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [2500, 2500, 1000]
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    metadata = file.schema_arrow.metadata
    assert metadata == {b"valar_batch.run_id": b"run-1"}
    monkeypatch.setattr(writers, "GROUP_BYTES", 1)
    write(path, kept, schema, [DONE] * 6000)
    assert pq.ParquetFile(path).num_row_groups == 6
    monkeypatch.setattr(writers, "PIECE_BYTES", 17 * 100)
    assert write(tmp_path / "out.jsonl", kept, schema, [DONE] * 6000).count(b"\n") == 6000


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_error_leaves_what_was_there(tmp_path, suffix):
    """After an error the old output is untouched and no temporary file is left."""
    path = tmp_path / f"out.{suffix}"
    path.write_bytes(b"old")
    kept, schema = taken_in(JSONL)
    with pytest.raises(ValueError, match="4 rows beside 3 outcomes"):
        write(path, [*kept, *kept], schema, [DONE] * 3)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("output_format", ["jsonl", "csv"])
def test_standard_output(capfdbinary, output_format):
    """`-` writes to the standard output, and leaves it open."""
    kept, schema = taken_in(b"a\n1\n")
    target = output_target("-", output_format)
    layout = layout_of(schema)
    with open_output(target, layout, provenance={}) as writer:
        writer.write(kept[0], layout.held([BAD], target.form))
    print("more")  # noqa: T201 - the stream must still work
    out = capfdbinary.readouterr().out
    expected = {
        "jsonl": b'{"a":"1","custom_id":"r-2","status":"invalid"',
        "csv": b"a,custom_id,status",
    }[output_format]
    assert out.startswith(expected)
    assert out.endswith(b"more\n")


GZ, ZST = "gzip", "zstd"


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("-", (), (None, "jsonl", "none")),
        ("-", ("csv",), (None, "csv", "none")),
        ("-", ("arrow",), (None, "arrow", ZST)),
        ("-", ("tsv", GZ), (None, "tsv", GZ)),
        ("a.PARQUET", (), ("a.PARQUET", "parquet", ZST)),
        ("a.parquet", (None, "snappy", 10), ("a.parquet", "parquet", "snappy", 10)),
        ("a.feather", (None, "none"), ("a.feather", "arrow", "none")),
        ("a.arrow", (None, "lz4", 5), ("a.arrow", "arrow", "lz4", 5)),
        ("a.ndjson", (), ("a.ndjson", "jsonl", "none")),
        ("a.b.tsv", (), ("a.b.tsv", "tsv", "none")),
        ("a.jsonl.gz", (), ("a.jsonl.gz", "jsonl", GZ)),
        ("a.csv.ZST", (), ("a.csv.ZST", "csv", ZST)),
        ("a.csv.gz", (None, "none"), ("a.csv.gz", "csv", "none")),
        ("a.csv", ("jsonl",), ("a.csv", "jsonl", "none")),
        ("a.gz", ("jsonl",), ("a.gz", "jsonl", GZ)),
        ("a", ("parquet",), ("a", "parquet", ZST)),
        ("a/", (), ("a", "parquet", ZST, None, True)),
        ("there", (), ("there", "parquet", ZST, None, True)),
        ("folder.csv", (None, GZ), ("folder.csv", "parquet", GZ, None, True)),
    ],
)
def test_targets(tmp_path, monkeypatch, text, options, expected):
    """A name tells format and compression, options override it, `-` is JSONL, a folder parts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "folder.csv").mkdir()
    name, *rest = expected
    assert output_target(text, *options) == Target(name and Path(name), *rest)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("-", ("parquet",), ("Parquet cannot be written to the standard output"
            " | name a file, as in --to answers.parquet")),
        ("a.xml", (), ("a.xml: the name does not say which format to write | end its name in"
            " .parquet, .arrow, .feather, .ipc, .jsonl, .ndjson, .csv, .tsv, or in / for a folder,"
            " or give --format")),
        ("a.parquet.gz", (), ("a.parquet.gz: the name does not say which format to write | end its"
            " name in .parquet, .arrow, .feather, .ipc, .jsonl, .ndjson, .csv, .tsv, or in / for a"
            " folder, or give --format")),
        ("a", ("xml",), ("--format xml: there is no such output format"
            " | one of parquet, arrow, jsonl, csv, tsv")),
        ("no/a.csv", (), "no/a.csv: the folder no does not exist | mkdir -p no"),
        ("file.csv/", (), ("file.csv/: what is there is a file, not a folder"
            " | name another; - is the standard output")),
        ("/dev/null", ("csv",), ("/dev/null: what is there is no file"
            " | name another; - is the standard output")),
        ("a.csv", (None, "snappy"), ("--compression snappy: csv does not have it"
            " | one of none, gzip, zstd")),
        ("a.csv", (None, None, 9), ("--row-group-size 9: it is a number of rows in Parquet and"
            " Arrow | leave it out")),
        ("a.parquet", (None, None, 0), ("--row-group-size 0: it is a number of rows in Parquet and"
            " Arrow | leave it out")),
        ("folder/", ("csv",), ("folder/: a folder holds Parquet files, not csv"
            " | name a file in it, as in folder/answers.csv")),
    ],
)  # fmt: skip
def test_targets_that_cannot_be(tmp_path, monkeypatch, text, options, message):
    """Each refusal says what would do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.csv").touch()
    with pytest.raises(UsageError) as error:
        output_target(text, *options)
    assert f"{error.value.message} | {error.value.hint}" == message


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "é", ""]), JSON_VALUES, max_size=3), min_size=1
)


@settings(deadline=None)
@given(ROWS, st.booleans())
def test_any_json_comes_through(tmp_path_factory, rows, ascii_only):
    """Arbitrary objects reach JSONL byte for byte, and Parquet with every value."""
    lines = [json.dumps(row, ensure_ascii=ascii_only).encode() for row in rows]
    kept, schema = taken_in(b"\n".join(lines))
    (whole,) = kept
    assert list(to_json_objects(whole, schema)) == lines
    folder = tmp_path_factory.mktemp("out")
    out = write(folder / "out.jsonl", kept, schema, [BAD] * len(rows))
    assert [json.loads(line) for line in out.splitlines()] == [r | added(BAD) for r in rows]
    write(folder / "out.parquet", kept, schema, [BAD] * len(rows))
    table = pq.read_table(folder / "out.parquet")
    for field in schema:
        values = table.column(field.name).to_pylist()
        if field.metadata:
            values = [None if text is None else json.loads(text) for text in values]
        assert [filled(row.get(field.name)) for row in rows] == list(map(filled, values))


def filled(value):
    """Give a value without the nulls in objects: absent and null are one in a struct."""
    if isinstance(value, dict):
        return {k: filled(v) for k, v in value.items() if v is not None}
    return list(map(filled, value)) if isinstance(value, list) else value


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT | st.sampled_from(["", '"', ",", "\r", "\n"]), TEXT), min_size=1))
def test_any_text_comes_through_csv(tmp_path_factory, rows):
    """What the csv module wrote, it reads back from our output, and so do we."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([("a", "b"), *rows])
    kept, schema = taken_in(stream.getvalue().encode(), "csv")
    path = tmp_path_factory.mktemp("out") / "out.csv"
    out = write(path, kept, schema, [BAD] * len(rows))
    again = list(csv.reader(io.StringIO(out.decode(), newline="")))
    assert [tuple(row[:2]) for row in again[1:]] == rows
    ours = [row for chunk in open_input(str(path)).chunks(None) for row in chunk.rows]
    assert [(row["a"], row["b"]) for row in ours] == rows


def test_slices_and_chunks_of_kept_rows_are_the_same_rows():
    """Kept rows may be cut anywhere before they are written."""
    for content in (JSONL, CSV):
        (kept,), schema = taken_in(content)
        whole = [column.to_pylist() for column in to_columns(kept, schema)]
        objects = list(to_json_objects(kept, schema))
        cut = [kept.slice(i, 1) for i in range(len(kept))]
        columns = zip(*[to_columns(part, schema) for part in cut], strict=True)
        assert [[c[0].as_py() for c in column] for column in columns] == whole
        assert [o for part in cut for o in to_json_objects(part, schema)] == objects
