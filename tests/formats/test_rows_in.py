"""Inputs of rows: every row once, in order, unchanged, and errors that name the place."""

import contextlib
import datetime
import decimal
import hashlib
import io
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valar_batch.core.problems import Problem
from valar_batch.core.reading import Reading
from valar_batch.errors import InputError, UsageError
from valar_batch.formats import json_lines, source
from valar_batch.formats.readers import open_input


def read(reader, wanted=None):
    """Give all kept values, rows (with problems placed) and lines of a reader."""
    kept, rows, lines = [], [], []
    with contextlib.closing(reader):
        for chunk in reader.chunks(wanted):
            assert chunk.first_row == len(rows) + 1
            assert len(chunk.kept) == len(chunk.rows)
            kept += chunk.kept.to_pylist()
            rows += [
                row.at(*chunk.place(index)) if isinstance(row, Problem) else row
                for index, row in enumerate(chunk.rows)
            ]
            lines += chunk.lines or []
    return kept, rows, lines


def read_bytes(tmp_path, name, content, wanted=None):
    """Write a file and read it."""
    (tmp_path / name).write_bytes(content)
    return read(open_input(str(tmp_path / name)), wanted)


def said(error):
    """Give an error as the user sees it, the folder cut off."""
    return f"{error.value.message} | {error.value.hint}"


ENCODING_HINT = "save the file as UTF-8, or name its encoding, as in --encoding cp1252"
JSON_HINT = 'each line must be one JSON object, as in {"review": "…"}'


def test_jsonl_rows_are_raw_lines_and_bad_lines_are_problems(tmp_path):
    """BOM, CRLF and blank lines vanish; a line that is no object is a Problem in its place."""
    content = (
        b'\xef\xbb\xbf {"a": 1.10, "b": "\xc3\xa9"} \r\n\r\n  \n{"a":\n"caf\xe9"\n[1]\n7\n'
        b'{"a":123456789012345678901234567890,"a":null}'
    )
    kept, rows, lines = read_bytes(tmp_path, "in.JSONL", content)
    assert kept == [
        b'{"a": 1.10, "b": "\xc3\xa9"}',
        None,
        None,
        None,
        None,
        b'{"a":123456789012345678901234567890,"a":null}',
    ]
    assert rows[0] == {"a": 1.10, "b": "é"}
    assert rows[0]["a"].text == "1.10"
    array_hint = "jq -c '.[]' FILE writes an array's objects one per line"
    assert rows[1:] == [
        Problem(
            "bad JSON",
            "",
            "the line is not valid JSON: Input data was truncated",
            JSON_HINT,
            2,
            4,
        ),
        Problem("bad JSON", "", "the line is not UTF-8", ENCODING_HINT, 3, 5),
        Problem("bad JSON", "", "the line is an array, not a JSON object", array_hint, 4, 6),
        Problem("bad JSON", "", "the line is a bare value, not a JSON object", JSON_HINT, 5, 7),
        {"a": None},
    ]
    assert lines == [1, 4, 5, 6, 7, 8]


def test_jsonl_nested_too_deeply_is_a_problem(tmp_path):
    """A line that would overflow the decoder's stack costs its row only."""
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    _, rows, _ = read_bytes(tmp_path, "in.jsonl", b'{"a":1}\n' + deep + b'\n{"a":2}\n')
    message = "the JSON is nested too deeply: 200 levels are the most"
    problem = Problem("bad JSON", "", message, JSON_HINT, 2, 2)
    assert rows == [{"a": 1}, problem, {"a": 2}]


