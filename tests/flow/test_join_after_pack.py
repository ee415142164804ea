"""Whatever the rows: packed, answered in any order, sent again and joined, each is there once."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flow.in_process import MODEL, answer, prepared_run
from valar_batch.core.identity import custom_id_for_value
from valar_batch.core.pack import Limits
from valar_batch.core.recipe import Recipe
from valar_batch.core.statuses import Status
from valar_batch.flow.events import silent
from valar_batch.flow.join import Join
from valar_batch.flow.requests import Order
from valar_batch.flow.retry import Choice as RetryChoice
from valar_batch.flow.retry import Retried, begin_round
from valar_batch.formats.layout import Choice, free_name
from valar_batch.formats.targets import output_target

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
OWN_NAMES = st.sampled_from(
    ["status", "custom_id", "valar_status", "output_text", "error", "a.b", ""]
)
NAMES = (TEXT | OWN_NAMES).filter(lambda name: name not in ("place", "id", "text"))
IDS = st.text(st.sampled_from("ab-_X/.é\0\n 😀"), min_size=1, max_size=5) | st.sampled_from(
    ["x-1", "r-1", "../../etc/passwd", ".", "%2F", "é", "e\u0301", "a" * 65, "valar"]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
COLUMNS = {
    "string": (pa.string(), TEXT),
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), st.floats(allow_nan=False)),
    "bool": (pa.bool_(), st.booleans()),
    "binary": (pa.binary(), st.binary(max_size=6)),
    "list": (pa.list_(pa.int16()), st.lists(st.integers(-9, 9) | st.none(), max_size=3)),
    "struct": (pa.struct([("y", pa.string())]), st.fixed_dictionaries({"y": TEXT | st.none()})),
    "category": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["a", "b", ""])),
    "time": (pa.timestamp("us", "UTC"), st.datetimes().map(lambda at: at)),
}
OUTPUTS = ("out.jsonl", "out.csv", "out.parquet", "out.arrow", "parts/")


class Rows:
    """An input, and for each of its rows the text that was put into it; None for what is no row."""

    def __init__(
        self, name: str, content: bytes, texts: list[str | None], ids: list | None
    ) -> None:
        self.name, self.content, self.texts, self.ids = name, content, texts, ids


@st.composite
def texts_and_ids(draw):
    texts = draw(st.lists(TEXT, min_size=1, max_size=9))
    ids = draw(st.none() | st.lists(IDS, min_size=len(texts), max_size=len(texts)))
    return texts, ids


@st.composite
def json_lines(draw):
    """Objects, each with columns of its own, and lines that are none."""
    texts, ids = draw(texts_and_ids())
    lines: list[bytes] = []
    for place, text in enumerate(texts):
        row = draw(st.dictionaries(NAMES, JSON, max_size=3))
        row |= {"place": place, "text": text} | ({} if ids is None else {"id": ids[place]})
        row = dict(draw(st.permutations(list(row.items()))))
        lines.append(json.dumps(row, ensure_ascii=draw(st.booleans())).encode())
        if place and draw(st.integers(0, 5)) == 0:
            lines[-1] = draw(st.sampled_from([b"[]", b"{", b'"x"', b'{"place": 1}', b"\xff"]))
            texts[place] = None
    return Rows("in.jsonl", b"\n".join(lines) + b"\n", texts, ids)


@st.composite
def delimited(draw):
    texts, ids = draw(texts_and_ids())
    more = draw(st.lists(NAMES.filter(str.strip), unique=True, max_size=3))
    names = [*more, "place", "text", *([] if ids is None else ["id"])]
    stream = io.StringIO(newline="")
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(stream, quoting=quoting)
    writer.writerow(names)
    for place, text in enumerate(texts):
        rest = [draw(TEXT) for _ in more]
        writer.writerow([*rest, place, text, *([] if ids is None else [ids[place]])])
    return Rows("in.csv", stream.getvalue().encode(), texts, ids)


@st.composite
def parquet(draw):
    texts, ids = draw(texts_and_ids())
    count = len(texts)
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    columns = {"place": pa.array(range(count)), "text": pa.array(texts)}
    if ids is not None:
        columns["id"] = pa.array(ids)
    for name in names:
        kind, values = COLUMNS[draw(st.sampled_from(sorted(COLUMNS)))]
        drawn = draw(st.lists(st.none() | values, min_size=count, max_size=count))
        columns[name] = pa.array(drawn, kind)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=draw(st.integers(1, count)))
    return Rows("in.parquet", sink.getvalue(), texts, ids)


RESULTS = st.sampled_from(["completed", "completed", "completed", "failed", "cancelled", "missing"])


def answered(folder, attempt: int, draw, told: dict[str, list]) -> None:
    """Answer a batch with anything, in any order; note what was said of each request."""
    words = {custom_id: draw(RESULTS) for custom_id in folder.custom_ids()}
    results = [(i, word, f"{i} {attempt}") for i, word in words.items() if word != "missing"]
    for custom_id, word in words.items():
        told.setdefault(custom_id, []).append((word, attempt))
    answer(folder, draw(st.permutations(results)), draw(st.integers(1, 3)))


def outcome_of(custom_id: str, told: list) -> tuple:
    """What the output has to say: the newest completed answer, else the newest word."""
    done = [attempt for word, attempt in told if word == "completed"]
    if done:
        return custom_id, "completed", f"{custom_id} {done[-1]}", len(told)
    return custom_id, told[-1][0], None, len(told)


def wanted_of(rows: Rows) -> tuple[list[str | None], list[dict]]:
    """Say which custom_id each row has, None for those that cannot be sent, and the requests."""
    ids: list[str | None] = []
    sent: list[dict] = []
    for place, text in enumerate(rows.texts):
        custom_id = custom_id_for_value(rows.ids[place]) if rows.ids else f"r-{place + 1}"
        if text is None or custom_id in ids:
            ids.append(None)
            continue
        ids.append(custom_id)
        params = {"model": MODEL, "input": f"{place}: {text}"}
        sent.append({"custom_id": custom_id, "params": params})
    return ids, sent


def read_back(path: Path) -> list[dict]:
    """Read an output with the libraries that people use."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [{k: None if v == "" else v for k, v in row.items()} for row in rows]
    if path.suffix == ".arrow":
        return pa.ipc.open_file(path.read_bytes()).read_all().to_pylist()
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


