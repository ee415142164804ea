"""Response object to output columns: what the output says of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from valar_batch.core.statuses import Status, remote_status
from valar_batch.core.wire import RawResult, Result, UsageDetails, plausible

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from valar_batch.core.prices import Price

OPTIONAL = ("output", "tool_calls", "logprobs", "response")
"""The columns that an output has only where they were asked for."""

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""The items of an output that call a tool, each with the field of what the tool is given."""

decode_result = msgspec.json.Decoder(Result).decode
decode_raw = msgspec.json.Decoder(RawResult).decode

NO_DETAILS = UsageDetails()


class Outcome(NamedTuple):
    """The columns that the output adds to a row, in their order.

    `output` is the answer's JSON value under a schema, `tool_calls` a list of objects with `type`,
    `call_id`, `name` and `arguments` (text), `logprobs` a list of objects with `token` and
    `logprob`, `response` the response object as it arrived. Token counts and `cost_usd` are None
    where Valar gave no usage or the price is unknown; `attempts` counts how often the row was sent.
    """

    custom_id: str | None
    status: str
    output_text: str | None = None
    output: Any = None
    tool_calls: list[dict[str, str | None]] | None = None
    logprobs: list[dict[str, Any]] | None = None
    incomplete_reason: str | None = None
    error: str | None = None
    response_id: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    attempts: int = 0
    response: bytes | None = None


class ReadsAnswers(Protocol):
    """Reads an answer's text as a JSON value."""

    def read(self, text: str) -> tuple[Any, str | None]:
        """Give the value, or None and where the text fails."""


class OutcomeReader:
    """Reads spool lines as outcomes.

    `price_of` gives the price of a result, `fields` are the optional columns that are wanted, and
    `answers` reads answers that follow a schema.
    """

    def __init__(
        self,
        price_of: Callable[[Result], Price | None],
        fields: Collection[str] = (),
        answers: ReadsAnswers | None = None,
    ) -> None:
        self._price_of = price_of
        self._answers = answers
        self._has_calls = "tool_calls" in fields
        self._has_logprobs = "logprobs" in fields
        self._has_response = "response" in fields

    def read(self, line: bytes, attempts: int) -> Outcome:
        """Read the result in a spool line, of a row that was sent `attempts` times."""
        result = decode_result(line)
        response, usage = result.response, result.response.usage
        status = remote_status(result.status) or Status.PENDING
        tokens_in = cached = tokens_out = reasoning = cost = None
        if usage is not None:
            tokens_in, tokens_out = plausible(usage.input_tokens), plausible(usage.output_tokens)
            details_in = usage.input_tokens_details or NO_DETAILS
            details_out = usage.output_tokens_details or NO_DETAILS
            cached = first(details_in.cached_tokens, details_out.cached_tokens)
            reasoning = first(details_out.reasoning_tokens, details_in.reasoning_tokens)
            price = self._price_of(result)
            if price is not None and tokens_in is not None and tokens_out is not None:
                cost = price.cost(tokens_in, cached or 0, tokens_out)
        text = value = None
        error = error_text(response.error, status)
        if status is Status.COMPLETED:
            text = output_text(response.output)
            if self._answers is not None and error is None:
                value, error = self._value(text, response.output)
        return Outcome(
            result.custom_id,
            status,
            text,
            value,
            tool_calls(response.output) if self._has_calls else None,
            logprobs(response.output) if self._has_logprobs else None,
            incomplete_reason(response.incomplete_details),
            error,
            response.id,
            response.model,
            tokens_in,
            cached,
            tokens_out,
            reasoning,
            cost,
            attempts,
            bytes(decode_raw(line).response) if self._has_response else None,
        )

    def _value(self, text: str | None, output: Any) -> tuple[Any, str | None]:
        if self._answers is not None and text is not None:
            return self._answers.read(text)
        return None, None if tool_calls(output) else "answer has no text"


def first(one: int | None, other: int | None) -> int | None:
    """Give the first of two counts that is there."""
    count = plausible(one)
    return plausible(other) if count is None else count


def output_text(output: Any) -> str | None:
    """Put together the text of a response's output: an array of items, one item, text, or null."""
    if output is None or isinstance(output, str):
        return output
    texts = [part["text"] for part in text_parts(output)]
    return "".join(texts) if texts else None


def items_of(output: Any) -> list[dict[str, Any]]:
    """Give the items of a response's output, in any of the shapes that it may have."""
    items = output if isinstance(output, list) else [output]
    return [item for item in items if isinstance(item, dict)]


def text_parts(output: Any) -> list[dict[str, Any]]:
    """Give the parts of an output's messages that have text; bare text counts as one part."""
    parts: list[dict[str, Any]] = []
    for item in items_of(output):
        if item.get("type", "message") == "message":
            content = item.get("content")
            if isinstance(content, list):
                parts += [
                    part
                    for part in content
                    if isinstance(part, dict) and isinstance(part.get("text"), str)
                ]
            elif isinstance(content, str):
                parts.append({"text": content})
    return parts


def tool_calls(output: Any) -> list[dict[str, str | None]] | None:
    """Give the calls of tools in an output, in order; None where there are none."""
    calls = [
        {
            "type": item["type"],
            "call_id": optional_text(item.get("call_id")),
            "name": optional_text(item.get("name")),
            "arguments": optional_text(item.get(CALLS[item["type"]])),
        }
        for item in items_of(output)
        if isinstance(item.get("type"), str) and item["type"] in CALLS
    ]
    return calls or None


def logprobs(output: Any) -> list[dict[str, Any]] | None:
    """Give the tokens of an output's text with their logprobs; None where Valar sent none."""
    tokens = [
        {"token": optional_text(entry.get("token")), "logprob": entry.get("logprob")}
        for part in text_parts(output)
        if isinstance(part.get("logprobs"), list)
        for entry in part["logprobs"]
        if isinstance(entry, dict) and is_logprob(entry.get("logprob"))
    ]
    return tokens or None


def is_logprob(value: Any) -> bool:
    """Whether a value is a logprob, or null: a number that is surely exact in a double."""
    return value is None or type(value) is float or (type(value) is int and abs(value) < 2**53)


def incomplete_reason(details: Any) -> str | None:
    """Why an answer stops short, where Valar says so."""
    if isinstance(details, dict) and details.get("reason") is not None:
        return text_of(details["reason"])
    return optional_text(details)


def error_text(error: Any, status: Status) -> str | None:
    """One line for what went wrong, or None for a completed answer without an error."""
    if isinstance(error, dict):
        message = text_of(error.get("message") or error)
        code = error.get("code") or error.get("type")
        return f"{message} ({code})" if code and str(code) not in message else message
    if error is not None:
        return text_of(error)
    if status in (Status.FAILED, Status.CANCELLED):
        return f"Valar gives no reason: the request is {status.value}"
    return None


def optional_text(value: Any) -> str | None:
    """Give text as it is, None for null, and anything else as JSON."""
    return None if value is None else text_of(value)


def text_of(value: Any) -> str:
    """Give text as it is and anything else as JSON."""
    if isinstance(value, str):
        return value
    from valar_batch.core.template import json_text

    return json_text(value)
