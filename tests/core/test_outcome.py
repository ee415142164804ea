"""Response objects of every allowed shape become output columns."""

from __future__ import annotations

import msgspec
import pytest

from valar_batch.core.outcome import (
    OPTIONAL,
    Outcome,
    OutcomeReader,
    logprobs,
    output_text,
    tool_calls,
)
from valar_batch.core.prices import Price
from valar_batch.core.wire import result_line


def line(**response: object) -> bytes:
    status = str(response.get("status", "completed"))
    body = {"object": "response", "id": "resp_1", "status": status, **response}
    return result_line("r-1", status.lower(), msgspec.json.encode(body))


def outcome_of(given: bytes, price: Price | None, attempts: int, **more: object) -> Outcome:
    return OutcomeReader(lambda _: price, **more).read(given, attempts)


def message(*texts: str) -> dict:
    parts = [{"type": "output_text", "text": text} for text in texts]
    return {"type": "message", "role": "assistant", "content": parts}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (None, None),
        ("plain", "plain"),
        ("", ""),
        ([], None),
        ([message("a", "b")], "ab"),
        ([{"type": "reasoning", "summary": []}, message("a"), message("b")], "ab"),
        ([message("")], ""),
        ([{"type": "function_call", "name": "f", "arguments": "{}"}], None),
        (message("one item"), "one item"),
        ({"role": "assistant", "content": "bare"}, "bare"),
        ([{"content": None}, 3, "x"], None),
    ],
)
def test_output_text(output: object, text: str | None) -> None:
    """The text is that of the messages, in order, whichever of the four shapes output has."""
    assert output_text(output) == text


def test_a_completed_answer() -> None:
    """Tokens, their details and the cost come from usage and the frozen price."""
    usage = {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 400},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 30},
        "total_tokens": 1050,
    }
    answer = line(model="m", output=[message("yes")], usage=usage, status="COMPLETED")
    assert outcome_of(answer, Price(1.0, 0.5, 2.0), 1) == Outcome(
        custom_id="r-1",
        status="completed",
        output_text="yes",
        response_id="resp_1",
        model="m",
        input_tokens=1000,
        cached_tokens=400,
        output_tokens=50,
        reasoning_tokens=30,
        cost_usd=(600 * 1.0 + 400 * 0.5 + 50 * 2.0) / 1e6,
        attempts=1,
    )


def test_an_unknown_price_is_not_zero() -> None:
    """Without a price the cost is null; without usage the tokens are null too."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    priced = outcome_of(line(usage=usage), None, 1)
    assert (priced.input_tokens, priced.cost_usd) == (1, None)
    unused = outcome_of(line(), Price(1, 1, 1), 1)
    assert (unused.input_tokens, unused.output_tokens, unused.cost_usd) == (None, None, None)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"message": "out of memory", "code": "oom"}, "out of memory (oom)"),
        ({"message": "bad oom", "code": "oom"}, "bad oom"),
        ({"message": "x", "type": "api_error"}, "x (api_error)"),
        ({"detail": 1}, '{"detail":1}'),
        ("text", "text"),
        (None, "Valar gives no reason: the request is failed"),
    ],
)
def test_a_failed_answer_says_why(error: object, text: str) -> None:
    """A failed request has its error in words and no text, even if it had begun to answer."""
    outcome = outcome_of(line(status="failed", error=error, output=[message("half")]), None, 1)
    assert (outcome.status, outcome.error, outcome.output_text) == ("failed", text, None)


@pytest.mark.parametrize(
    ("details", "reason"),
    [(None, None), ({"reason": "max_output_tokens"}, "max_output_tokens"), ({"x": 1}, '{"x":1}')],
)
def test_an_answer_that_stops_short_says_so(details: object, reason: str | None) -> None:
    """A cut answer is completed, with the reason beside it."""
    outcome = outcome_of(line(incomplete_details=details), None, 1)
    assert (outcome.status, outcome.incomplete_reason) == ("completed", reason)


CALL = {
    "type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"x":1}',
}  # fmt: skip
CUSTOM = {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "text"}


@pytest.mark.parametrize(
    ("output", "calls"),
    [
        (None, None),
        ("text", None),
        ([message("a")], None),
        (
            [message("a"), CALL, CUSTOM],
            [
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x":1}'},
                {"type": "custom_tool_call", "call_id": "c2", "name": "g", "arguments": "text"},
            ],
        ),
        (
            {"type": "function_call", "arguments": {"x": 1}},
            [{"type": "function_call", "call_id": None, "name": None, "arguments": '{"x":1}'}],
        ),
    ],
)
def test_tool_calls(output: object, calls: object) -> None:
    """The calls of both kinds of tools, in order, with what the tool is given as text."""
    assert tool_calls(output) == calls


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({}, None),
        ({"logprobs": None}, None),
        ({"logprobs": []}, None),
        (
            {"logprobs": [{"token": "a", "logprob": -0.5, "bytes": [97]}, {"token": "b"}, 3]},
            [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": None}],
        ),
    ],
)
def test_logprobs(part: dict, tokens: object) -> None:
    """Each token with its logprob, as far as Valar gives them."""
    content = [{"type": "output_text", "text": "ab", **part}]
    assert logprobs([{"type": "message", "content": content}]) == tokens


def test_optional_columns_are_read_where_they_are_wanted() -> None:
    """What was not asked for is not kept; the response is kept byte for byte."""
    body = b'{ "object":"response","id":"r","status":"completed","n":1.10,"output":%b}'
    body %= msgspec.json.encode([CALL])
    given = result_line("r-1", "completed", body)
    bare = outcome_of(given, None, 1)
    assert [getattr(bare, name) for name in OPTIONAL] == [None] * len(OPTIONAL)
    full = outcome_of(given, None, 1, fields=OPTIONAL)
    assert full.response == body.strip()
    assert full.tool_calls is not None


class Upper:
    """Answers in upper case, or an error for those that have none."""

    def read(self, text: str) -> tuple[object, str | None]:
        return (text.upper(), None) if text.isalpha() else (None, "no letters")


def test_typed_answers() -> None:
    """An answer is read as a value; one that cannot be keeps its text and says why."""

    def read(**response: object) -> tuple[object, ...]:
        outcome = outcome_of(line(**response), None, 1, answers=Upper())
        return outcome.status, outcome.output_text, outcome.output, outcome.error

    assert read(output=[message("yes")]) == ("completed", "yes", "YES", None)
    assert read(output=[message("12")]) == ("completed", "12", None, "no letters")
    assert read(output=[]) == ("completed", None, None, "answer has no text")
    assert read(output=[CALL]) == ("completed", None, None, None)
    assert read(status="failed", error="e") == ("failed", None, None, "e")
