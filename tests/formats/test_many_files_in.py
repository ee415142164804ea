"""Several files as one input: which ones, in which order, and what must be the same in them."""

import decimal
import gc
import gzip
import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.formats.test_rows_in import read, said
from valar_batch.core.problems import FileRows, Problem
from valar_batch.core.reading import Reading
from valar_batch.errors import InputError
from valar_batch.formats.found import reads
from valar_batch.formats.readers import open_input


def put(folder, files):
    """Write files of text or bytes, and the folders for them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def rows_of(given, reading=None):
    """Read an input: its rows, and how many each file has."""
    reader = open_input(str(given), reading or Reading())
    rows = read(reader)[1]
    return rows, [(file.path, file.rows) for file in reader.files()]


def refused(given, reading=None):
    """Read an input that cannot be read."""
    with pytest.raises(InputError) as error:
        rows_of(given, reading)
    return said(error)


A, B = '{"a":1}\n', '{"a":2}\n'


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("in", [("a.jsonl", 1), ("b.jsonl.gz", 1), ("c.NDJSON", 1)]),
        ("in/", [("a.jsonl", 1), ("b.jsonl.gz", 1), ("c.NDJSON", 1)]),
        ("in/*.jsonl*", [("_m.jsonl", 1), ("a.jsonl", 1), ("b.jsonl.gz", 1)]),
        ("in/[ac].*", [("a.jsonl", 1), ("c.NDJSON", 1)]),
        ("in/**/*.jsonl", [("_m.jsonl", 1), ("a.jsonl", 1), ("deep/er/d.jsonl", 1)]),
        ("in/*/*/d.jsonl", []),
        ("*/_m.jsonl", []),
    ],
)
def test_folders_and_patterns(tmp_path, pattern, found):
    """The files of a folder that show and have a name of data; those that a pattern matches."""
    put(tmp_path / "in", {
        "a.jsonl": A, "b.jsonl.gz": gzip.compress(B.encode()), "c.NDJSON": A, "_m.jsonl": A,
        ".h.jsonl": A, "README.md": "x", "deep/er/d.jsonl": B,
    })  # fmt: skip
    rows, files = rows_of(f"{tmp_path}/{pattern}")
    assert files == found
    assert len(rows) == max(len(found), 1)


def test_what_is_left_out_of_a_folder_is_said(tmp_path):
    """Files that tell no format are named; where none does, all that show are read."""
    put(tmp_path / "in", {"a.jsonl": A, "README.md": "x"})
    (notice,) = open_input(str(tmp_path / "in")).notices
    assert notice == f"{tmp_path}/in: left out, as their names tell no format: 'README.md'"
    put(tmp_path / "plain", {"part-0": A, "part-1": B, "_SUCCESS": ""})
    assert rows_of(tmp_path / "plain") == ([{"a": 1}, {"a": 2}], [("part-0", 1), ("part-1", 1)])
    put(tmp_path / "said", {"a.jsonl": "a\n1\n", "b": "a\n2\n"})
    rows, _ = rows_of(tmp_path / "said", Reading("csv"))
    assert rows == [{"a": "1"}, {"a": "2"}]


def test_a_file_that_looks_like_a_pattern(tmp_path):
    """A file that is there is itself."""
    put(tmp_path, {"x[1].jsonl": A, "x1.jsonl": B})
    assert rows_of(tmp_path / "x[1].jsonl") == ([{"a": 1}], [])
    (tmp_path / "x[1].jsonl").unlink()
    assert rows_of(tmp_path / "x[1].jsonl") == ([{"a": 2}], [])


def test_rows_are_numbered_through_and_placed_in_their_files(tmp_path):
    """Ids count over the whole input; a problem names its file, row and line."""
    put(tmp_path, {"a.jsonl": A + "\n" + B, "b.jsonl": "", "c.jsonl": "\n" + A + "nonsense\n"})
    reader = open_input(str(tmp_path))
    chunks = list(reader.chunks(None))
    assert [(chunk.first_row, chunk.file, chunk.rows_before) for chunk in chunks] == [
        (1, "a.jsonl", 0),
        (3, "c.jsonl", 2),
    ]
    problem = chunks[1].rows[1].at(*chunks[1].place(1))
    assert (problem.row, problem.line, problem.file) == (2, 3, "c.jsonl")
    assert str(problem).startswith("c.jsonl row 2 (line 3): the line is not valid JSON")
    counts = {"a.jsonl": 2, "b.jsonl": 0, "c.jsonl": 2}
    assert reader.files() == [FileRows(path, rows) for path, rows in counts.items()]
    digests = [hashlib.sha256((tmp_path / f"{x}.jsonl").read_bytes()).hexdigest() for x in "abc"]
    assert reader.digest() == hashlib.sha256("".join(digests).encode()).hexdigest()


def test_json_lines_settle_one_schema(tmp_path):
    """Lines of several files may differ as lines of one may."""
    put(tmp_path, {"a.jsonl": "\n", "b.jsonl": '{"a":1}\n', "c.jsonl": '{"b":"x","a":2.5}\n'})
    reader = open_input(str(tmp_path))
    assert reader.columns() == ["a"]
    read(reader)
    assert reader.schema() == pa.schema([("a", pa.float64()), ("b", pa.string())])


def test_csv_columns_are_matched_by_name(tmp_path):
    """The first file's order counts; each file has its own dialect; ragged rows stay in theirs."""
    put(tmp_path, {
        "a.csv": "x,y\n1,2\n", "b.csv": "y;x\r\n" + "3;4\r\n" * 9 + "5\r\n",
        "c.csv": "x,y\n", "d.csv": "",
        "e.csv": '"y","x"\n"6, 7","8"\n',
    })  # fmt: skip
    reader = open_input(str(tmp_path))
    kept, rows, _ = read(reader)
    assert kept == [
        {"x": "1", "y": "2"},
        *[{"x": "4", "y": "3"}] * 9,
        {"x": None, "y": "5"},
        {"x": "8", "y": "6, 7"},
    ]
    assert rows[1] == {"x": "4", "y": "3"}
    assert isinstance(rows[10], Problem)
    assert reader.schema().names == ["x", "y"]
    assert [file.rows for file in reader.files()] == [1, 10, 0, 0, 1]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("x,z\n", "it lacks 'y'; it has also 'z'"),
        ("x\n", "it lacks 'y'"),
        ("x,y,z,w\n", "it has also 'z', 'w'"),
    ],
)
def test_csv_headers_that_differ(tmp_path, second, message):
    """The file is named, and what differs."""
    put(tmp_path, {"a.csv": "x,y\n1,2\n", "b.csv": second})
    start = f"{tmp_path}/b.csv: its columns are not those of {tmp_path}/a.csv: "
    hint = " | files that are read as one input have the same columns"
    assert refused(tmp_path) == start + message + hint