def test_the_deepest_json_is_the_same_everywhere(tmp_path):
    """200 levels are taken, 201 are not; brackets in text are none, and many may stand in a row."""
    lines = [
        b'{"a":' + b"[" * 199 + b"]" * 199 + b"}",
        b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"a":"' + b"[" * 900 + rb"\"{" + b'"}',
        b'{"a":[' + b"[[]]," * 900 + b"[]]}",
        b'{"a":' + b'{"[":' * 200 + b"1" + b"}" * 200 + b"}",
    ]
    _, rows, _ = read_bytes(tmp_path, "in.jsonl", b"\n".join(lines))
    assert [isinstance(row, Problem) for row in rows] == [False, True, False, False, True]
    assert rows[2] == {"a": "[" * 900 + '"{'}


@pytest.mark.parametrize(
    ("line", "reason", "hint"),
    [
        (rb'{"a":"\ud800"}', r"\ud800 is half of a surrogate pair", "write the whole character"),
        (rb'{"a":"x\uDC00"}', r"\uDC00 is half of a surrogate pair", "write the whole character"),
        (rb'{"a":"\ud83d\u0041"}', r"\ud83d is half of a surrogate pair", "write the whole"),
        (b'{"a":NaN}', "there is no NaN in JSON", "write null for what is no number"),
        (
            b'{"a":[1,-Infinity]}',
            "there is no -Infinity in JSON",
            "write null for what is no number",
        ),
        (b'\xef\xbb\xbf{"a":1}', "a byte order mark stands before it", "write the file without"),
        (b'{"a":1}\r{"a":2}', "JSON is malformed: trailing characters", "a line ends in a"),
        (b'{"a":"NaN",}', "JSON is malformed: trailing comma in object", JSON_HINT),
        (rb'{"a":"\ud83d\ude00",}', "JSON is malformed: trailing comma in object", JSON_HINT),
        (b'{"a":"\0"}', "JSON is malformed: invalid character (byte 6)", JSON_HINT),
    ],
)
def test_what_others_write_for_json_is_called_by_its_name(tmp_path, line, reason, hint):
    """What json.dumps and spreadsheets write and JSON does not have is named, with what to do."""
    _, (_, row), _ = read_bytes(tmp_path, "in.jsonl", b'{"a":1}\n' + line)
    assert row.message.startswith(f"the line is not valid JSON: {reason}")
    assert row.hint.startswith(hint)
    assert (row.row, row.line) == (2, 2)


def test_chunks_are_bounded_by_rows_and_by_bytes(tmp_path):
    """A chunk has at most 1,000 rows, and fewer when they are long."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f'{{"a":{i}}}\n' for i in range(2500)))
    assert [len(c.rows) for c in open_input(str(path)).chunks(None)] == [1000, 1000, 500]
    long = '{"a":"' + "x" * 3_000_000 + '"}\n'
    path.write_text(long * 4)
    chunks = list(open_input(str(path)).chunks(None))
    assert [(c.first_row, len(c.rows)) for c in chunks] == [(1, 3), (4, 1)]
    assert chunks[0].kept[0].as_py() == long.strip().encode()


def test_jsonl_columns_are_peeked_without_losing_rows(monkeypatch):
    """The keys of the first object that has any, and every row is still given."""
    monkeypatch.setattr(json_lines, "CHUNK_ROWS", 2)
    content = b'nonsense\n{}\n[]\n{"b":1,"a":2}\n{"c":3}\n'
    reader = open_input("-", Reading("jsonl"), stdin=io.BytesIO(content))
    assert reader.columns() == ["b", "a"]
    kept, rows, lines = read(reader)
    assert kept == [None, b"{}", None, b'{"b":1,"a":2}', b'{"c":3}']
    assert [type(row) for row in rows] == [Problem, dict, Problem, dict, dict]
    assert lines == [1, 2, 3, 4, 5]
    assert reader.schema().names == ["b", "a", "c"]
    assert reader.digest() == hashlib.sha256(content).hexdigest()


def test_looking_for_columns_is_bounded(monkeypatch):
    """A file that begins with nothing but bad lines is not held in memory to find its columns."""
    monkeypatch.setattr(json_lines, "CHUNK_ROWS", 1)
    content = b"bad\n" * json_lines.PEEK_CHUNKS + b'{"a":1}\n'
    reader = open_input("-", Reading("jsonl"), stdin=io.BytesIO(content))
    assert reader.columns() == []
    assert len(read(reader)[1]) == json_lines.PEEK_CHUNKS + 1


def test_csv_text_is_kept_as_it_was(tmp_path):
    """BOM, CRLF, quoted newlines and commas, blank lines; lines are where rows start."""
    content = (
        '\ufeffid,té xt\r\n\r\n 1 ,"a ""b"", c"\r\n007,"two\r\nlines"\r\n   \r\n1e5,\r\n"",x'
    ).encode()
    kept, rows, lines = read_bytes(tmp_path, "in.csv", content)
    assert rows == [
        {"id": " 1 ", "té xt": 'a "b", c'},
        {"id": "007", "té xt": "two\r\nlines"},
        {"id": "1e5", "té xt": ""},
        {"id": "", "té xt": "x"},
    ]
    assert kept == rows
    assert lines == [3, 4, 7, 8]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_line_ends(tmp_path, end):
    """Any line end will do."""
    content = end.join(["a,b", "1,2", "3,4", ""]).encode()
    assert read_bytes(tmp_path, "in.csv", content)[1:] == (
        [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}],
        [2, 3],
    )


def test_one_column_csv_keeps_white_space(tmp_path):
    """In a file of one column a line of spaces is a value, an empty line is not."""
    kept, _, lines = read_bytes(tmp_path, "in.csv", b'a\n  \n\n""\nx\n')
    assert kept == [{"a": "  "}, {"a": ""}, {"a": "x"}]
    assert lines == [2, 4, 5]


def test_csv_ragged_rows_are_problems(tmp_path):
    """Too few and too many fields are counted and named; what is there is kept."""
    kept, rows, _ = read_bytes(tmp_path, "in.csv", b"a,b,c\n1,2,3\n1\n1,2,3,x,\n4,5,6\n")
    hint = "a field with a comma in it must be quoted"
    assert rows == [
        {"a": "1", "b": "2", "c": "3"},
        Problem("ragged row", "", "the row has 1 fields, the header 3; missing: b, c", hint, 2, 3),
        Problem(
            "ragged row", "", "the row has 5 fields, the header 3; too many: 'x', ''", hint, 3, 4
        ),
        {"a": "4", "b": "5", "c": "6"},
    ]
    assert kept[1:3] == [{"a": "1", "b": None, "c": None}, {"a": "1", "b": "2", "c": "3"}]


def test_csv_fields_may_be_long(tmp_path):
    """The csv module's limit of 131,072 characters does not apply."""
    text = "x" * 1_000_000
    assert read_bytes(tmp_path, "in.csv", f"a\n{text}\n".encode())[0] == [{"a": text}]


def test_parquet_gives_the_wanted_values_and_keeps_all(tmp_path):
    """Only wanted columns are decoded; every column is kept, a dictionary as its values."""
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    rows = [
        {
            "d": decimal.Decimal("1.10"),
            "t": moment,
            "n": {"l": [1, None], "s": "é"},
            "c": "red",
            "u": 2**64 - 1,
        },
        {"d": None, "t": None, "n": None, "c": None, "u": None},
    ]
    kind = pa.schema(
        [
            ("d", pa.decimal128(10, 2)),
            ("t", pa.timestamp("ns", "UTC")),
            ("n", pa.struct([("l", pa.list_(pa.int64())), ("s", pa.string())])),
            ("c", pa.dictionary(pa.int32(), pa.string())),
            ("u", pa.uint64()),
        ]
    )
    path = tmp_path / "in.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=kind), path)
    reader = open_input(str(path))
    assert reader.columns() == ["d", "t", "n", "c", "u"]
    kept, values, lines = read(reader)
    assert (kept, values, lines) == (rows, rows, [])
    assert reader.schema().equals(kind)
    assert reader.digest() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read(open_input(str(path)), {"t", "elsewhere"})[1] == [{"t": moment}, {"t": None}]
    assert read(open_input(str(path)), set())[1] == [{}, {}]


def test_parquet_times_beyond_datetime_are_exact_text(tmp_path):
    """Nanoseconds and far years are not cut off."""
    path = tmp_path / "in.parquet"
    table = pa.table(
        {
            "n": pa.array([1, 1000], pa.timestamp("ns")),
            "y": pa.array([300_000_000_000, 0], pa.timestamp("s")),
            "l": pa.array([[1], None], pa.list_(pa.time64("ns"))),
        }
    )
    pq.write_table(table, path)
    assert next(open_input(str(path)).chunks(None)).rows == [
        {
            "n": "1970-01-01T00:00:00.000000001",
            "y": "11476-08-15T05:20:00",
            "l": ["00:00:00.000000001"],
        },
        {"n": "1970-01-01T00:00:00.000001", "y": "1970-01-01T00:00:00", "l": None},
    ]


def test_parquet_chunks_stay_small(tmp_path):
    """At most 1,000 rows, fewer when they are large, across row groups."""
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"a": range(2500)}), path, row_group_size=1500)
    rows = read(open_input(str(path)))[1]
    assert rows == [{"a": i} for i in range(2500)]
    texts = [str(i) * 1_000_000 for i in range(10)] * 2
    pq.write_table(pa.table({"a": texts}), path, use_dictionary=False)
    assert [len(c.rows) for c in open_input(str(path)).chunks(None)] == [7, 7, 6]


