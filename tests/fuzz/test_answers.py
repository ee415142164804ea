"""Whatever Valar answers: a result that reaches every form of output, or one of our errors."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from tests.e2e.odd_valar import response
from tests.fuzz.mutation import cases
from valar_batch.client.answers import UNDECODABLE, Answer, error_of, unreadable
from valar_batch.client.api import Seen, read_batch, read_models, read_page, read_status
from valar_batch.core.answer_schema import AnswerSchema
from valar_batch.core.outcome import OPTIONAL, OutcomeReader
from valar_batch.core.prices import Price
from valar_batch.core.statuses import TERMINAL, remote_status
from valar_batch.core.wire import decode_response, result_line
from valar_batch.errors import RemoteError
from valar_batch.flow.join import TypedAnswers
from valar_batch.formats.layout import Choice, layout_of
from valar_batch.formats.targets import Form
from valar_batch.formats.typed import AnswerColumn
from valar_batch.runs import spool

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b"]}, "n": {"type": "integer"}, "x": {"type": "array"}},
    "required": ["label"],
}
ANSWERS = ['{"label": "a", "n": 1, "x": [1.10, {"y": null}]}', '```json\n{"label": "b"}\n```', "no"]
FULL_USAGE = {
    "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "reasoning_tokens": 0},
    "output_tokens": 20, "output_tokens_details": {"cached_tokens": 0, "reasoning_tokens": 7},
}  # fmt: skip
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'}


def message(text: str) -> dict:
    logprobs = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": 0}]
    part = {"type": "output_text", "text": text, "logprobs": logprobs}
    return {"type": "message", "content": [part]}


RESULTS = [
    *(response("r-1", output=[message(text)], usage=FULL_USAGE) for text in ANSWERS),
    response("r-1", output=[{"type": "reasoning"}, CALL], incomplete_details={"reason": "length"}),
    response("r-1", output="text"),
    response("r-1", output=message("x"), metadata={"completion_window": "flex"}),
    response("r-1", "failed", output=None, error={"message": "no", "code": 7}, usage=None),
    response("r-1", "CANCELLED", output=None, error="why"),
]
BATCH = {"id": "b", "request_counts": 2, "created_at": 1_700_000_000, "label": "run-0-1-0"}
STATUS = {**BATCH, "request_status": {"a": {"status": "COMPLETED"}, "b": {"status": "x"}}}
MODELS = {"object": "list", "data": [{"id": "m", "created": 1, "owned_by": "o"}]}
ERROR = {"error": {"message": "no", "type": "t", "param": "requests.0.params", "code": "c"}}


def encoded(*values: object) -> list[bytes]:
    return [json.dumps(value, indent=indent).encode() for value in values for indent in (None, 1)]


def test_results_of_any_bytes(tmp_path) -> None:
    """What is accepted as a result comes out of the spool and goes into every form of output."""
    schema = AnswerSchema("answer", SCHEMA)
    readers = [OutcomeReader(lambda _: Price(1, 1, 1), fields) for fields in ((), OPTIONAL)]
    readers.append(OutcomeReader(lambda _: None, OPTIONAL, TypedAnswers(schema)))
    kept = pa.StructArray.from_arrays([pa.array(["x"])], ["text"])
    layouts = [
        layout_of(
            pa.schema([("text", pa.string())]), Choice(flatten=flatten, keep_response=True), **more
        )
        for flatten, more in (
            (False, {"optional": OPTIONAL}),
            (False, {"optional": OPTIONAL, "answer": AnswerColumn(SCHEMA)}),
            (True, {"optional": OPTIONAL, "answer": AnswerColumn(SCHEMA)}),
        )
    ]
    path, accepted = tmp_path / "results.jsonl.zst", 0
    for content in cases("results", encoded(*RESULTS), 3_000):
        try:
            status = remote_status(decode_response(content).status)
        except UNDECODABLE:
            continue
        if status not in TERMINAL:
            continue
        accepted += 1
        line = result_line("r-1", status, content)
        path.unlink(missing_ok=True)
        path.write_bytes(spool_frame(line))
        assert [entry.custom_id for entry in spool.recover(path)] == ["r-1"]
        (found,) = spool.read_lines(path)
        for reader in readers:
            outcome = reader.read(found, 1)
            assert (outcome.custom_id, outcome.status) == ("r-1", status)
        for layout, own in zip(layouts, (readers[1], readers[2], readers[2]), strict=True):
            outcome = own.read(found, 1)
            (written,) = layout.objects(kept, layout.held([outcome], Form.JSON))
            assert json.loads(written, parse_int=str)["text"] == "x"
            columns = layout.arrays(kept, layout.held([outcome]))
            pa.RecordBatch.from_arrays(columns, schema=layout.schema).validate(full=True)
            layout.texts(kept, layout.held([outcome], Form.TEXT))
    assert accepted


def spool_frame(line: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(write_checksum=True).compress(line)


@pytest.mark.parametrize(
    ("name", "read", "seeds"),
    [
        ("1Batch", read_batch, [BATCH]),
        ("2list", read_page, [[BATCH, BATCH], []]),
        ("2BatchStatus", read_status, [STATUS, {**STATUS, "label": None}]),
        ("seen", Seen().read, [STATUS, {**STATUS, "label": None}]),
        ("1ModelList", read_models, [MODELS]),
    ],
    ids=["batch", "page", "status", "seen", "models"],
)
def test_control_answers_of_any_bytes(name, read, seeds) -> None:
    """A decoded answer can be used; any other is an error of ours that a person can read."""
    for content in cases(name, encoded(*seeds), 1_000):
        answer = Answer(200, content)
        try:
            read(answer)
        except UNDECODABLE as error:
            readable(unreadable(answer, str(error), secret="secret-key"))  # noqa: S106


def test_refusals_of_any_bytes() -> None:
    """Whatever an error's body is, it is an error of the tree with words on it."""
    for number, content in enumerate(cases("refusals", encoded(ERROR), 1_000)):
        status = (400, 401, 402, 403, 404, 408, 413, 429, 500, 503, 302)[number % 11]
        readable(error_of(Answer(status, content, "id"), secret="secret-key"))  # noqa: S106


def readable(error: RemoteError) -> None:
    assert isinstance(error, RemoteError)
    assert error.message.encode()
