"""Requests as OpenAI's and Anthropic's batches have them, each beside the Valar params it is."""

from __future__ import annotations

import random
from typing import Any

MODEL = "google/gemma-4-31B-it"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAACklEQVR4nGMAAQAABQABDQottAAAAABJRU5ErkJggg"
DATA_URI = f"data:image/png;base64,{PNG}=="
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b", "c"]}, "why": {"type": "string"}},
    "required": ["label", "why"],
    "additionalProperties": False,
}
ORDER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

Pair = tuple[dict[str, Any], dict[str, Any]]
"""A body, and the params that it must become."""


def openai_lines(count: int, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give the lines of an OpenAI Batch file, and the params of each."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    makers = (chat_plain, chat_image, chat_schema, chat_tools, chat_loop, chat_legacy)
    makers += (responses_plain, responses_loop, responses_schema)
    lines, params = [], []
    for n in range(count):
        make = makers[n % len(makers)]
        url = "/v1/chat/completions" if make.__name__.startswith("chat") else "/v1/responses"
        body, wanted = make(draw, n)
        lines.append({
            "custom_id": f"Order #{n}@example.com", "method": "POST", "url": url,
            "body": {"model": "gpt-4o-mini", **body},
        })  # fmt: skip
        params.append({"model": MODEL, **wanted})
    return lines, params


def chat_plain(draw: random.Random, n: int) -> Pair:
    tokens, role = draw.randint(20, 99), draw.choice(["developer", "system"])
    body = {
        "messages": [{"role": role, "content": "Be brief."}, {"role": "user", "content": f"x{n}"}],
        draw.choice(["max_tokens", "max_completion_tokens"]): tokens,
        "temperature": 0.50, "n": 1, "stream": False, "presence_penalty": 0, "stop": None,
        "user": f"user-{n}",
    }  # fmt: skip
    return body, {
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"x{n}"},
        ],
        "max_output_tokens": tokens, "temperature": 0.5, "user": f"user-{n}",
    }  # fmt: skip


def chat_image(draw: random.Random, n: int) -> Pair:
    url = draw.choice([DATA_URI, f"https://example.com/{n}.png"])
    detail = draw.choice([{}, {"detail": "low"}, {"detail": "auto"}])
    body = {
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": f"What is {n}?"},
            {"type": "image_url", "image_url": {"url": url, **detail}},
        ]}],
    }  # fmt: skip
    return body, {"input": [{"role": "user", "content": [
        {"type": "input_text", "text": f"What is {n}?"},
        {"type": "input_image", "image_url": url, **detail},
    ]}]}  # fmt: skip


def chat_schema(draw: random.Random, n: int) -> Pair:
    effort = draw.choice(["low", "high"])
    body = {
        "messages": [{"role": "user", "content": f"Label {n}"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "label", "strict": True, "schema": SCHEMA},
        },
        "reasoning_effort": effort,
    }
    return body, {
        "input": [{"role": "user", "content": f"Label {n}"}],
        "text": {
            "format": {"type": "json_schema", "name": "label", "strict": True, "schema": SCHEMA}
        },
        "reasoning": {"effort": effort},
    }


def chat_tools(draw: random.Random, n: int) -> Pair:
    chosen = draw.choice([None, "auto", "required", "find"])
    named = {"type": "function", "function": {"name": "find"}}
    choice: dict[str, Any] = {"tool_choice": named if chosen == "find" else chosen}
    wanted: dict[str, Any] = {"type": "function", "name": "find"} if chosen == "find" else chosen
    body = {
        "messages": [{"role": "user", "content": f"Find {n}"}],
        "tools": [{"type": "function", "function": {"name": "find", "parameters": ORDER}}],
        **choice,
        "parallel_tool_calls": True,
    }
    return body, {
        "input": [{"role": "user", "content": f"Find {n}"}],
        "tools": [{"type": "function", "name": "find", "parameters": ORDER}],
        **({"tool_choice": wanted} if wanted else {}),
    }


def chat_loop(draw: random.Random, n: int) -> Pair:
    said = draw.choice([None, "Let me look."])
    calls = range(draw.randint(1, 3))
    body = {
        "messages": [
            {"role": "user", "content": f"Find {n}"},
            {"role": "assistant", "content": said, "refusal": None, "tool_calls": [
                {"id": f"call_{n}_{k}", "type": "function",
                 "function": {"name": "find", "arguments": f'{{"n": {k}}}'}} for k in calls]},
            *({"role": "tool", "tool_call_id": f"call_{n}_{k}", "content": f"found {k}"}
              for k in calls),
            {"role": "user", "content": [{"type": "text", "text": "Well?"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "find", "parameters": ORDER}}],
        "logprobs": True,
    }  # fmt: skip
    return body, {
        "input": [
            {"role": "user", "content": f"Find {n}"},
            *([{"role": "assistant", "content": said}] if said else []),
            *({"type": "function_call", "call_id": f"call_{n}_{k}", "name": "find",
               "arguments": f'{{"n": {k}}}'} for k in calls),
            *({"type": "function_call_output", "call_id": f"call_{n}_{k}", "output": f"found {k}"}
              for k in calls),
            {"role": "user", "content": [{"type": "input_text", "text": "Well?"}]},
        ],
        "tools": [{"type": "function", "name": "find", "parameters": ORDER}],
        "include": ["message.output_text.logprobs"],
    }  # fmt: skip


def chat_legacy(draw: random.Random, n: int) -> Pair:
    seen = draw.choice(["one", "two"])
    body = {
        "messages": [
            {"role": "user", "content": f"Count {n}"},
            {"role": "assistant", "content": None,
             "function_call": {"name": "count", "arguments": "{}"}},
            {"role": "function", "name": "count", "content": seen},
        ],
        "metadata": {"n": str(n)}, "service_tier": "auto", "store": False,
    }  # fmt: skip
    return body, {
        "input": [
            {"role": "user", "content": f"Count {n}"},
            {"type": "function_call", "call_id": "function_call_1", "name": "count",
             "arguments": "{}"},
            {"type": "function_call_output", "call_id": "function_call_1", "output": seen},
        ],
        "metadata": {"n": str(n)},
    }  # fmt: skip


def responses_plain(draw: random.Random, n: int) -> Pair:
    tokens = draw.randint(20, 99)
    body = {
        "instructions": "Be brief.", "input": f"x{n}", "max_output_tokens": tokens,
        "store": False, "stream": False, "truncation": "disabled", "previous_response_id": None,
        "parallel_tool_calls": True,
    }  # fmt: skip
    return body, {
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"x{n}"},
        ],
        "max_output_tokens": tokens,
    }


