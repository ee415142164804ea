"""The body of a Message, Anthropic's, field by field.

Source: Anthropic's API reference, Messages and Message Batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.rules import WINDOW_FIELD
from valar_batch.core.translation.bodies import dropped, kept, to
from valar_batch.core.translation.message_items import block_items, without_cache
from valar_batch.core.translation.rewriting import Rewriting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valar_batch.core.translation.bodies import Handler


def led_by(system: dict[str, Any] | None) -> Handler:
    """Give the handler of the messages, which follow a system message, where there is one."""

    def items(rewriting: Rewriting, name: str, value: Any) -> None:
        if system is not None:
            rewriting.places["input.0"] = "system"
        leading = [] if system is None else [system]
        rewriting.params["input"] = (
            block_items(rewriting, value, name, leading) if isinstance(value, list) else value
        )

    return items


def system(rewriting: Rewriting, name: str, value: Any) -> None:
    """Note what the system blocks lose; they lead the input."""
    for position, block in enumerate(value if isinstance(value, list) else ()):
        if without_cache(rewriting, block).get("type") != "text":
            rewriting.refuse(f"{name}.{position}", "this is no text block", "give text")


def input_tools(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate Anthropic's tools."""
    rewriting.params["tools"] = (
        [input_tool(rewriting, tool, f"{name}.{n}") for n, tool in enumerate(value)]
        if isinstance(value, list)
        else value
    )


def input_tool(rewriting: Rewriting, tool: Any, place: str) -> Any:
    """Translate a tool: `input_schema` is `parameters`."""
    if not isinstance(tool, dict):
        return tool
    if tool.get("type", "custom") not in ("custom", None):
        message = f"{tool['type']} has no counterpart"
        rewriting.refuse(f"{place}.type", message, "only tools with an input_schema are taken")
        return tool
    flat: dict[str, Any] = {"type": "function"}
    for name, value in without_cache(rewriting, tool).items():
        if name in ("name", "description", "strict", "input_schema"):
            flat["parameters" if name == "input_schema" else name] = value
        elif name != "type" and value is not None:
            rewriting.refuse(f"{place}.{name}", f"{name} of a tool has no counterpart", "drop it")
    path = f"tools.{place.rpartition('.')[2]}.parameters"
    rewriting.places[path] = f"{place}.input_schema"
    return flat


def input_choice(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate Anthropic's choice of a tool."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in ("auto", "any", "none"):
        rewriting.params["tool_choice"] = "required" if kind == "any" else kind
    elif kind == "tool":
        rewriting.params["tool_choice"] = {"type": "function", "name": value.get("name")}
    else:
        rewriting.refuse(name, f"{value!r} is not a choice of a tool", "use auto, any, tool, none")
    if kind and value.get("disable_parallel_tool_use"):
        field = f"{name}.disable_parallel_tool_use"
        rewriting.refuse(field, "Valar has no counterpart for it", "drop it")


def output_config(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate what is said of the answer: its format, which is given a name, and the effort."""
    if not isinstance(value, dict):
        rewriting.refuse(name, f"{value!r} is not an object")
        return
    for inner, given in value.items():
        if inner == "format" and isinstance(given, dict):
            output_format(rewriting, f"{name}.format", given)
        elif inner == "effort":
            rewriting.params["reasoning"] = {"effort": given}
            rewriting.places["reasoning.effort"] = f"{name}.effort"
        elif given is not None:
            rewriting.refuse(f"{name}.{inner}", "Valar has no counterpart for it", "drop it")


def output_format(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate the format of the answer."""
    named = {"name": "answer", **value} if isinstance(value, dict) else value
    rewriting.params["text"] = {"format": named}
    rewriting.places["text.format"] = name


def input_metadata(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate metadata: `user_id` is `user`, the rest is Valar's own."""
    if not isinstance(value, dict):
        rewriting.params[name] = value
        return
    rest = {key: each for key, each in value.items() if key != "user_id"}
    if value.get("user_id") is not None:
        rewriting.params["user"] = value["user_id"]
        rewriting.places["user"] = f"{name}.user_id"
    if rest:
        rewriting.params[name] = rest


MESSAGES: Mapping[str, Handler] = {
    **dict.fromkeys(("model", "temperature", "top_p"), kept),
    "max_tokens": to("max_output_tokens"),
    "system": system,
    "tools": input_tools,
    "tool_choice": input_choice,
    "output_config": output_config,
    "output_format": output_format,
    "metadata": input_metadata,
    "stream": dropped("stream dropped"),
    "cache_control": dropped("cache_control dropped"),
}

MESSAGES_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "service_tier": ("auto",),
    "stop_sequences": ([],),
    "stream": (False,),
    "system": ("", []),
    "thinking": ({"type": "disabled"},),
    "tools": ([],),
}
"""What fields of Messages say that would be so without them."""

MESSAGES_HINTS: Mapping[str, str] = {
    "container": "server-side tools are not supported",
    "context_management": "send the messages that are wanted",
    "inference_geo": "drop it",
    "mcp_servers": "only tools with an input_schema are taken",
    "service_tier": f"use {WINDOW_FIELD}",
    "stop_sequences": "drop it, and cut the answer yourself",
    "thinking": "drop it; output_config.effort says how much the model thinks",
    "top_k": "drop it, or use top_p",
}
"""What to do about fields of Messages that have no counterpart."""
