"""Rehearsal answers: request params to a response object, pure and always the same.

The text is marked and never looks like a real label; where the request has a schema or tools, it
is JSON that fits them. Source of the shape: API reference, Responses, the response object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from valar_batch.core.prices import BYTES_PER_TOKEN
from valar_batch.core.template import json_text
from valar_batch.local.ids import digits_of
from valar_batch.local.rehearsal.instances import instances_of
from valar_batch.local.rehearsal.scalars import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_WORDS = 16
MOST_ECHO = 200
"""Characters of the prompt that an answer repeats at most."""
REASONING = f"{MARK}the reasoning would stand here"

ECHOED: Mapping[str, Any] = {
    "background": False,
    "max_output_tokens": None,
    "parallel_tool_calls": False,
    "reasoning": {},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""The settings that a response object repeats, each with its default."""

UNANSWERED: Mapping[str, tuple[str, str]] = {
    "failed": ("fail, as a share of them should", "rehearsal_failure"),
    "cancelled": ("be cancelled, as a share of them should", "rehearsal_cancelled"),
}
"""By the status of what has ended without an answer, the end of its message, and its code."""


class Answer(NamedTuple):
    """A finished answer; `cut` says that max_output_tokens ended it.

    Where a `tool` is called, the text is what it is given.
    """

    text: str
    text_tokens: int
    reasoning_tokens: int
    cut: bool
    tool: Mapping[str, Any] | None = None


def response_object(
    params: Mapping[str, Any], params_hash: bytes, *, response_id: str, created_at: int, status: str
) -> dict[str, Any]:
    """Give the response object of a request.

    Its `status` is queued, in_progress, completed, failed or cancelled. `params` have passed
    validation; `created_at` is Unix time in seconds. Only a completed response has an output and a
    usage that is not zero.
    """
    output = error = incomplete = None
    spent = usage(0, 0, 0, 0)
    if status == "completed":
        answer = rehearse(params, params_hash)
        output = output_items(answer, response_id, params)
        incomplete = {"reason": "max_output_tokens"} if answer.cut else None
        tokens = input_tokens(params["input"])
        spent = usage(tokens, cached_tokens(tokens, params_hash), *output_tokens(answer))
    elif status in UNANSWERED:
        message, code = UNANSWERED[status]
        error = {"message": f"{MARK}this request was drawn to {message}", "code": code}
    said = {name: v for name, v in params.items() if v is not None and name in ECHOED}
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "status": status,
        "model": params["model"],
        "metadata": params.get("metadata") or {},
        "output": output,
        "usage": spent,
        "error": error,
        "incomplete_details": incomplete,
        **ECHOED,
        **said,
    }