@pytest.mark.parametrize(
    ("name", "content", "format_"),
    [
        ("x.ndjson", b"nonsense", "jsonl"),
        ("x.json", b'{"a":1}', "jsonl"),
        ("x.CSV", b"{\n1", "csv"),
        ("x", b'\xef\xbb\xbf\n {"a":1}', "jsonl"),
        ("x.txt", b"a,b\n1,2", "csv"),
    ],
)
def test_format_is_told_by_name_then_content(tmp_path, name, content, format_):
    """A known suffix wins; else the first characters tell."""
    (tmp_path / name).write_bytes(content)
    assert open_input(str(tmp_path / name)).format == format_


def test_parquet_is_told_by_its_magic(tmp_path):
    """A Parquet file needs no suffix."""
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.bin")
    assert open_input(str(tmp_path / "x.bin")).format == "parquet"


@pytest.mark.parametrize(
    ("content", "format_", "columns"),
    [
        (b'  \n{"a":1}', "jsonl", ["a"]),
        (b"a\n1\n", "csv", ["a"]),
        (b"\xef\xbb\xbfa,b\n1,2\n", "csv", ["a", "b"]),
    ],
)
def test_standard_input_is_told_by_content(content, format_, columns):
    """A brace begins JSONL, anything else is CSV; the stream is left open."""
    stream = io.BytesIO(content)
    reader = open_input("-", stdin=stream)
    assert (reader.format, reader.columns(), len(read(reader)[1])) == (format_, columns, 1)
    assert reader.digest() == hashlib.sha256(content).hexdigest()
    assert not stream.closed