def test_no_header_in_any_file(tmp_path):
    """Under --no-header no file has one."""
    put(tmp_path, {"a.csv": "1,2\n", "b.csv": "3,4\n"})
    rows, _ = rows_of(tmp_path, Reading(has_header=False))
    assert rows == [{"column_1": "1", "column_2": "2"}, {"column_1": "3", "column_2": "4"}]
    put(tmp_path, {"b.csv": "3\n"})
    assert "it lacks 'column_2'" in refused(tmp_path, Reading(has_header=False))


def test_inputs_that_are_none(tmp_path):
    """More than one format, no match, nothing in the folder, nothing in the files."""
    put(tmp_path / "mixed", {"a.csv": "a\n1\n", "b.jsonl": A, "c.jsonl": B})
    assert refused(tmp_path / "mixed") == (
        f"{tmp_path}/mixed: the files are of more than one format: csv (as a.csv), jsonl (as "
        f"b.jsonl) | choose those of one with a pattern, as in '{tmp_path}/mixed/*.csv'"
    )
    assert refused(tmp_path / "*.nothing") == (
        f"{tmp_path}/*.nothing: no file matches"
        " | ** goes through folders; names that begin with a dot match only a pattern with one"
    )
    put(tmp_path / "hidden", {".a.csv": "a\n1\n", "_b.csv": "a\n1\n", "deep/c.csv": "a\n1\n"})
    assert refused(tmp_path / "hidden") == (
        f"{tmp_path}/hidden: the folder has no data files"
        f" | for files deeper down give a pattern, as in '{tmp_path}/hidden/**/*.csv'"
    )
    for kind, content in (("csv", "a\n"), ("jsonl", "\n")):
        put(tmp_path / kind, {f"a.{kind}": content, f"b.{kind}": content})
        assert refused(tmp_path / kind).endswith(
            ": there are no rows | check that this is the right input"
        )