def rehearse(params: Mapping[str, Any], params_hash: bytes) -> Answer:
    """Write the answer: what a tool is given, JSON by the request's schema, or marked text.

    Under a small `max_output_tokens` the reasoning gives way down to half of it, then the text is
    cut.
    """
    draw = int.from_bytes(params_hash[8:12])
    tool = called_tool(params, params_hash) if params.get("tools") else None
    text = given_text(tool, params_hash) if tool else answer_text(params, params_hash, draw)
    tokens = token_count(text)
    reasoning = 16 + draw // MOST_WORDS % 240 if reasons(params) else 0
    most = params.get("max_output_tokens")
    if most is None:
        return Answer(text, tokens, reasoning, cut=False, tool=tool)
    reasoning = min(reasoning, max(most // 2, most - tokens))
    room = most - reasoning
    cut = tokens > room
    return Answer(text[: room * BYTES_PER_TOKEN], min(tokens, room), reasoning, cut, tool)


def answer_text(params: Mapping[str, Any], params_hash: bytes, draw: int) -> str:
    """Give JSON by the request's schema, else the mark and the first words of the user's text.

    The format `json_object`, which chat knows, is an object with that text.
    """
    text_format = (params.get("text") or {}).get("format") or {}
    if text_format.get("type") == "json_schema":
        text = instance_text(text_format.get("schema"), params_hash)
        if text is not None:
            return text
    words = last_user_text(params["input"]).split(None, MOST_WORDS)
    echo = " ".join(words[: MOST_WORDS // 4 + draw % (MOST_WORDS * 3 // 4)])[:MOST_ECHO]
    text = f"{MARK}an answer would stand here, to: {echo}"
    return json_text({"answer": text}) if text_format.get("type") == "json_object" else text


def instance_text(schema: Any, seed: bytes) -> str | None:
    """Give the JSON of an instance, `{}` without a schema, or None where none can be made."""
    if not schema:
        return "{}"
    instances = instances_of(json_text(schema)) if isinstance(schema, dict) else None
    return None if instances is None else instances.text(seed)


def called_tool(params: Mapping[str, Any], params_hash: bytes) -> Mapping[str, Any] | None:
    """Choose the tool that is called: as `tool_choice` says, and by every second request else.

    What a tool gave is answered with text, so that a loop of calls comes to its end.
    """
    tools = [
        tool
        for tool in params["tools"]
        if isinstance(tool, dict) and tool.get("type") in ("function", "custom") and "name" in tool
    ]
    choice = params.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        wanted = choice.get("type"), choice.get("name")
        return next((tool for tool in tools if (tool["type"], tool["name"]) == wanted), None)
    by_choice = choice == "auto" and params_hash[13] % 2 and not tool_has_spoken(params["input"])
    is_called = choice == "required" or by_choice
    return tools[params_hash[14] % len(tools)] if tools and is_called else None


def given_text(tool: Mapping[str, Any], params_hash: bytes) -> str:
    """Write what a tool is given: arguments by its parameters, or text for a custom tool."""
    if tool["type"] == "custom":
        return f"{MARK}an input for {tool['name']} would stand here"
    return instance_text(tool.get("parameters"), b"tool" + params_hash) or "{}"


def output_items(
    answer: Answer, response_id: str, params: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Give the output array: the reasoning, if any, and the message or the call of a tool."""
    suffix = digits_of(response_id)
    status = "incomplete" if answer.cut else "completed"
    items = [reasoning_item(suffix, params)] if reasons(params) else []
    if answer.tool:
        return [*items, call_item(answer, answer.tool, suffix, status)]
    part: dict[str, Any] = {"type": "output_text", "text": answer.text, "annotations": []}
    if wants_logprobs(params):
        part["logprobs"] = [
            {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}
            for token in split_tokens(answer.text)
        ]
    message = {
        "id": f"msg_{suffix}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part],
    }
    return [*items, message]


def reasoning_item(suffix: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Give the reasoning item; its summary is empty unless the request asks for one."""
    asked = params.get("reasoning") or {}
    wants_summary = asked.get("generate_summary") or asked.get("summary")
    summary = [{"type": "summary_text", "text": REASONING}] if wants_summary else []
    return {"id": f"rs_{suffix}", "type": "reasoning", "summary": summary}


def call_item(answer: Answer, tool: Mapping[str, Any], suffix: str, status: str) -> dict[str, Any]:
    """Give the item that calls a tool."""
    is_custom = tool["type"] == "custom"
    return {
        "id": f"{'ctc' if is_custom else 'fc'}_{suffix}",
        "type": "custom_tool_call" if is_custom else "function_call",
        "status": status,
        "call_id": f"call_{suffix}",
        "name": tool["name"],
        "input" if is_custom else "arguments": answer.text,
    }


def reasons(params: Mapping[str, Any]) -> bool:
    """Whether the model reasons: all do, unless the request says not to."""
    return (params.get("reasoning") or {}).get("effort") != "none"


def wants_logprobs(params: Mapping[str, Any]) -> bool:
    """Whether the request asks for one logprob per output token."""
    return "message.output_text.logprobs" in (params.get("include") or ())


def usage(read: int, cached: int, written: int, reasoning: int) -> dict[str, Any]:
    """Give the usage object; both details carry both counts, as the contract has them."""
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached, "reasoning_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"cached_tokens": 0, "reasoning_tokens": reasoning},
        "total_tokens": read + written,
    }


def output_tokens(answer: Answer) -> tuple[int, int]:
    """Give the output tokens, reasoning among them, and the reasoning tokens."""
    return answer.text_tokens + answer.reasoning_tokens, answer.reasoning_tokens


def cached_tokens(tokens: int, params_hash: bytes) -> int:
    """Give the cached part of the input: half of it, for every third request."""
    return 0 if params_hash[12] % 3 else tokens // 2


def input_tokens(source: Any) -> int:
    """Estimate the tokens of `input` from the bytes of its texts."""
    size = sum(len(text.encode()) for _, text in texts(source))
    return max(1, -(-size // BYTES_PER_TOKEN))


def token_count(text: str) -> int:
    """Count the tokens of an answer, a few characters each."""
    return -(-len(text) // BYTES_PER_TOKEN)


def split_tokens(text: str) -> list[str]:
    """Cut an answer into its tokens."""
    return [text[at : at + BYTES_PER_TOKEN] for at in range(0, len(text), BYTES_PER_TOKEN)]


def tool_has_spoken(source: Any) -> bool:
    """Whether `input` ends with what a tool gave, and nobody has said anything since."""
    last = {} if isinstance(source, str) else items_of(source)[-1]
    is_output = str(last.get("type")).endswith("_call_output")
    return is_output or last.get("role") in ("tool", "function")


def items_of(source: Any) -> list[dict[str, Any]]:
    """Give the messages and items of an `input` that is not text."""
    items: list[dict[str, Any]] = source["messages"] if isinstance(source, dict) else source
    return items


def last_user_text(source: Any) -> str:
    """Give the last text that a user wrote in `input`, or the last text of all, or nothing."""
    last = ""
    user = None
    for role, text in texts(source):
        last = text
        user = text if role == "user" else user
    return last if user is None else user


def texts(source: Any) -> Iterator[tuple[str, str]]:
    """Walk the texts of `input`, in any of its three shapes, each with its role."""
    if isinstance(source, str):
        yield "user", source
        return
    for item in items_of(source):
        role = item.get("role") or ""
        for content in (item.get("content"), item.get("output"), item.get("arguments")):
            if isinstance(content, str):
                yield role, content
            elif isinstance(content, list):
                for part in content:
                    if isinstance(part, dict) and isinstance(part.get("text"), str):
                        yield role, part["text"]