def test_a_pipe_is_read_once(tmp_path):
    """A named pipe (a shell's <(…)) works: its format is told without reading it twice."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    if os.fork() == 0:
        path.write_bytes(b'{"a":1}\n')
        os._exit(0)
    assert read(open_input(str(path)))[1] == [{"a": 1}]
    os.wait()


@pytest.mark.parametrize("block", [3, 4, 7, 64])
@pytest.mark.parametrize("name", ["x.jsonl", "x.csv"])
def test_block_boundaries_change_nothing(tmp_path, monkeypatch, block, name):
    """Wherever the blocks of the file end, the rows and lines are the same."""
    content = {
        "x.jsonl": '\ufeff{"a":"é"}\r\n\n{"a":"ü\\n"}\n{"b":[1,2.50]}'.encode(),
        "x.csv": '\ufeffa,é\r\n"x\r\ny",ü\n\n1,"""\n"'.encode(),
    }[name]
    whole = read_bytes(tmp_path, name, content)
    monkeypatch.setattr(source, "BLOCK_BYTES", block)
    assert read_bytes(tmp_path, name, content) == whole


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b"", "X: there are no rows | check that this is the right input"),
        ("x.jsonl", b" \r\n\n\t", "X: there are no rows | check that this is the right input"),
        ("x", b"\xef\xbb\xbf", "X: there are no rows | check that this is the right input"),
        ("x", b"", "X: there are no rows | check that this is the right input"),
        ("x.csv", b"\n\n", "X: there are no rows | check that this is the right input"),
        ("x.csv", b"a,b\n\n", "X: there are no rows | check that this is the right input"),
        ("x.txt", b"a\n", ("X: neither name nor content says what it is"
            " | say what it is with --input-format jsonl|csv|tsv|parquet|arrow")),
        ("x.csv", b"a,,b,\n1,2,3,4", ("X: the header has no name for column 2, 4"
            " | the first line must name the columns, or say --no-header")),
        ("x.csv", b"a,b,a,b,c\n", ("X: the header names 'a', 'b' more than once"
            " | give every column its own name")),
        ("x.csv", b'a,b\n1,"2\n3,4\n', ("X: the CSV cannot be followed in the row that begins in"
            " line 2: unexpected end of data | check its quotes: a field with , or a line break is"
            ' quoted, a " in it is doubled; where quotes are plain text, say --csv-quote none')),
        ("x.csv", b'a,b\n\n1,"2"x\n', ("X: the CSV cannot be followed in the row that begins in"
            " line 3: ',' expected after '\"' | check its quotes: a field with , or a line break"
            ' is quoted, a " in it is doubled; where quotes are plain text, say --csv-quote none')),
        ("x.csv", b"a,b\n1,2\n\n3,\xe9\n", "X: line 4 is not UTF-8 | " + ENCODING_HINT),
    ],
)  # fmt: skip
def test_text_that_cannot_be_read(tmp_path, name, content, message):
    """The error names the file, the place and the next step."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read(open_input(str(path)))
    assert said(error) == message.replace("X", str(path))


def test_a_quote_that_never_closes_does_not_fill_the_memory(tmp_path, monkeypatch):
    """A field longer than any request stops the reading, with the line where its row began."""
    monkeypatch.setattr("valar_batch.formats.delimited.LONGEST_FIELD", 1000)
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,2\n3,"4\n' + "5,6\n" * 10_000)
    with pytest.raises(InputError, match="begins in line 3: field larger than field limit"):
        read(open_input(str(path)))


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    """Missing, a folder, forbidden, damaged, of no rows, of double columns."""
    path = tmp_path / "x.parquet"

    def refused(content=None):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError) as error:
            read(open_input(str(path)))
        return said(error).replace(str(path), "X")

    assert refused() == "X: there is no such file | check the path"
    pq.write_table(pa.table({"a": []}), path)
    assert refused() == "X: there are no rows | check that this is the right input"
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, path)
    message = "X: there is more than one column 'a' | give every column its own name"
    assert refused() == message
    assert refused(path.read_bytes()[:-20]).startswith("X: cannot be read as Parquet: ")
    assert refused(b"nonsense").startswith("X: cannot be read as Parquet: ")
    path.unlink()
    path.mkdir()
    assert refused() == (
        "X: the folder has no data files | for files deeper down give a pattern, as in 'X/**/*.csv'"
    )
    path.rmdir()
    monkeypatch.setattr("pathlib.Path.open", forbidden)
    assert refused() == "X: the file may not be read | check who may read the file"


def forbidden(*_, **__):
    """Stand in for a file that only others may read."""
    raise PermissionError(13, "Permission denied")


def test_parquet_damaged_in_the_middle(tmp_path):
    """Damage that shows only on the way is an error of the input as well."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [json.dumps(i) for i in range(10_000)]}), path)
    content = bytearray(path.read_bytes())
    content[4:4000] = b"\xff" * 3996
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read(open_input(str(path)))