def test_what_an_input_would_read(tmp_path):
    """Its files, by any name for them, and those that would join them when it is read again."""
    put(tmp_path / "in", {"a.csv": "a\n1\n", "deep/b.csv": "a\n1\n"})
    (tmp_path / "link.csv").symlink_to(tmp_path / "in" / "a.csv")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    names = ("in/a.csv", "in/new.csv", "in/new.txt", "in/deep/new.csv", "new.csv", "in", "alias")

    def read(text):
        return [name for name in names if reads(str(tmp_path / text), tmp_path / name)]

    assert read("in/a.csv") == read("link.csv") == ["in/a.csv"]
    assert read("in") == read("alias") == ["in/a.csv", "in/new.csv", "in", "alias"]
    assert read("in/*.csv") == ["in/a.csv", "in/new.csv"]
    assert read("in/**/*.csv") == ["in/a.csv", "in/new.csv", "in/deep/new.csv"]
    assert read("nothing.csv") == []


D = decimal.Decimal
PROMOTIONS = [
    (pa.int32(), pa.int64(), pa.int64(), [1], [2]),
    (pa.uint32(), pa.int8(), pa.int64(), [1], [-2]),
    (pa.null(), pa.list_(pa.int8()), pa.list_(pa.int8()), [None], [[1]]),
    (pa.timestamp("us"), pa.null(), pa.timestamp("us"), [None], [None]),
    (pa.string(), pa.large_string(), pa.large_string(), ["x"], ["y"]),
    (pa.large_string(), pa.string_view(), pa.large_string(), ["x"], ["y"]),
    (pa.binary(), pa.large_binary(), pa.large_binary(), [b"x"], [b"y"]),
    (pa.float32(), pa.float64(), pa.float64(), [0.5], [0.1]),
    (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string(), ["x"], ["y"]),
    (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int32(), pa.string()), ["x"], ["y"]),
    (pa.dictionary(pa.int32(), pa.int32()), pa.int64(), pa.int64(), [1], [2]),
    (pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC"), [None],
        [None]),
    (pa.duration("s"), pa.duration("ms"), pa.duration("ms"), [None], [None]),
    (pa.decimal128(5, 2), pa.decimal128(9, 2), pa.decimal128(9, 2), [D("1.10")], [D("2.00")]),
    (pa.list_(pa.int8()), pa.large_list(pa.int64()), pa.large_list(pa.int64()), [[1]], [[2]]),
    (pa.list_(pa.null()), pa.list_(pa.string()), pa.list_(pa.string()), [[]], [["x"]]),
    (pa.list_(pa.int8(), 2), pa.list_(pa.int16(), 2), pa.list_(pa.int16(), 2), [[1, 2]], [[3, 4]]),
    (pa.map_(pa.string(), pa.int8()), pa.map_(pa.string(), pa.int64()),
        pa.map_(pa.string(), pa.int64()), [[("k", 1)]], [[("k", 2)]]),
    (pa.struct([("x", pa.null())]), pa.struct([("x", pa.string())]),
        pa.struct([("x", pa.string())]), [{"x": None}], [{"x": "y"}]),
]  # fmt: skip


