"""Response objects of every allowed shape become output columns."""

from __future__ import annotations

import msgspec
import pytest

from valar_batch.core.outcome import Outcome, outcome_of, output_names, output_text
from valar_batch.core.prices import Price
from valar_batch.core.wire import Result


def result(**response: object) -> Result:
    status = str(response.get("status", "completed"))
    body = {"object": "response", "id": "resp_1", "status": status, **response}
    line = msgspec.json.encode({"custom_id": "r-1", "status": status.lower(), "response": body})
    return msgspec.json.decode(line, type=Result)


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
    answer = result(model="m", output=[message("yes")], usage=usage, status="COMPLETED")
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
    priced = outcome_of(result(usage=usage), None, 1)
    assert (priced.input_tokens, priced.cost_usd) == (1, None)
    unused = outcome_of(result(), Price(1, 1, 1), 1)
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
    outcome = outcome_of(result(status="failed", error=error, output=[message("half")]), None, 1)
    assert (outcome.status, outcome.error, outcome.output_text) == ("failed", text, None)


@pytest.mark.parametrize(
    ("details", "reason"),
    [(None, None), ({"reason": "max_output_tokens"}, "max_output_tokens"), ({"x": 1}, '{"x":1}')],
)
def test_an_answer_that_stops_short_says_so(details: object, reason: str | None) -> None:
    """A cut answer is completed, with the reason beside it."""
    outcome = outcome_of(result(incomplete_details=details), None, 1)
    assert (outcome.status, outcome.incomplete_reason) == ("completed", reason)


def test_output_names_avoid_the_input() -> None:
    """A column that the input has already is written as valar_<name>, again where need be."""
    names = output_names(["status", "model", "valar_model", "review"])
    changed = {field: name for field, name in names.items() if field != name}
    assert changed == {"status": "valar_status", "model": "valar_valar_model"}
    assert list(names) == list(Outcome._fields)
