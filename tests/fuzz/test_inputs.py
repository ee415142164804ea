"""Whatever the bytes of an input: rows, problems of rows, or one of our errors with a place."""

from __future__ import annotations

import contextlib
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.e2e.foreign_requests import anthropic_items, openai_lines
from tests.fuzz.mutation import cases
from valar_batch.core.outcome import Outcome
from valar_batch.core.problems import Problem
from valar_batch.core.recipe import Recipe
from valar_batch.core.statuses import Status
from valar_batch.errors import InputError, UsageError, ValarBatchError
from valar_batch.flow.requests import Order, Requests
from valar_batch.formats.layout import layout_of
from valar_batch.formats.readers import open_input
from valar_batch.formats.targets import Form

ROWS = [
    {"text": "one", "id": "a", "n": 1, "deep": {"x": [1, None, {"y": "é"}]}, "f": 1.10},
    {"text": 'two\n"2"', "id": "B/2", "n": None, "deep": {"x": []}, "f": -0.5},
    {"text": "漢😀", "id": "c", "n": 2**63, "f": 1e300, "more": True},
]
FLAT = [
    {key: str(value) for key, value in row.items() if key in ("text", "id", "n")} for row in ROWS
]
ITEMS = [
    {"custom_id": "a", "params": {"model": "openai/gpt-oss-120b", "input": "x", "top_p": 0.5}},
    {"custom_id": "b", "params": {"model": "google/gemma-4-31B-it", "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "x"}]}]}},
]  # fmt: skip


def lines(rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def array(rows) -> bytes:
    return json.dumps(rows, indent=1, ensure_ascii=False).encode()


def delimited(delimiter: str, end: str) -> bytes:
    import csv

    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(FLAT[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(FLAT)
    return stream.getvalue().encode()


def table() -> pa.Table:
    rows = [
        {**row, "deep": {"x": [{"y": "é"}, None], "z": number}} for number, row in enumerate(FLAT)
    ]
    return pa.Table.from_pylist(rows * 20)


def parquet(**how) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table(), sink, row_group_size=25, **how)
    return sink.getvalue()


def arrow(new, **how) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(**how)
    with new(sink, table().schema, options=options) as writer:
        writer.write_table(table(), max_chunksize=25)
    return sink.getvalue()


ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress
FOREIGN = [
    lines(ITEMS),
    lines(openai_lines(18, 1)[0]),
    lines(anthropic_items(12, 1)[0]),
]
SEEDS = {
    "in.jsonl": [lines(ROWS), *FOREIGN],
    "in.json": [array(ROWS), array(ITEMS)],
    "in.csv": [delimited(",", "\r\n"), delimited(";", "\n"), delimited(",", "\r")],
    "in.tsv": [delimited("\t", "\n")],
    "in": [lines(ROWS), array(ROWS), delimited("|", "\n"), parquet(), gzip.compress(lines(ROWS))],
    "in.jsonl.gz": [gzip.compress(lines(ROWS)), gzip.compress(lines(ITEMS)) * 2],
    "in.csv.zst": [ZSTD(delimited(",", "\n")), ZSTD(delimited("\t", "\n")) * 2],
    "in.parquet": [
        parquet(),
        parquet(compression="none", use_dictionary=False),
        parquet(version="1.0"),
    ],
    "in.arrow": [arrow(pa.ipc.new_file), arrow(pa.ipc.new_file, compression="lz4")],
    "in.arrows": [arrow(pa.ipc.new_stream), arrow(pa.ipc.new_stream, compression="zstd")],
}
RECIPES = (
    Recipe(
        model="openai/gpt-oss-120b",
        prompt="{{ text }} {{ deep }} {{ n }}",
        id_column="id",
        null_text="",
    ),
    Recipe(model="google/gemma-4-31B-it", fix=True),
)
BAD = Outcome(None, Status.INVALID, error="no")


def read_through(path, recipe: Recipe) -> int:
    """Go over an input as preparing and writing do; gives how many rows it has."""
    rows = 0
    kept = []
    with contextlib.closing(open_input(str(path))) as reader:
        requests = Requests(Order(str(path), recipe, "local"), reader, lambda _: None)
        for chunk in requests.chunks():
            kept.append(chunk.kept)
            for index in range(len(chunk.rows)):
                made = requests.of(chunk, index)
                assert (made.request is None) == bool(made.problems)
                for problem in made.problems:
                    assert isinstance(problem, Problem)
                    assert problem.row == rows + 1
                    str(problem).encode()
                if made.request:
                    json.loads(made.request)
                rows += 1
        requests.check_seen()
        schema = reader.schema()
    layout = layout_of(schema)
    for part in kept:
        outcomes = [BAD] * len(part)
        for line in layout.objects(part, layout.held(outcomes, Form.JSON)):
            json.loads(line)
        texts = layout.texts(part, layout.held(outcomes, Form.TEXT))
        assert {len(column) for column in texts} == {len(part)}
        arrays = layout.arrays(part, layout.held(outcomes))
        pa.RecordBatch.from_arrays(arrays, schema=layout.schema).validate(full=True)
    return rows


def is_placed(error: ValarBatchError, path) -> bool:
    """Whether an error is of the input or the recipe, and says where."""
    said = error.message + error.hint
    places = (str(path), "column", "--prompt")
    return isinstance(error, InputError | UsageError) and any(place in said for place in places)


@pytest.mark.parametrize("name", SEEDS)
def test_inputs_of_any_bytes(tmp_path, name) -> None:
    """Rows go through to every form of output; else the error is ours and says where."""
    path = tmp_path / name
    for number, content in enumerate(cases(name, SEEDS[name], 400)):
        path.write_bytes(content)
        try:
            read_through(path, RECIPES[number % 3 == 2])
        except ValarBatchError as error:
            if not is_placed(error, path):
                raise
