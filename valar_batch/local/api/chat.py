"""Chat Completions: bodies to params, and response objects in this surface's shape, pure.

What a chat asks for becomes the params of a response, and the answer to those is put into the
shape of chat, whole or in chunks. Source: API reference, Chat Completions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.fields import overlaid
from valar_batch.core.outcome import items_of, output_text, tool_calls
from valar_batch.core.translation.translate import from_chat
from valar_batch.local.rehearsal.answers import split_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Output = Any
    """The `output` of a response: an array of items, one item, text, or null."""


def chat_params(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give the params of the response that answers a chat which has passed every check.

    Beyond what translates: chat always shows what was reasoned, and it alone has `json_object` and
    a say about parallel calls.
    """
    translated = from_chat(body).params
    params = overlaid({"reasoning": {"generate_summary": "auto"}}, translated)
    if body.get("parallel_tool_calls") is not None:
        params["parallel_tool_calls"] = body["parallel_tool_calls"]
    answer_format = body.get("response_format")
    if answer_format and answer_format["type"] == "json_object":
        params["text"] = {"format": answer_format}
    return params


def wants_stream(body: Mapping[str, Any]) -> bool:
    """Whether a chat is to be answered bit by bit."""
    return bool(body.get("stream"))


def wants_usage(body: Mapping[str, Any]) -> bool:
    """Whether the stream of a chat is to end with the usage."""
    return bool((body.get("stream_options") or {}).get("include_usage"))


def completion(response: Mapping[str, Any], record_id: str) -> dict[str, Any]:
    """Give the chat completion of a completed response: exactly one choice."""
    output = response["output"]
    calls = chat_calls(output)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": output_text(output),
        "reasoning_content": reasoning_text(output),
        "refusal": refusal_text(output),
    }
    if calls:
        message["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": finish_reason(calls),
    }
    return {
        **head(response, record_id, "chat.completion"),
        "choices": [choice],
        "usage": chat_usage(response["usage"]),
    }


def chunks(
    response: Mapping[str, Any], record_id: str, *, with_usage: bool
) -> Iterator[dict[str, Any]]:
    """Give the chunks of a completed response: the role, deltas, the end, and the usage if asked.

    Reasoning comes first and then text, each by token; a call of a tool is whole in its chunk.
    """
    start = head(response, record_id, "chat.completion.chunk")
    output = response["output"]
    yield chunk(start, {"role": "assistant"})
    for token in split_tokens(reasoning_text(output) or ""):
        yield chunk(start, {"reasoning_content": token})
    for token in split_tokens(output_text(output) or ""):
        yield chunk(start, {"content": token})
    for token in split_tokens(refusal_text(output) or ""):
        yield chunk(start, {"refusal": token})
    calls = chat_calls(output)
    for index, call in enumerate(calls):
        yield chunk(start, {"tool_calls": [{"index": index, **call}]})
    yield chunk(start, {}, finish_reason(calls))
    if with_usage:
        yield usage_chunk(start, response["usage"])


def chunk(
    start: Mapping[str, Any], delta: Mapping[str, Any], finish_reason: str | None = None
) -> dict[str, Any]:
    """Give a chunk with its one choice."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**start, "choices": [choice]}


def usage_chunk(start: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
    """Give the chunk that closes a stream with the usage; it has no choice."""
    return {**start, "choices": [], "usage": chat_usage(usage)}


def head(response: Mapping[str, Any], record_id: str, kind: str) -> dict[str, Any]:
    """Give what a completion and each of its chunks begin with."""
    return {
        "id": record_id,
        "object": kind,
        "created": response["created_at"],
        "model": response["model"],
    }


def reasoning_text(output: Output) -> str | None:
    """Put together what reasoning items say: their content, or else their summary."""
    texts = [
        part["text"]
        for item in items_of(output)
        if item.get("type") == "reasoning"
        for part in item.get("content") or item.get("summary") or ()
    ]
    return "".join(texts) or None


def refusal_text(output: Output) -> str | None:
    """Put together what a model says in place of an answer that it refuses."""
    texts = [
        part["refusal"]
        for item in items_of(output)
        if item.get("type") == "message" and isinstance(item.get("content"), list)
        for part in item["content"]
        if part.get("type") == "refusal"
    ]
    return "".join(texts) or None


def chat_calls(output: Output) -> list[dict[str, Any]]:
    """Give the calls of tools in an output, as chat nests them."""
    return [
        {"id": call["call_id"], "type": "custom", "custom": inside("input", call)}
        if call["type"] == "custom_tool_call"
        else {"id": call["call_id"], "type": "function", "function": inside("arguments", call)}
        for call in tool_calls(output) or ()
    ]


def inside(given: str, call: Mapping[str, str | None]) -> dict[str, str | None]:
    """Give the inside of a tool call; `given` names what the tool is given."""
    return {"name": call["name"], given: call["arguments"]}


def finish_reason(calls: list[dict[str, Any]]) -> str:
    """Why it ended. An answer that its limit cut off says `stop` too: Valar has no other word."""
    return "tool_calls" if calls else "stop"


def chat_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Give the token counts under the names that chat has for them."""
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": {
            "cached_tokens": usage["input_tokens_details"]["cached_tokens"],
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage["output_tokens_details"]["reasoning_tokens"],
        },
    }
