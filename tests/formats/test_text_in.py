"""Text as it comes: compressed, in other encodings, with any line ends, in any dialect of CSV."""

import csv
import gzip
import hashlib
import io
import itertools

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.test_rows_in import read, read_bytes, said
from valar_batch.core.reading import DELIMITERS, QUOTES, Reading
from valar_batch.errors import InputError, UsageError
from valar_batch.formats import source
from valar_batch.formats.readers import open_input


def zst(content):
    """Compress with a checksum."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


TEXTS = {
    "jsonl": b'{"a": 1.10}\n\n{"a": "\xc3\xa9"}\n',
    "csv": b'a,b\n1,"x\r\ny"\n\n2,\xc3\xa9\n',
    "tsv": b"a\tb\n1\tx,y\n2\t\xc3\xa9\n",
}
PACKERS = {"gz": gzip.compress, "zst": zst}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("kind", TEXTS)
def test_compressed_text_is_the_text(tmp_path, kind, suffix):
    """By name or by content, in a file or a pipe, in one piece or several: the same rows."""
    plain, pack = TEXTS[kind], PACKERS[suffix]
    expected = read_bytes(tmp_path, f"x.{kind}", plain)
    packed = pack(plain)
    pieces = pack(plain[:7]) + pack(b"") + pack(plain[7:])
    assert read_bytes(tmp_path, f"x.{kind}.{suffix.upper()}", packed) == expected
    assert read_bytes(tmp_path, f"y.{kind}.{suffix}", pieces) == expected
    assert read_bytes(tmp_path, f"z.{kind}", packed) == expected
    assert read_bytes(tmp_path, "x", packed) == expected
    reader = open_input("-", stdin=io.BytesIO(pieces))
    assert (reader.format, read(reader)) == (kind, expected)
    assert reader.digest() == hashlib.sha256(pieces).hexdigest()


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_text_that_is_cut_off(tmp_path, suffix):
    """Wherever it is cut, and if it is the last piece of several, the error says so."""
    content = b'{"a":1}\n' * 50
    pack, path = PACKERS[suffix], tmp_path / f"x.jsonl.{suffix}"
    packed = pack(content)
    for before, end in itertools.product((b"", packed), range(4, len(packed))):
        path.write_bytes(before + packed[:end])
        with pytest.raises(InputError) as error:
            read(open_input(str(path)))
        assert said(error).startswith(f"{path}: its .{suffix} data is cut off or damaged: ")


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_text_that_is_damaged(tmp_path, suffix):
    """A checksum that fails, rubbish behind the end, and what is not compressed at all."""
    path = tmp_path / f"x.csv.{suffix}"
    packed = PACKERS[suffix](b"a,b\n" + b"1,2\n" * 5000)
    flipped = bytearray(packed)
    flipped[-4] ^= 1
    for content in (bytes(flipped), packed + b"more"):
        path.write_bytes(content)
        with pytest.raises(InputError) as error:
            read(open_input(str(path)))
        assert said(error).startswith(f"{path}: its .{suffix} data is cut off or damaged: ")
    for content in (b"a,b\n1,2\n", b""):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not what its name says"):
            open_input(str(path))


def test_what_unpacks_to_much_is_read_in_blocks(tmp_path, monkeypatch):
    """A file that unpacks to a thousand times its size does not come in one piece."""
    monkeypatch.setattr(source, "BLOCK_BYTES", 4096)
    for name, pack in PACKERS.items():
        path = tmp_path / f"x.csv.{name}"
        path.write_bytes(pack(b"a,b\n" + b"1,2\n" * 200_000))
        opened = source.Source(str(path))
        sizes = {len(block) for block in opened.line_blocks(len)}
        assert max(sizes) <= 4096
        assert sum(len(chunk.rows) for chunk in open_input(str(path)).chunks(None)) == 200_000


LATIN = "größe,été\n“x”,ÿ\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (LATIN.encode("utf-8"), None),
        (LATIN.encode("utf-8-sig"), None),
        (LATIN.encode("utf-16"), None),
        (b"\xfe\xff" + LATIN.encode("utf-16-be"), None),
        (LATIN.encode("cp1252"), "cp1252"),
        (LATIN.encode("utf-16"), "utf-16"),
        (LATIN.encode("utf-16-be"), "utf-16-be"),
        (b"\xfe\xff" + LATIN.encode("utf-16-be"), "utf-16-be"),
        (LATIN.encode("utf-8-sig"), "utf-8"),
    ],
)
@pytest.mark.parametrize("block", [1 << 18, 4, 7])
def test_encodings(tmp_path, monkeypatch, content, encoding, block):
    """A byte order mark tells UTF-8 and UTF-16; anything else is said."""
    monkeypatch.setattr(source, "BLOCK_BYTES", block)
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    kept, rows, _ = read(open_input(str(path), Reading(encoding=encoding)))
    assert kept == rows == [{"größe": "“x”", "été": "ÿ"}]


def test_json_lines_in_utf_16(tmp_path):
    """What PowerShell writes is read as well; kept lines are UTF-8."""
    line = '{"größe": "漢字 😀"}'
    kept, rows, _ = read_bytes(tmp_path, "x.jsonl", f"{line}\r\n{line}".encode("utf-16"))
    assert kept == [line.encode()] * 2
    assert rows == [{"größe": "漢字 😀"}] * 2


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"a,b\n1,2\n\n3,\x81\n", "cp1252", "line 4 is not cp1252"),
        (b"a,b\n1,2\n\n3,\xe9\n", None, "line 4 is not UTF-8"),
        (b"\xff\xfea\0,\0b\0\n\0\x00\xd8\n\0", None, "line 2 is not utf-16-le"),
        (b"\xff\xfea\0\n\0b", None, "line 2 is not utf-16-le"),
    ],
)
def test_bytes_that_are_not_in_the_encoding(tmp_path, content, encoding, message):
    """The error names the line and how to say another encoding."""
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read(open_input(str(path), Reading(encoding=encoding)))
    assert error.value.message == f"{path}: {message}"
    assert "--encoding cp1252" in error.value.hint


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_long_text_streams_whatever_its_line_ends(tmp_path, monkeypatch, end):
    """Blocks are cut at line ends of every kind, so that a file without \\n is not held whole."""
    monkeypatch.setattr(source, "BLOCK_BYTES", 512)
    monkeypatch.setattr(source, "LONGEST_LINE", 2048)
    rows = [{"a": str(n), "b": f"x{end}y"} for n in range(2000)]
    content = end.join(["a,b", *(f'{row["a"]},"{row["b"]}"' for row in rows)])
    assert read_bytes(tmp_path, "x.csv", content.encode())[1] == rows


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_a_file_that_is_no_text_is_not_held(tmp_path, monkeypatch, name):
    """A line that never ends is refused by its number."""
    monkeypatch.setattr(source, "BLOCK_BYTES", 512)
    monkeypatch.setattr(source, "LONGEST_LINE", 2048)
    path = tmp_path / name
    path.write_bytes(b"\n\n" + b"x" * 10_000)
    with pytest.raises(InputError, match="line 3 is longer than 2,048 bytes"):
        read(open_input(str(path)))


def test_very_long_fields_and_very_many_columns(tmp_path):
    """Fields of tens of megabytes and 5,000 columns are kept as they are."""
    text = "é\n" * 8_000_000
    kept, _, lines = read_bytes(tmp_path, "long.csv", f'a,b\n"{text}",1\n2,3\n'.encode(), set())
    assert kept == [{"a": text, "b": "1"}, {"a": "2", "b": "3"}]
    assert lines == [2, 8_000_003]
    names = [f"c{place}" for place in range(5000)]
    records = [names, *([str(row * place) for place in range(5000)] for row in range(300))]
    content = "".join("\t".join(record) + "\n" for record in records).encode()
    kept, rows, _ = read_bytes(tmp_path, "wide.tsv", content, {"c7", "c4999"})
    assert kept == [dict(zip(names, record, strict=True)) for record in records[1:]]
    assert rows[3] == {"c7": "21", "c4999": "14997"}


@pytest.mark.parametrize(
    ("name", "content", "reading", "rows"),
    [
        ("x.csv", "a;b\n1,5;2\n", Reading(), [{"a": "1,5", "b": "2"}]),
        ("x.txt", "a|b\n1|2\n", Reading(), [{"a": "1", "b": "2"}]),
        ("x.csv", "a;b\n1;2\n", Reading(delimiter=","), [{"a;b": "1;2"}]),
        ("x.tsv", 'a\tb\n"x\ty"\t1,2\n', Reading(), [{"a": "x\ty", "b": "1,2"}]),
        ("x.tab", 'a,b\tc\n"x"\t5" long\n', Reading(quote="none"),
            [{"a,b": '"x"', "c": '5" long'}]),
        ("x.tsv", "a;b\n1;2\n", Reading(delimiter=";"), [{"a": "1", "b": "2"}]),
        ("x.csv", "1,x\n2,y\n", Reading(has_header=False),
            [{"column_1": "1", "column_2": "x"}, {"column_1": "2", "column_2": "y"}]),
        ("x.csv", "a,b\n1,'x, y'\n", Reading(), [{"a": "1", "b": "x, y"}]),
        ("x.csv", "a,b\n1,'x, y'\n2,3\n", Reading(quote='"'), None),
        ("x.csv", 'a,b\n1,"x"" y"\n', Reading(), [{"a": "1", "b": 'x" y'}]),
    ],
)  # fmt: skip
def test_dialects(tmp_path, name, content, reading, rows):
    """What is not said is told by the first records; values stay the text that they were."""
    path = tmp_path / name
    path.write_text(content, newline="")
    kept, found, _ = read(open_input(str(path), reading))
    if rows is None:
        assert found[0].kind == "ragged row"
        return
    assert kept == found == rows


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
def test_options_of_csv_are_for_csv(tmp_path, name):
    """An option that could only be ignored is refused."""
    (tmp_path / name).write_text('{"a":1}\n')
    with pytest.raises(UsageError, match="--csv-delimiter, --no-header: this is for CSV"):
        open_input(str(tmp_path / name), Reading(delimiter=";", has_header=False))


def test_ragged_rows_of_another_dialect(tmp_path):
    """The hint names the delimiter that was found."""
    content = "a;b\n" + "1;2\n" * 20 + "1;2;3\n"
    problem = read_bytes(tmp_path, "x.csv", content.encode())[1][-1]
    assert (problem.message, problem.hint) == (
        "the row has 3 fields, the header 2; too many: '3'",
        "a field with ; in it must be quoted; --csv-delimiter names it",
    )


FIELDS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"';,|\t\r\n "))


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(FIELDS, min_size=2, max_size=2), min_size=1, max_size=6),
    delimiter=st.sampled_from(DELIMITERS),
    quote=st.sampled_from(QUOTES),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    is_said=st.booleans(),
)
def test_whatever_the_csv_module_writes_is_read_back(
    tmp_path_factory, rows, delimiter, quote, end, quoting, *, is_said
):
    """Every field exactly: as the options say, and without them where the dialect shows."""
    stream = io.StringIO(newline="")
    writer = csv.writer(
        stream,
        delimiter=delimiter,
        quotechar=quote,
        quoting=quoting,
        lineterminator=end if quoting == csv.QUOTE_ALL else "\r\n",
    )
    writer.writerows([["a", "b"], *rows])
    shows = quoting == csv.QUOTE_ALL or (delimiter, quote) == (",", '"')
    reading = Reading() if shows and not is_said else Reading(delimiter=delimiter, quote=quote)
    path = tmp_path_factory.mktemp("in") / "x.csv"
    path.write_text(stream.getvalue(), encoding="utf-8", newline="")
    kept, found, _ = read(open_input(str(path), reading))
    assert [(row["a"], row["b"]) for row in kept] == [tuple(row) for row in rows]
    assert found == kept
