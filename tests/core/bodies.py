"""Bodies that OpenAI's and Anthropic's APIs take, drawn by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

MODEL = "google/gemma-4-31B-it"
TEXT = st.text(min_size=1, max_size=8)
NAME = st.text("abcdefgh_", min_size=1, max_size=6)
URLS = st.sampled_from(["https://example.com/a.png", "http://example.com/b?c=d"])
SCHEMAS = st.sampled_from(
    [
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"enum": [1, None]}, "b": {"default": None}}},
    ]
)
EFFORTS = st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"])
UNIT = st.floats(0, 1)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value or null."""
    return st.none() | strategy


TEXT_PART = st.builds(lambda text: {"type": "text", "text": text}, TEXT)
IMAGE_PART = st.builds(
    lambda url, detail: {"type": "image_url", "image_url": {"url": url, **detail}},
    URLS,
    some(detail=st.sampled_from(["auto", "low", "high"])),
)
AUDIO_PART = st.just({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}})
CONTENT = TEXT | st.lists(TEXT_PART, min_size=1, max_size=3)
USER_CONTENT = TEXT | st.lists(TEXT_PART | IMAGE_PART | AUDIO_PART, min_size=1, max_size=3)


@st.composite
def chat_messages(draw) -> list[dict[str, Any]]:
    """A conversation of chat, tool loops and all."""
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        role = draw(st.sampled_from(["system", "developer"]))
        messages.append({"role": role, "content": draw(CONTENT)})
    for turn in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(USER_CONTENT), **draw(some(name=NAME))})
        kind = draw(st.sampled_from(["text", "refusal", "tools", "function", "none"]))
        nulls = draw(some(refusal=st.none(), audio=st.none(), annotations=st.just([])))
        if kind == "text":
            messages.append({"role": "assistant", "content": draw(CONTENT), **nulls})
        elif kind == "refusal":
            messages.append({"role": "assistant", "content": None, "refusal": draw(TEXT)})
        elif kind == "tools":
            calls = draw(st.lists(st.sampled_from(["function", "custom"]), min_size=1, max_size=2))
            inner = {"function": "arguments", "custom": "input"}
            messages.append({
                "role": "assistant",
                "content": draw(maybe(TEXT)),
                "tool_calls": [
                    {"id": f"call_{turn}_{n}", "type": k, k: {"name": "f", inner[k]: "{}"}}
                    for n, k in enumerate(calls)
                ],
                **nulls,
            })  # fmt: skip
            messages += (
                {"role": "tool", "tool_call_id": f"call_{turn}_{n}", "content": draw(CONTENT)}
                for n in range(len(calls))
            )
        elif kind == "function":
            call = {"name": "g", "arguments": "{}"}
            messages.append({"role": "assistant", "content": None, "function_call": call})
            messages.append({"role": "function", "name": "g", "content": draw(TEXT)})
    return messages


FUNCTIONS = st.fixed_dictionaries(
    {"name": NAME},
    optional={"description": TEXT, "parameters": SCHEMAS, "strict": maybe(st.booleans())},
)


@st.composite
def chat_bodies(draw) -> dict[str, Any]:
    """Bodies of Chat Completions."""
    body = {"model": MODEL, "messages": draw(chat_messages())}
    body |= draw(
        some(
            max_tokens=maybe(st.integers(1, 9)),
            max_completion_tokens=maybe(st.integers(1, 9)),
            temperature=maybe(st.floats(0, 2)),
            top_p=maybe(UNIT),
            user=TEXT,
            metadata=st.dictionaries(NAME, TEXT, max_size=2),
            reasoning_effort=maybe(EFFORTS),
            n=st.integers(1, 2),
            stop=maybe(TEXT),
            seed=maybe(st.integers()),
            store=maybe(st.booleans()),
            stream=st.booleans(),
            logprobs=st.booleans(),
            frequency_penalty=st.sampled_from([0, 0.0, 1]),
            parallel_tool_calls=st.booleans(),
            service_tier=st.sampled_from(["auto", "default", "flex"]),
            modalities=st.sampled_from([["text"], ["text", "audio"]]),
            response_format=st.sampled_from([{"type": "text"}, {"type": "json_object"}])
            | st.builds(
                lambda name, rest: {"type": "json_schema", "json_schema": {"name": name, **rest}},
                NAME,
                some(schema=SCHEMAS, strict=maybe(st.booleans()), description=TEXT),
            ),
        )
    )
    functions = draw(st.lists(FUNCTIONS, max_size=2, unique_by=lambda each: each["name"]))
    if functions:
        body["tools"] = [{"type": "function", "function": each} for each in functions]
        named = {"type": "function", "function": {"name": functions[0]["name"]}}
        body |= draw(some(tool_choice=st.sampled_from(["auto", "none", "required", named])))
    return body


TEXT_BLOCK = st.builds(
    lambda text, more: {"type": "text", "text": text, **more},
    TEXT,
    some(cache_control=st.just({"type": "ephemeral"}), citations=st.none()),
)
IMAGE_BLOCK = st.builds(lambda url: {"type": "image", "source": {"type": "url", "url": url}}, URLS)
DOCUMENT_BLOCK = st.just({"type": "document", "source": {"type": "text", "data": "x"}})


