"""Chat Completions: every row of what the contract takes and refuses."""
# ruff: noqa: FBT003 - true and false are values of fields

from __future__ import annotations

from tests.contract.case import ABSENT, FILES, IMAGE_MODEL, TEXT_MODEL, Case, image, refused, taken
from tests.contract.responses import SERVER_TOOLS

SAID = {"role": "user", "content": "Is it good?"}
VALID: dict[str, object] = {"model": TEXT_MODEL, "messages": [SAID]}

LOOK = {"type": "function", "function": {"name": "look"}}
NOTE = {"type": "custom", "custom": {"name": "note"}}
CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TEXT_PART = {"type": "text", "text": "Is it good?"}
ELSEWHERE = {
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "logit_bias": {"1": 1},
    "stop": "\n",
    "seed": 1,
    "logprobs": True,
    "top_logprobs": 1,
    "verbosity": "low",
    "audio": {"voice": "x"},
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
    "max_tokens": 100,
    "functions": [],
    "function_call": "auto",
}


def messages(*items: object, **more: object) -> dict[str, object]:
    return {"messages": list(items), **more}


def part(**fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": [fields]}], "model": IMAGE_MODEL}


def picture(url: object, **more: object) -> dict[str, object]:
    return part(type="image_url", image_url={"url": url, **more})


def pictures(count: int) -> dict[str, object]:
    one = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    return {"messages": [{"role": "user", "content": [one] * count}], "model": IMAGE_MODEL}


def json_schema(**fields: object) -> dict[str, object]:
    return {"response_format": {"type": "json_schema", "json_schema": fields}}


PART = "messages.0.content.0"
URL = f"{PART}.image_url.url"
SCHEMA = "response_format.json_schema"

CASES: tuple[Case, ...] = (
    Case("as little as can be", {}),
    Case("fields that no list names", {"some_field": {"a": [1]}, "safety_identifier": None}),
    *refused("model", ABSENT, None, "", 5),
    Case("a model that is not served", {"model": "nobody/nothing"}, "model", unserved=True),
    # messages
    *refused("messages", ABSENT, None, [], {}, "x"),
    *refused("messages", ["x"], [None], param="messages.0"),
    *(
        Case(f"role {role}", messages({"role": role, "content": "x"}))
        for role in ("system", "user", "assistant", "tool", "function", "developer")
    ),
    *(
        Case(f"role {role!r}", messages({"role": role, "content": "x"}), "messages.0.role")
        for role in ("critic", "", None)
    ),
    Case("no role", messages({"content": "x"}), "messages.0.role"),
    *(
        Case(f"content {content!r}", messages(SAID, {"role": "assistant", "content": content}))
        for content in ("", None, [], [TEXT_PART])
    ),
    Case("no content", messages(SAID, {"role": "assistant", "tool_calls": [CALL]})),
    *(
        Case(
            f"content {content!r}",
            messages({"role": "user", "content": content}),
            "messages.0.content",
        )
        for content in (5, {}, True)
    ),
    Case(
        "a tool loop",
        messages(
            SAID,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "seen"},
            tools=[LOOK],
        ),
    ),
    Case(
        "the old tool loop",
        messages(
            SAID,
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "look", "arguments": "{}"},
            },
            {"role": "function", "name": "look", "content": "seen"},
        ),
    ),
    Case("a field no message has", messages({**SAID, "weight": 1}), "messages.0.weight"),
    Case(
        "audio of an answer",
        messages(SAID, {"role": "assistant", "audio": {"id": "x"}}),
        "messages.1.audio",
    ),
    Case("a name that is no text", messages({**SAID, "name": 5}), "messages.0.name"),
    # parts and images
    Case("a text part", part(**TEXT_PART)),
    Case("a part that is no object", messages({"role": "user", "content": ["x"]}), PART),
    *(
        Case(f"a part of type {kind!r}", part(type=kind, text="x"), f"{PART}.type")
        for kind in (
            "input_audio",
            "file",
            "input_text",
            "input_image",
            "refusal",
            "",
            None,
            {},
            [],
        )
    ),
    Case("a text part without text", part(type="text"), f"{PART}.text"),
    Case(
        "a field no part has",
        part(type="text", text="x", cache_control={}),
        f"{PART}.cache_control",
    ),
    *(Case(f"{kind} in base64", picture(image(kind))) for kind in FILES if kind != "image/tiff"),
    *(
        Case(f"detail {detail}", picture("https://a.example/b", detail=detail))
        for detail in ("auto", "low", "high")
    ),
    Case(
        "detail original",
        picture("https://a.example/b", detail="original"),
        f"{PART}.image_url.detail",
    ),
    *(
        Case(f"url {str(url)[:30]!r}", picture(url), URL)
        for url in (
            None,
            5,
            "",
            "a.png",
            "ftp://a.example/b",
            "data:image/png,abc",
            image("image/tiff"),
            image("image/png", declared="image/gif"),
        )
    ),
    Case(
        "an image by its URL alone",
        part(type="image_url", image_url="https://a.example/b"),
        f"{PART}.image_url",
    ),
    Case("an image part without image_url", part(type="image_url"), f"{PART}.image_url"),
    Case("20 images", pictures(20)),
    Case("21 images", pictures(21), "messages"),
    Case(
        "an image for a model that takes none",
        {**picture("https://a.example/b"), "model": TEXT_MODEL},
        "messages",
    ),
    # numbers and texts
    *taken("max_completion_tokens", 1, 100_000, None),
    *refused("max_completion_tokens", 0, -1, 1.5, "100", True),
    *taken("temperature", 0, 2, 0.7, None),
    *refused("temperature", -0.1, 2.1, "1"),
    *taken("top_p", 0, 1, None),
    *refused("top_p", -0.1, 1.1, "1"),
    *taken("user", "u" * 256),
    *refused("user", "u" * 257, 5, None),
    *taken("reasoning_effort", "none", "minimal", "low", "medium", "high", "xhigh", None),
    *refused("reasoning_effort", "max", 5, {}),
    # response_format
    *taken("response_format", {"type": "text"}, {"type": "json_object"}),
    Case("a named schema", json_schema(name="n")),
    Case(
        "a whole schema",
        json_schema(name="n", schema={"type": "object"}, description="d", strict=True),
    ),
    *refused("response_format", None, "text", []),
    *refused("response_format", {}, {"type": "xml"}, {"type": None}, param="response_format.type"),
    *refused(
        "response_format",
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": None},
        param=SCHEMA,
    ),
    Case("a schema without name", json_schema(schema={}), f"{SCHEMA}.name"),
    Case("a schema that is no object", json_schema(name="n", schema="x"), f"{SCHEMA}.schema"),
    Case("strict that is no boolean", json_schema(name="n", strict="yes"), f"{SCHEMA}.strict"),
    # tools
    *taken(
        "tools",
        [],
        [LOOK],
        [NOTE],
        [LOOK, NOTE],
        [
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "d",
                    "parameters": {"type": "object"},
                    "strict": True,
                },
            }
        ],
    ),
    *refused("tools", None, {}),
    *refused("tools", ["look"], param="tools.0"),
    *(
        Case(f"the tool {kind}", {"tools": [{"type": kind}]}, "tools.0.type")
        for kind in (*SERVER_TOOLS, "", None)
    ),
    Case(
        "a tool as Responses has it",
        {"tools": [{"type": "function", "name": "look"}]},
        "tools.0.function",
    ),
    Case(
        "a function without name",
        {"tools": [{"type": "function", "function": {}}]},
        "tools.0.function.name",
    ),
    Case(
        "a custom tool without name",
        {"tools": [{"type": "custom", "custom": {}}]},
        "tools.0.custom.name",
    ),
    Case(
        "parameters that are no object",
        {"tools": [{"type": "function", "function": {"name": "look", "parameters": []}}]},
        "tools.0.function.parameters",
    ),
    *taken("tool_choice", "none", "auto"),
    *(
        Case(f"tool_choice {choice}", {"tools": [LOOK, NOTE], "tool_choice": choice})
        for choice in ("required", LOOK, NOTE)
    ),
    *(
        Case(f"tool_choice {choice!r}", {"tools": [LOOK], "tool_choice": choice}, "tool_choice")
        for choice in (None, "any", 5, NOTE)
    ),
    Case(
        "tool_choice of a server's tool",
        {"tool_choice": {"type": "web_search"}},
        "tool_choice.type",
    ),
    *taken("parallel_tool_calls", True, False),
    # streams
    *taken("stream", True, False),
    *refused("stream", None, "true", 1),
    Case("a stream with its usage", {"stream": True, "stream_options": {"include_usage": True}}),
    *taken("stream_options", {}, {"include_usage": False}),
    *refused("stream_options", None, [], "x"),
    *refused("stream_options", {"include_usage": "yes"}, param="stream_options.include_usage"),
    *refused(
        "stream_options", {"include_obfuscation": True}, param="stream_options.include_obfuscation"
    ),
    # words
    *taken("n", 1),
    *refused("n", 0, 2, None, "1", True),
    *taken("modalities", ["text"]),
    *refused("modalities", [], None, "text"),
    *refused("modalities", ["audio"], param="modalities.0"),
    *taken("store", True),
    *refused("store", False, None),
    *taken("service_tier", "auto"),
    *refused("service_tier", "default", "flex", "priority", None),
    # metadata
    *taken(
        "metadata",
        {},
        {"team": "a"},
        {"completion_window": "standard"},
        {"completion_window": "asap"},
        {"completion_webhook": "no URL"},
    ),
    *refused("metadata", None, []),
    Case("metadata of 5", {"metadata": {"team": 5}}, "metadata.team"),
    *(
        Case(
            f"completion_window {word!r}",
            {"metadata": {"completion_window": word}},
            "metadata.completion_window",
        )
        for word in ("flex", "24h", "")
    ),
    # what chat refuses, also where it is null
    *(Case(name, {name: value}, name) for name, value in ELSEWHERE.items()),
    *(Case(f"{name} null", {name: None}, name) for name in ELSEWHERE),
)