def test_parquet_on_a_pipe_is_refused():
    """Parquet is read from its end, so it must be a file."""
    with pytest.raises(InputError) as error:
        open_input("-", stdin=io.BytesIO(b"PAR1...."))
    assert said(error) == (
        "standard input: Parquet cannot be read from a pipe"
        " | write it to a file and name that: Parquet is read from its end"
    )


def test_unknown_input_format():
    """The formats that there are, are listed."""
    with pytest.raises(UsageError) as error:
        open_input("-", Reading("xml"))
    assert (
        said(error)
        == "--input-format xml: there is no such format | one of jsonl, csv, tsv, parquet, arrow"
    )


LINES = [b'{"a":%d,"b":"%b"}\n' % (n, b"x" * 500) for n in range(3_000)]


@pytest.mark.parametrize("size", [700_000, 1_000_003, 1_700_000], ids=["shrinks", "torn", "grows"])
def test_a_file_that_changes_while_it_is_read(tmp_path, size):
    """What was read is what is hashed and kept: whole rows of the file, and a torn one as such."""
    path, whole = tmp_path / "in.jsonl", b"".join(LINES)
    path.write_bytes(whole)
    reader = open_input(path)
    chunks = reader.chunks(None)
    rows, kept = [], []
    for chunk in chunks:
        rows += chunk.rows
        kept += chunk.kept.to_pylist()
        path.write_bytes((whole + whole)[:size])
    assert reader.digest() == hashlib.sha256((whole + whole)[:size]).hexdigest()
    torn = isinstance(rows[-1], Problem)
    read_whole = kept[:-1] if torn else kept
    assert [line + b"\n" for line in read_whole] == (LINES + LINES)[: len(read_whole)]
    assert sum(len(line) + 1 for line in read_whole) > size - len(LINES[-1]) - 1
    assert torn == ((whole + whole)[size - 1 : size] != b"\n")


def test_a_parquet_file_that_shrinks_while_it_is_read(tmp_path):
    """It cannot be read on, which is said."""
    path = tmp_path / "in.parquet"
    pq.write_table(
        pa.table({"a": [b"%032d" % n for n in range(200_000)]}), path, row_group_size=5_000
    )
    chunks = open_input(path).chunks(None)
    next(chunks)
    os.truncate(path, 100_000)
    with pytest.raises(InputError) as error:
        list(chunks)
    assert said(error).startswith(f"{path}: cannot be read as Parquet: ")
