"""What the upstream is asked: checked Responses params to a body for either of its endpoints, pure.

Sources: OpenAI's API reference, Responses and Chat Completions, as far as the servers that follow
it (Ollama, llama.cpp, vLLM, LiteLLM) agree on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.rules import LOGPROBS
from valar_batch.core.template import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Params = Mapping[str, Any]

VALAR_METADATA = frozenset({"completion_window", "completion_webhook", "webhook_token"})
"""The keys of metadata that are orders to Valar, the last of them a secret."""

RESPONSES_FIELDS = (
    "max_output_tokens",
    "temperature",
    "top_p",
    "user",
    "prompt_cache_key",
    "text",
    "reasoning",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "include",
)
CHAT_FIELDS = ("temperature", "top_p", "user", "parallel_tool_calls")
"""What both endpoints have under one name; the rest is put into the words of chat."""

OLD_LIMIT, NEW_LIMIT = "max_tokens", "max_completion_tokens"
"""Chat's names for the most tokens of an answer.

The old one is tried first: Ollama and older servers take the new one and ignore it, while those
that want the new one refuse the old one and say so.
"""

CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
"""The items that call a tool: the tool's type, and the field of what it is given."""
CALL_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def responses_body(params: Params, model: str) -> dict[str, Any]:
    """Give the body for the upstream's `/responses`. What is Valar's alone stays here."""
    source = params["input"]
    body: dict[str, Any] = {
        "model": model,
        "input": source["messages"] if isinstance(source, dict) else source,
        **chosen(params, RESPONSES_FIELDS),
    }
    metadata = {
        name: value
        for name, value in (params.get("metadata") or {}).items()
        if name not in VALAR_METADATA
    }
    return {**body, "metadata": metadata} if metadata else body


def chat_body(params: Params, model: str, *, limit: str = OLD_LIMIT) -> dict[str, Any]:
    """Give the body for the upstream's `/chat/completions`.

    `limit` is the name that it has for `max_output_tokens`. Metadata stay here: chat allows them
    only for what is stored. So do reasoning items, for which chat has no place.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": messages_of(params["input"]),
        **chosen(params, CHAT_FIELDS),
    }
    if params.get("max_output_tokens") is not None:
        body[limit] = params["max_output_tokens"]
    effort = (params.get("reasoning") or {}).get("effort")
    if effort is not None:
        body["reasoning_effort"] = effort
    text_format = (params.get("text") or {}).get("format") or {"type": "text"}
    if text_format["type"] != "text":
        body["response_format"] = nested(text_format)
    if params.get("tools"):
        body["tools"] = [nested(tool) for tool in params["tools"]]
    choice = params.get("tool_choice")
    if choice is not None:
        body["tool_choice"] = choice if isinstance(choice, str) else nested(choice)
    if LOGPROBS in (params.get("include") or ()):
        body["logprobs"] = True
    return body


def messages_of(source: Any) -> list[dict[str, Any]]:
    """Give the messages of `input`, in any of its three shapes.

    The calls of tools go into the assistant's message before them, as chat has it.
    """
    if isinstance(source, str):
        return [{"role": "user", "content": source}]
    messages: list[dict[str, Any]] = []
    for item in source["messages"] if isinstance(source, dict) else source:
        kind = item.get("type", "message")
        if kind in CALLS:
            speaker = messages[-1] if messages and messages[-1]["role"] == "assistant" else None
            if speaker is None:
                speaker = {"role": "assistant", "content": None}
                messages.append(speaker)
            speaker.setdefault("tool_calls", []).append(tool_call(item, *CALLS[kind]))
        elif kind in CALL_OUTPUTS:
            content = item["output"]
            messages.append(
                {
                    "role": "tool",
                    "tool_call_id": item["call_id"],
                    "content": content if isinstance(content, str) else content_text(content),
                }
            )
        elif kind == "message":
            messages.append(message_of(item))
    return messages


def message_of(item: Params) -> dict[str, Any]:
    """Give a message. Few servers know the role developer, and all of them know system."""
    role = item["role"]
    return {
        **chosen(item, ("name", "tool_call_id")),
        "role": "system" if role == "developer" else role,
        "content": content_of(item["content"]),
    }


def content_of(content: Any) -> Any:
    """Give a message's content; a single text as plain text, which every chat template takes."""
    if isinstance(content, str):
        return content
    parts = [part_of(part) for part in content]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return parts[0]["text"]
    return parts


def part_of(part: Params) -> dict[str, Any]:
    """Give a part of a message's content: text or an image."""
    if part["type"] == "input_image":
        image = {"url": part["image_url"], **chosen(part, ("detail",))}
        return {"type": "image_url", "image_url": image}
    return {"type": "text", "text": part["text"] if "text" in part else part["refusal"]}


def content_text(content: Any) -> str:
    """Give what a tool answered as text: its text parts together, or the JSON of anything else."""
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    return json_text(content)


def tool_call(item: Params, kind: str, given: str) -> dict[str, Any]:
    """Give the call of a tool, as chat nests it."""
    inside = {"name": item["name"], given: item[given]}
    return {"id": item["call_id"], "type": kind, kind: inside}


def nested(flat: Params) -> dict[str, Any]:
    """Put what stands beside `type` under its name, as chat has formats, tools and choices."""
    kind = flat["type"]
    inside = {name: value for name, value in flat.items() if name != "type" and value is not None}
    return {"type": kind, kind: inside} if inside else {"type": kind}


def chosen(values: Params, names: Iterable[str]) -> dict[str, Any]:
    """Give the named fields that are there and not null."""
    return {name: values[name] for name in names if values.get(name) is not None}
