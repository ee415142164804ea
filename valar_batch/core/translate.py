"""Bodies of other APIs as Responses params: OpenAI's Chat Completions, Anthropic's Messages.

A field that is null, or that says what would be so without it (`n: 1`, `logprobs: false`), means
nothing and is left out. What has no counterpart is a problem under its own name. What is only told
to a cache, or to another way of bringing the answer, is left out, and `repairs` says so. What is
translated is not checked: `check_params` does that with the params.

Sources: OpenAI's API reference, Chat Completions and Batch; Anthropic's, Messages and Message
Batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.fields import set_path
from valar_batch.core.messages_items import block_items, system_message, without_cache
from valar_batch.core.rewriting import (
    Rewriting,
    Translation,
    chat_choice,
    chat_format,
    is_default,
)
from valar_batch.core.rules import LOGPROBS, WINDOW_FIELD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Handler = Callable[[Rewriting, str, Any], None]

__all__ = ["Translation", "from_chat", "from_messages"]


def from_chat(body: Mapping[str, Any]) -> Translation:
    """Translate the body of a Chat Completion."""
    return translated(body, CHAT, CHAT_DEFAULTS, CHAT_HINTS)


def from_messages(body: Mapping[str, Any]) -> Translation:
    """Translate the body of a Message."""
    system = system_message(body.get("system"))
    handlers = MESSAGES if system is None else {**MESSAGES, "messages": led_by(system)}
    return translated(body, handlers, MESSAGES_DEFAULTS, MESSAGES_HINTS)


def translated(
    body: Mapping[str, Any],
    handlers: Mapping[str, Handler],
    defaults: Mapping[str, tuple[Any, ...]],
    hints: Mapping[str, str],
) -> Translation:
    """Hand each field that means something to its handler."""
    rewriting = Rewriting()
    for name, value in body.items():
        if is_default(defaults, name, value):
            continue
        if handler := handlers.get(name):
            handler(rewriting, name, value)
        else:
            rewriting.refuse(name, "Valar has no counterpart for it", hints.get(name, "drop it"))
    return rewriting.translation()


def kept(rewriting: Rewriting, name: str, value: Any) -> None:
    """Keep a field as it is."""
    rewriting.params[name] = value


def to(path: str) -> Handler:
    """Give the handler that moves a field to a path."""

    def moved(rewriting: Rewriting, name: str, value: Any) -> None:
        before = rewriting.places.get(path)
        if before is not None and lookup(rewriting.params, path) != value:
            message = f"{before} and {name} say different things"
            rewriting.refuse(name, message, "keep one of them")
            return
        rewriting.places[path] = name
        set_path(rewriting.params, path, value)

    return moved


def lookup(params: Mapping[str, Any], path: str) -> Any:
    """Find what was moved to a path."""
    value: Any = params
    for name in path.split("."):
        value = value[name]
    return value


def dropped(what: str) -> Handler:
    """Give the handler that leaves a field out, and says so."""

    def lost(rewriting: Rewriting, name: str, value: Any) -> None:
        rewriting.lose(what)

    return lost


def unsaid(rewriting: Rewriting, name: str, value: Any) -> None:
    """Leave out what goes with another field."""


def chat_messages(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate the messages of chat."""
    rewriting.places["input"] = name
    rewriting.params["input"] = (
        rewriting.chat_items(value, name, "input") if isinstance(value, list) else value
    )


def response_format(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate the format of the answer."""
    if isinstance(value, dict) and value.get("type") == "json_object":
        hint = "use json_schema with a name and a schema"
        rewriting.refuse(f"{name}.type", "json_object has no counterpart", hint)
        return
    rewriting.params["text"] = {"format": chat_format(value) if isinstance(value, dict) else value}
    rewriting.places["text.format"] = f"{name}.json_schema"
    rewriting.places["text.format.type"] = f"{name}.type"


def chat_tools(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate tools."""
    rewriting.params["tools"] = (
        [rewriting.chat_tool(tool, f"{name}.{n}", f"tools.{n}") for n, tool in enumerate(value)]
        if isinstance(value, list)
        else value
    )


def chat_functions(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate functions, which tools took the place of."""
    rewriting.places["tools"] = name
    rewriting.params["tools"] = (
        [{"type": "function", **each} if isinstance(each, dict) else each for each in value]
        if isinstance(value, list)
        else value
    )


def tool_choice(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate the choice of a tool."""
    if isinstance(value, dict) and value.get("type") == "allowed_tools":
        hint = "offer only those tools, with auto or required"
        rewriting.refuse(f"{name}.type", "allowed_tools has no counterpart", hint)
        return
    rewriting.params["tool_choice"] = chat_choice(value)


def function_choice(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate the choice of a function, which the choice of a tool took the place of."""
    rewriting.places["tool_choice"] = name
    rewriting.params["tool_choice"] = (
        {"type": "function", **value} if isinstance(value, dict) else value
    )


def logprobs(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate the wish for logprobs."""
    if value is not True:
        rewriting.refuse(name, f"{value!r} is not a boolean")
        return
    rewriting.params["include"] = [LOGPROBS]


def store(rewriting: Rewriting, name: str, value: Any) -> None:
    """Leave out `store: false`, which Valar has no way to do."""
    if value is False:
        rewriting.lose("store: false dropped")
    else:
        kept(rewriting, name, value)


CHAT: Mapping[str, Handler] = {
    **dict.fromkeys(("model", "temperature", "top_p", "user", "prompt_cache_key"), kept),
    "metadata": kept,
    "messages": chat_messages,
    "max_completion_tokens": to("max_output_tokens"),
    "max_tokens": to("max_output_tokens"),
    "reasoning_effort": to("reasoning.effort"),
    "response_format": response_format,
    "tools": chat_tools,
    "tool_choice": tool_choice,
    "functions": chat_functions,
    "function_call": function_choice,
    "logprobs": logprobs,
    "store": store,
    "stream": dropped("stream dropped"),
    "stream_options": unsaid,
}

CHAT_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "service_tier": ("auto", "default"),
    "stop": ([],),
    "store": (True,),
    "stream": (False,),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
}
"""What fields of chat say that would be so without them."""

CHAT_HINTS: Mapping[str, str] = {
    "audio": "answers are text",
    "frequency_penalty": "drop it, or set it to 0",
    "logit_bias": "drop it",
    "modalities": "answers are text",
    "n": "one answer comes back: give n rows, each with an id of its own",
    "parallel_tool_calls": "drop it: the model may make several calls",
    "prediction": "drop it",
    "presence_penalty": "drop it, or set it to 0",
    "safety_identifier": "use user",
    "seed": "drop it: answers cannot be repeated exactly",
    "service_tier": f"use {WINDOW_FIELD}",
    "stop": "drop it, and cut the answer yourself",
    "top_logprobs": "drop it: one logprob for each output token comes back",
    "verbosity": "say in the prompt how long the answer should be",
    "web_search_options": "only function and custom tools are taken",
}
"""What to do about fields of chat that have no counterpart."""


def messages_items(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate Anthropic's messages."""
    rewriting.places["input"] = name
    rewriting.params["input"] = (
        block_items(rewriting, value, name, []) if isinstance(value, list) else value
    )


def led_by(system: dict[str, Any]) -> Handler:
    """Give the handler of Anthropic's messages that follow a system message."""

    def items(rewriting: Rewriting, name: str, value: Any) -> None:
        rewriting.places["input"] = name
        rewriting.places["input.0"] = "system"
        rewriting.params["input"] = (
            block_items(rewriting, value, name, [system]) if isinstance(value, list) else value
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
    "messages": messages_items,
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