def columns_file(path, table):
    """Write a table as the file's name says."""
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
@pytest.mark.parametrize(("one", "other", "both", "first", "second"), PROMOTIONS)
def test_types_that_differ_by_promotion(tmp_path, one, other, both, first, second, suffix):
    """One type holds both, whichever file comes first, with the values that they were."""
    names = {"a": (one, first), "b": (other, second), "c": (one, first)}
    for name, (kind, values) in names.items():
        table = pa.table({"v": pa.array(values, kind), "n": [0]})
        table = table.select(["n", "v"]) if name == "b" else table
        columns_file(tmp_path / f"{name}.{suffix}", table)
    reader = open_input(str(tmp_path))
    kept = [row["v"] for row in read(reader)[0]]
    assert kept == [*first, *second, *first]
    expected = pa.schema([("v", both), ("n", pa.int64())])
    if suffix == "parquet" and not pa.types.is_dictionary(both):
        expected = pq_schema(expected, tmp_path)
    assert reader.schema().equals(expected)


def pq_schema(schema, folder):
    """Give a schema as Parquet has it."""
    pq.write_table(schema.empty_table(), folder / "_empty")
    return pq.read_schema(folder / "_empty")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.int64(), pa.float64()),
        (pa.int64(), pa.string()),
        (pa.uint64(), pa.int64()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.decimal128(5, 1), pa.decimal128(5, 2)),
        (pa.struct([("x", pa.int8())]), pa.struct([("y", pa.int8())])),
        (pa.list_(pa.int8(), 2), pa.list_(pa.int8(), 3)),
        (pa.list_(pa.string()), pa.list_(pa.int8())),
        (pa.string(), pa.binary()),
        (pa.map_(pa.string(), pa.int8()), pa.list_(pa.int8())),
    ],
)
def test_types_that_do_not_go_together(tmp_path, one, other):
    """The file, the column and both types are named, before any row is read."""
    for name, kind in {"a": one, "b": other}.items():
        columns_file(tmp_path / f"{name}.arrow", pa.table({"v": pa.array([None], kind)}))
    with pytest.raises(InputError) as error:
        open_input(str(tmp_path))
    assert said(error) == (
        f"{tmp_path}/b.arrow: its column 'v' is {other}, that of the files before it {one}"
        " | write the files with the same types"
    )


def test_columns_that_differ(tmp_path):
    """A Parquet file that lacks a column is named before any row is read."""
    columns_file(tmp_path / "a.parquet", pa.table({"v": [1], "w": [1]}))
    columns_file(tmp_path / "b.parquet", pa.table({"v": [1], "x": [1]}))
    with pytest.raises(InputError, match=r"b\.parquet: .*it lacks 'w'; it has also 'x'"):
        open_input(str(tmp_path))


@pytest.fixture
def quick_collection():
    """Leave what is there before the test out of the garbage collection."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quick_collection")
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
def test_many_files_do_not_stay_open(tmp_path, suffix):
    """Each file is closed after its end; looking at it first leaves it closed, too."""
    table = pa.table({"a": [1]})
    for number in range(40):
        path = tmp_path / f"{number:03}.{suffix}"
        if suffix in ("parquet", "arrow"):
            columns_file(path, table)
        else:
            path.write_text("a\n1\n" if suffix == "csv" else A)
    before = open_files()
    reader = open_input(str(tmp_path))
    most, rows = 0, 0
    for chunk in reader.chunks(None):
        rows += len(chunk.rows)
        most = max(most, open_files())
    del chunk  # it may lie in the last file
    assert rows == 40
    assert most - before < 10
    assert open_files() == before


def open_files():
    """Count the files that this process has open."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))
