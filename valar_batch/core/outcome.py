"""Response object to output columns: what the output says of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from valar_batch.core.rules import Status, remote_status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from valar_batch.core.prices import Price
    from valar_batch.core.wire import Result


class Outcome(NamedTuple):
    """The columns that the output adds to a row, in their order.

    Token counts and `cost_usd` are None where Valar gave no usage or the price is unknown;
    `attempts` counts how often the row was sent.
    """

    custom_id: str | None
    status: str
    output_text: str | None = None
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


def outcome_of(result: Result, price: Price | None, attempts: int) -> Outcome:
    """Read a result of Valar."""
    response, usage = result.response, result.response.usage
    status = remote_status(result.status) or Status.PENDING
    tokens_in = cached = tokens_out = reasoning = cost = None
    if usage is not None:
        tokens_in, tokens_out = usage.input_tokens, usage.output_tokens
        details = (usage.input_tokens_details, usage.output_tokens_details)
        cached = first(d.cached_tokens for d in details if d)
        reasoning = first(d.reasoning_tokens for d in reversed(details) if d)
        if price is not None and tokens_in is not None and tokens_out is not None:
            cost = price.cost(tokens_in, cached or 0, tokens_out)
    return Outcome(
        result.custom_id,
        status,
        output_text(response.output) if status is Status.COMPLETED else None,
        incomplete_reason(response.incomplete_details),
        error_text(response.error, status),
        response.id,
        response.model,
        tokens_in,
        cached,
        tokens_out,
        reasoning,
        cost,
        attempts,
    )


def first(values: Iterable[int | None]) -> int | None:
    """Give the first value that is there."""
    return next((value for value in values if value is not None), None)


def output_text(output: Any) -> str | None:
    """Put together the text of a response's output: an array of items, one item, text, or null."""
    if output is None or isinstance(output, str):
        return output
    items = output if isinstance(output, list) else [output]
    texts = [
        part["text"]
        for item in items
        if isinstance(item, dict) and item.get("type", "message") == "message"
        for part in parts_of(item)
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]
    return "".join(texts) if texts else None


def parts_of(item: dict[str, Any]) -> list[Any]:
    """Give the content parts of a message; bare text counts as one part."""
    content = item.get("content")
    if isinstance(content, str):
        return [{"text": content}]
    return content if isinstance(content, list) else []


def incomplete_reason(details: Any) -> str | None:
    """Why an answer stops short, where Valar says so."""
    if isinstance(details, dict) and details.get("reason") is not None:
        return str(details["reason"])
    return None if details is None else text_of(details)


def error_text(error: Any, status: Status) -> str | None:
    """One line for what went wrong, or None for a completed answer without an error."""
    if isinstance(error, dict):
        message = error.get("message") or text_of(error)
        code = error.get("code") or error.get("type")
        return f"{message} ({code})" if code and str(code) not in message else str(message)
    if error is not None:
        return text_of(error)
    if status in (Status.FAILED, Status.CANCELLED):
        return f"Valar gives no reason: the request is {status.value}"
    return None


def text_of(value: Any) -> str:
    """Give text as it is and anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def output_names(input_columns: Iterable[str]) -> dict[str, str]:
    """Name each outcome column in the output: `valar_<name>` where the input has the name."""
    taken = set(input_columns)
    names: dict[str, str] = {}
    for field in Outcome._fields:
        name = field
        while name in taken:
            name = f"valar_{name}"
        names[field] = name
    return names