def responses_loop(draw: random.Random, n: int) -> Pair:
    own = {"type": "output_text", "text": "Hm.", "annotations": []}
    loop = [
        {"type": "message", "role": "assistant", "id": f"msg_{n}", "content": [own]},
        {"type": "function_call", "call_id": "c", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": draw.choice(["a", "b"])},
    ]
    tools = [{"type": "function", "name": "find", "parameters": ORDER, "strict": True}]
    body = {"input": [{"role": "developer", "content": f"Find {n}"}, *loop], "tools": tools}
    return body, {"input": [{"role": "system", "content": f"Find {n}"}, *loop], "tools": tools}


def responses_schema(draw: random.Random, n: int) -> Pair:
    form = {"type": "json_schema", "name": "label", "schema": SCHEMA}
    effort = draw.choice(["low", "medium"])
    rest = {"input": f"Label {n}", "reasoning": {"effort": effort}}
    return {**rest, "text": {"format": form, "verbosity": "medium"}}, {
        **rest, "text": {"format": form},
    }  # fmt: skip


def anthropic_items(count: int, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give items of an Anthropic Message Batch, and the params of each."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    makers = (message_plain, message_image, message_loop, message_format)
    items, params = [], []
    for n in range(count):
        tokens = draw.randint(20, 99)
        body, wanted = makers[n % len(makers)](draw, n)
        given = {"model": "claude-haiku-4-5", "max_tokens": tokens, **body}
        items.append({"custom_id": f"Order.{n}", "params": given})
        params.append({"model": MODEL, "max_output_tokens": tokens, **wanted})
    return items, params


def message_plain(draw: random.Random, n: int) -> Pair:
    cached = draw.choice([{}, {"cache_control": {"type": "ephemeral"}}])
    system = draw.choice(["Be brief.", [{"type": "text", "text": "Be brief.", **cached}]])
    body = {
        "system": system, "messages": [{"role": "user", "content": f"x{n}"}],
        "temperature": 0.25, "metadata": {"user_id": f"u{n}"},
    }  # fmt: skip
    return body, {
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"x{n}"},
        ],
        "temperature": 0.25, "user": f"u{n}",
    }  # fmt: skip


def message_image(draw: random.Random, n: int) -> Pair:
    own = {"type": "base64", "media_type": "image/png", "data": f"{PNG}=="}
    url = {"type": "url", "url": f"https://example.com/{n}.png"}
    source, sent = draw.choice([(own, DATA_URI), (url, url["url"])])
    body = {"messages": [{"role": "user", "content": [
        {"type": "image", "source": source}, {"type": "text", "text": f"What is {n}?"},
    ]}]}  # fmt: skip
    return body, {"input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": sent},
        {"type": "input_text", "text": f"What is {n}?"},
    ]}]}  # fmt: skip


def message_loop(draw: random.Random, n: int) -> Pair:
    result = draw.choice(["one", [{"type": "text", "text": "one"}]])
    body = {
        "messages": [
            {"role": "user", "content": f"Find {n}"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "t", "name": "find", "input": {"n": n}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": result},
                {"type": "text", "text": "Well?"},
            ]},
        ],
        "tools": [{"name": "find", "input_schema": ORDER}],
        "tool_choice": {"type": draw.choice(["auto", "any"])},
    }  # fmt: skip
    choice = "auto" if body["tool_choice"] == {"type": "auto"} else "required"
    return body, {
        "input": [
            {"role": "user", "content": f"Find {n}"},
            {"role": "assistant", "content": "Let me look."},
            {"type": "function_call", "call_id": "t", "name": "find", "arguments": f'{{"n":{n}}}'},
            {"type": "function_call_output", "call_id": "t", "output": "one"},
            {"role": "user", "content": [{"type": "input_text", "text": "Well?"}]},
        ],
        "tools": [{"type": "function", "name": "find", "parameters": ORDER}],
        "tool_choice": choice,
    }  # fmt: skip


def message_format(draw: random.Random, n: int) -> Pair:
    effort = draw.choice(["low", "high"])
    form = {"type": "json_schema", "schema": SCHEMA}
    body = {
        "messages": [{"role": "user", "content": f"Label {n}"}],
        "output_config": {"format": form, "effort": effort},
    }
    return body, {
        "input": [{"role": "user", "content": f"Label {n}"}],
        "text": {"format": {"name": "answer", **form}},
        "reasoning": {"effort": effort},
    }
