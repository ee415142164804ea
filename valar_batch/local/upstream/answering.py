"""What the upstream answered: its response or chat completion, as a Valar answer, pure.

Sources: OpenAI's API reference, Responses and Chat Completions; API reference, Responses, the
response object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valar_batch.core.statuses import Status, remote_status
from valar_batch.errors import UnreadableAnswer
from valar_batch.local.rehearsal.answers import usage

if TYPE_CHECKING:
    from collections.abc import Mapping

CUT_OFF = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer stops short: chat's words and those of a response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealAnswer:
    """What becomes of a request: an `output`, or an `error` with `message` and `code`.

    `model` is what the upstream says that it answered with; `usage` has Valar's shape.
    """

    model: str
    output: list[dict[str, Any]] | None = None
    usage: dict[str, Any]
    error: dict[str, Any] | None = None
    incomplete_details: dict[str, Any] | None = None

    @property
    def status(self) -> Status:
        """Where the request stands now."""
        return Status.COMPLETED if self.error is None else Status.FAILED


def failure(model: str, message: str, code: str | int | None) -> RealAnswer:
    """Give what becomes of a request that the upstream could not answer."""
    error = {"message": message, "code": code}
    return RealAnswer(model=model, usage=usage(0, 0, 0, 0), error=error)


def answer_of_response(response: Any, model: str) -> RealAnswer:
    """Read an answer of `/responses`; one that is none raises UnreadableAnswer.

    An answer that was cut off is complete, as Valar has it, and its details say why.
    """
    if not isinstance(response, dict) or not isinstance(response.get("status"), str):
        raise UnreadableAnswer("the upstream answered without a response object")
    status = response["status"]
    answered_by = text_or(response.get("model"), model)
    spent = usage_of(response.get("usage"), "input_tokens", "output_tokens")
    if status != "incomplete" and remote_status(status) is not Status.COMPLETED:
        error = response.get("error") if isinstance(response.get("error"), dict) else None
        error = error or {"message": f"the upstream left the response {status}"}
        told = {"message": str(error.get("message")), "code": error.get("code") or status}
        return RealAnswer(model=answered_by, usage=spent, error=told)
    output = response.get("output")
    if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
        raise UnreadableAnswer("the upstream answered with a response that has no output")
    return RealAnswer(
        model=answered_by,
        output=output,
        usage=spent,
        incomplete_details=response.get("incomplete_details"),
    )


def answer_of_completion(completion: Any, model: str, suffix: str) -> RealAnswer:
    """Read a chat completion; one without a message raises UnreadableAnswer.

    Items get the ids that end in `suffix`, as chat gives them none.
    """
    choices = completion.get("choices") if isinstance(completion, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise UnreadableAnswer("the upstream answered with a completion that has no choices")
    reason = CUT_OFF.get(str(first.get("finish_reason")))
    return RealAnswer(
        model=text_or(completion.get("model"), model),
        output=items_of(message, first.get("logprobs"), suffix, is_cut=reason is not None),
        usage=usage_of(completion.get("usage"), "prompt_tokens", "completion_tokens"),
        incomplete_details={"reason": reason} if reason else None,
    )


def items_of(
    message: Mapping[str, Any], logprobs: Any, suffix: str, *, is_cut: bool
) -> list[dict[str, Any]]:
    """Give the output items of a chat's message: reasoning, text, and calls of tools."""
    status = "incomplete" if is_cut else "completed"
    items: list[dict[str, Any]] = []
    reasoning = reasoning_in(message)
    if reasoning:
        content = [{"type": "reasoning_text", "text": reasoning}]
        items.append({"id": f"rs_{suffix}", "type": "reasoning", "summary": [], "content": content})
    calls = [call for call in message.get("tool_calls") or () if isinstance(call, dict)]
    parts = content_parts(message, logprobs)
    if parts or not calls:
        parts = parts or [{"type": "output_text", "text": "", "annotations": []}]
        items.append(
            {
                "id": f"msg_{suffix}",
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": parts,
            }
        )
    for place, call in enumerate(calls):
        items.append(call_item(call, f"{suffix}_{place}" if place else suffix, status))
    return items


def content_parts(message: Mapping[str, Any], logprobs: Any) -> list[dict[str, Any]]:
    """Give what a chat's message says: its text with the logprobs, or that it refuses."""
    content = message.get("content")
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(text for text in texts if isinstance(text, str))
    parts: list[dict[str, Any]] = []
    if content:
        part: dict[str, Any] = {"type": "output_text", "text": str(content), "annotations": []}
        tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
        if tokens:
            part["logprobs"] = tokens
        parts.append(part)
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    return parts


def call_item(call: Mapping[str, Any], suffix: str, status: str) -> dict[str, Any]:
    """Give the item for a call of a tool; a call without an id gets one."""
    is_custom = call.get("type") == "custom"
    inside = call.get("custom" if is_custom else "function")
    inside = inside if isinstance(inside, dict) else {}
    given = "input" if is_custom else "arguments"
    return {
        "id": f"{'ctc' if is_custom else 'fc'}_{suffix}",
        "type": "custom_tool_call" if is_custom else "function_call",
        "status": status,
        "call_id": text_or(call.get("id"), f"call_{suffix}"),
        "name": text_or(inside.get("name"), ""),
        given: text_or(inside.get(given), ""),
    }


def reasoning_in(message: Mapping[str, Any]) -> str:
    """Give what a message or a delta reasons: servers have two names for it."""
    return text_or(message.get("reasoning_content") or message.get("reasoning"), "")


def usage_of(told: Any, read: str, written: str) -> dict[str, Any]:
    """Give Valar's usage from the upstream's, under its two names; what it does not count is 0."""
    told = told if isinstance(told, dict) else {}
    return usage(
        count_in(told, read),
        count_in(told.get(f"{read}_details"), "cached_tokens"),
        count_in(told, written),
        count_in(told.get(f"{written}_details"), "reasoning_tokens"),
    )


def count_in(values: Any, name: str) -> int:
    """Give a count of tokens, or 0 where there is none."""
    count = values.get(name) if isinstance(values, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else 0


def text_or(value: Any, otherwise: str) -> str:
    """Give text that is there and not empty, else the other."""
    return value if isinstance(value, str) and value else otherwise