@st.composite
def messages_bodies(draw) -> dict[str, Any]:
    """Bodies of Messages."""
    messages: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(1, 3))):
        blocks = st.lists(TEXT_BLOCK | IMAGE_BLOCK | DOCUMENT_BLOCK, min_size=1, max_size=3)
        content = draw(blocks if results else TEXT | blocks)
        messages.append({"role": "user", "content": [*results, *content] if results else content})
        calls = [
            {"type": "tool_use", "id": f"t{turn}{n}", "name": "f", "input": {"a": None}}
            for n in range(draw(st.integers(0, 2)))
        ]
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call["id"],
                **draw(some(content=TEXT | st.lists(TEXT_BLOCK | IMAGE_BLOCK, max_size=2))),
            }
            for call in calls
        ]
        thinking = {"type": "thinking", "thinking": "t", "signature": "s"}
        said = draw(st.lists(TEXT_BLOCK | st.just(thinking), max_size=2))
        if said or calls:
            messages.append({"role": "assistant", "content": [*said, *calls]})
    body = {"model": MODEL, "max_tokens": draw(st.integers(1, 9)), "messages": messages}
    tools = st.lists(
        st.builds(lambda name, schema: {"name": name, "input_schema": schema}, NAME, SCHEMAS),
        min_size=1,
        max_size=2,
    )
    return body | draw(
        some(
            system=TEXT | st.lists(TEXT_BLOCK, min_size=1, max_size=2),
            temperature=UNIT,
            top_p=UNIT,
            top_k=maybe(st.integers(1, 5)),
            stop_sequences=st.lists(TEXT, max_size=1),
            thinking=st.sampled_from([{"type": "disabled"}, {"type": "enabled"}]),
            tools=tools,
            metadata=some(user_id=maybe(TEXT)),
            output_config=some(
                effort=EFFORTS,
                format=st.builds(lambda schema: {"type": "json_schema", "schema": schema}, SCHEMAS),
            ),
            stream=st.sampled_from([False]),
            service_tier=st.sampled_from(["auto", "standard_only"]),
        )
    )


INPUT_PARTS = st.builds(lambda text: {"type": "input_text", "text": text}, TEXT) | st.builds(
    lambda url, detail: {"type": "input_image", "image_url": url, **detail},
    URLS,
    some(detail=st.sampled_from(["auto", "low", "high"])),
)
INPUTS = TEXT | st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user"]),
            "content": TEXT | st.lists(INPUT_PARTS, min_size=1, max_size=2),
        },
        optional={"type": st.just("message")},
    ),
    min_size=1,
    max_size=3,
)


def responses_bodies() -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of OpenAI's Responses, without what Valar's lack."""
    return st.fixed_dictionaries(
        {"model": st.just(MODEL), "input": INPUTS},
        optional={
            "instructions": maybe(st.text(max_size=5)),
            "max_output_tokens": maybe(st.integers(1, 9)),
            "temperature": maybe(st.floats(0, 2)),
            "store": maybe(st.booleans()),
            "stream": maybe(st.booleans()),
            "parallel_tool_calls": st.sampled_from([True]),
            "previous_response_id": st.none(),
            "service_tier": st.sampled_from(["auto", "default"]),
            "text": some(verbosity=st.just("medium"), format=maybe(st.just({"type": "text"}))),
            "reasoning": maybe(some(effort=maybe(EFFORTS), summary=st.none())),
            "metadata": maybe(st.dictionaries(NAME, TEXT, max_size=2)),
            "tools": st.just([]),
        },
    )


WORDS = st.sampled_from(
    ["assistant", "user", "tool", "function", "custom", "text", "image", "image_url", "tool_use",
     "tool_result", "json_schema", "base64", "function_call", "message", "developer"]
)  # fmt: skip
FIELDS = st.sampled_from(
    ["type", "role", "content", "name", "id", "tool_call_id", "tool_calls", "function", "custom",
     "function_call", "text", "image_url", "url", "source", "input", "format", "grammar",
     "json_schema", "messages", "cache_control", "refusal"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)
MESSAGES = st.lists(
    st.dictionaries(FIELDS, ANYTHING, max_size=2).flatmap(
        lambda rest: st.builds(
            lambda role, content: {"role": role, "content": content, **rest},
            WORDS,
            ANYTHING | st.lists(st.dictionaries(FIELDS, ANYTHING, max_size=4), max_size=2),
        )
    ),
    max_size=3,
)
JUNK = st.dictionaries(
    st.sampled_from(
        ["input", "messages", "instructions", "text", "reasoning", "tools", "metadata", "system",
         "response_format", "reasoning_effort", "tool_choice", "store", "stream", "functions",
         "function_call", "output_config", "logprobs", "max_tokens"]
    ),
    ANYTHING | MESSAGES,
    max_size=4,
)  # fmt: skip
"""Bodies that look like bodies, and are none."""
