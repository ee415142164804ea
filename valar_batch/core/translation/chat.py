"""The body of a Chat Completion, OpenAI's, field by field.

Source: OpenAI's API reference, Chat Completions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.rules import LOGPROBS, WINDOW_FIELD
from valar_batch.core.translation.bodies import dropped, kept, to, unsaid
from valar_batch.core.translation.rewriting import UNNEEDED, Rewriting, chat_choice, chat_format

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valar_batch.core.translation.bodies import Handler


def chat_messages(rewriting: Rewriting, name: str, value: Any) -> None:
    """Translate the messages of chat."""
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
    **{name: dropped(f"{name} dropped") for name in sorted(UNNEEDED)},
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
    "seed": "drop it: answers cannot be repeated exactly",
    "service_tier": f"use {WINDOW_FIELD}",
    "stop": "drop it, and cut the answer yourself",
    "top_logprobs": "drop it: one logprob for each output token comes back",
    "verbosity": "say in the prompt how long the answer should be",
    "web_search_options": "only function and custom tools are taken",
}
"""What to do about fields of chat that have no counterpart."""