@settings(
    max_examples=int(os.environ.get("PROPERTY_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(rows=json_lines() | delimited() | parquet(), size=st.integers(1, 4), data=st.data())
def test_every_row_once_in_order_with_its_own_answer(tmp_path_factory, rows, size, data) -> None:
    """Requests carry the rows' own text, and every output the rows in order with their answers."""
    folder = tmp_path_factory.mktemp("run")
    path = folder / rows.name
    path.write_bytes(rows.content)
    recipe = Recipe(model=MODEL, prompt="{{ place }}: {{ text }}", id_column=rows.ids and "id")
    limits = replace(Limits(), requests=size)
    order = Order(str(path), recipe, "local", limits=limits, skip_invalid=True)
    run = prepared_run(order, folder / "home")

    expected, sent = wanted_of(rows)
    bodies = [json.loads(b"".join(batch.body()))["requests"] for batch in run.batches]
    assert [request for body in bodies for request in body] == sent
    assert all(len(body) <= size for body in bodies)

    told: dict[str, list] = {}
    for batch in run.batches:
        if batch.read().requests:
            answered(batch, 1, data.draw, told)
    for _ in range(data.draw(st.integers(0, 2))):
        only = data.draw(
            st.none() | st.sets(st.sampled_from(["failed", "cancelled", "missing"]), min_size=1)
        )
        before = len(run.retries)
        choice = RetryChoice(only and frozenset(map(Status, only)))
        begin_round(run, choice, Retried(), silent)
        for batch in run.retries[before:]:
            answered(batch, batch.read().attempt, data.draw, told)

    names = run.record.schema.names
    added = [
        free_name(name, names, "valar_")
        for name in ("custom_id", "status", "output_text", "attempts")
    ]
    for output in OUTPUTS:
        target = output_target(f"{folder}/{output}")
        summary = Join(run, target, Choice(), silent).write()
        assert summary.rows == len(expected)
        found = read_back(folder / output)
        assert len(found) == len(expected)
        for place, (row, wanted) in enumerate(zip(found, expected, strict=True)):
            custom_id, status, text, attempts = (row[name] for name in added)
            if wanted is None:
                assert status == "invalid"
                assert (text, int(attempts)) == (None, 0)
            else:
                assert (custom_id, status, text, int(attempts)) == outcome_of(wanted, told[wanted])
            if rows.texts[place] is not None:
                assert int(row["place"]) == place
                assert (row["text"] or "") == rows.texts[place]
    shutil.rmtree(folder)
