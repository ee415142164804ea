"""A JSON array of objects is rows as well: an object at a time, each as it stands."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.test_rows_in import read, read_bytes, said
from valar_batch.errors import InputError
from valar_batch.formats import source
from valar_batch.formats.readers import open_input

TEXT = (
    '[\n  {"a": 1.10,\r\n   "b": "x\\ny\u2028, ]"},\n'
    '  {"a": 123456789012345678901234567890}\n, 7]\n'
)


@pytest.mark.parametrize("block", [1 << 18, 3, 7])
@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x", "-"])
def test_the_objects_of_an_array(tmp_path, monkeypatch, name, block):
    """Each is a line of its own, numbers and text as they stand; what is none is a Problem."""
    monkeypatch.setattr(source, "BLOCK_BYTES", block)
    (tmp_path / "x").write_bytes(TEXT.encode())
    (tmp_path / name).write_bytes(TEXT.encode())
    given = str(tmp_path / name) if name != "-" else "-"
    reader = open_input(given, stdin=io.BytesIO(TEXT.encode()))
    assert (reader.format, reader.columns()) == ("jsonl", ["a", "b"])
    kept, rows, lines = read(reader)
    assert kept == [
        '{"a": 1.10, "b": "x\\ny\u2028, ]"}'.encode(),
        b'{"a": 123456789012345678901234567890}',
        None,
    ]
    assert rows[:2] == [{"a": 1.1, "b": "x\ny\u2028, ]"}, {"a": 123456789012345678901234567890}]
    assert (rows[2].row, rows[2].line) == (3, 5)
    assert lines == [2, 4, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a":1},\n{"a":', "line 2: Expecting value"),
        ('[{"a":1}\n{"a":2}]', "line 2: after an item comes , or ]"),
        ('[{"a":1},\n', "line 2: Expecting value"),
        ('[{"a":1}', "line 1: after an item comes , or ]"),
        ('[{"a":1}]\nmore', "line 2: there is more after the end of the array"),
    ],
)
def test_arrays_that_cannot_be_followed(tmp_path, text, message):
    """The line is named; nothing that is cut off is taken for whole."""
    with pytest.raises(InputError) as error:
        read_bytes(tmp_path, "x.json", text.encode())
    assert f"x.json: the JSON array cannot be followed in {message}" in said(error)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.text(), VALUES, min_size=1), min_size=1),
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
)
def test_any_array_comes_through(tmp_path_factory, rows, indent, ascii_only):
    """However it is laid out, its objects are what they were."""
    rows = [row for row in rows if "Infinity" not in json.dumps(row)]
    text = json.dumps([{"a": 1}, *rows], indent=indent, ensure_ascii=ascii_only)
    path = tmp_path_factory.mktemp("in") / "x.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    kept, _, _ = read(open_input(path))
    assert [json.loads(line) for line in kept] == [{"a": 1}, *rows]
