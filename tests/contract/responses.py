"""Responses: every row of what the contract takes and refuses."""
# ruff: noqa: FBT003 - true and false are values of fields

from __future__ import annotations

from tests.contract.case import ABSENT, TEXT_MODEL, Case, refused, taken
from tests.contract.inputs import INPUT, LOOK, NOTE, SAID

VALID: dict[str, object] = {"model": TEXT_MODEL, "input": "Is it good?"}

SERVER_TOOLS = (
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "file_search",
    "code_interpreter",
    "computer_use",
    "computer_use_preview",
    "mcp",
    "image_generation",
    "shell",
    "local_shell",
    "apply_patch",
)
BARRED_INCLUDES = (
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
)
ELSEWHERE = {
    "instructions": "Be brief.",
    "previous_response_id": "resp_0",
    "conversation": "conv_0",
    "prompt": {"id": "pmpt_0"},
    "parallel_tool_calls": True,
    "messages": [SAID],
    "max_tokens": 100,
    "max_completion_tokens": 100,
    "response_format": {"type": "text"},
    "reasoning_effort": "low",
    "n": 1,
    "stop": "\n",
    "seed": 1,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "logit_bias": {"1": 1},
    "logprobs": True,
    "top_logprobs": 1,
    "functions": [],
    "function_call": "auto",
    "stream_options": {"include_usage": True},
}
"""What Responses refuse: fields of OpenAI's Responses, and of chat."""


def text_format(**fields: object) -> dict[str, object]:
    return {"text": {"format": fields}}


CASES: tuple[Case, ...] = (
    Case("as little as can be", {}),
    Case("fields that no list names", {"some_field": {"a": [1]}, "safety_identifier": None}),
    # model
    *refused("model", ABSENT, None, "", 5, ["a"]),
    Case("a model that is not served", {"model": "nobody/nothing"}, "model", unserved=True),
    *INPUT,
    # numbers
    *taken("max_output_tokens", 1, 100_000, None),
    *refused("max_output_tokens", 0, -1, 1.5, "100", True, [1]),
    *taken("temperature", 0, 1, 2, 0.7, 2.0, None),
    *refused("temperature", -0.1, 2.1, "1", False, [1]),
    *taken("top_p", 0, 1, 0.5, None),
    *refused("top_p", -0.1, 1.1, "1", True, {}),
    # texts
    *taken("user", "", "u" * 256, "ü" * 256),
    *refused("user", "u" * 257, 5, None),
    *taken("prompt_cache_key", "", "a", "k" * 1000),
    *refused("prompt_cache_key", 5, None, []),
    # text.format
    *taken(
        "text",
        {"format": {"type": "text"}},
        {"format": {"type": "json_schema", "name": "n"}},
        {
            "format": {
                "type": "json_schema",
                "name": "n",
                "schema": {"type": "object"},
                "description": "d",
                "strict": True,
            }
        },
    ),
    *refused("text", None, "x", []),
    *refused("text", {}, {"format": None}, {"format": "text"}, param="text.format"),
    *refused("text", {"format": {"type": "text"}, "verbosity": "low"}, param="text.verbosity"),
    *refused(
        "text",
        *({"format": {"type": kind}} for kind in ("json_object", "grammar", "", None, 5)),
        {"format": {}},
        param="text.format.type",
    ),
    Case(
        "json_schema without name", text_format(type="json_schema", schema={}), "text.format.name"
    ),
    Case(
        "json_schema with name null", text_format(type="json_schema", name=None), "text.format.name"
    ),
    Case(
        "a schema that is no object",
        text_format(type="json_schema", name="n", schema="x"),
        "text.format.schema",
    ),
    Case(
        "a schema of null",
        text_format(type="json_schema", name="n", schema=None),
        "text.format.schema",
    ),
    Case(
        "a description that is no text",
        text_format(type="json_schema", name="n", description=5),
        "text.format.description",
    ),
    Case(
        "strict that is no boolean",
        text_format(type="json_schema", name="n", strict="yes"),
        "text.format.strict",
    ),
    Case("a field no format has", text_format(type="text", name="n"), "text.format.name"),
    # reasoning
    *taken(
        "reasoning",
        {},
        *({"effort": e} for e in ("none", "minimal", "low", "medium", "high", "xhigh")),
    ),
    *taken("reasoning", *({"generate_summary": s} for s in ("auto", "concise", "detailed"))),
    *taken("reasoning", {"effort": "low", "summary": "auto"}),
    *refused("reasoning", None, "low", []),
    *refused(
        "reasoning",
        {"effort": "max"},
        {"effort": None},
        {"effort": 5},
        {"effort": "HIGH"},
        param="reasoning.effort",
    ),
    *refused(
        "reasoning",
        {"generate_summary": "long"},
        {"generate_summary": None},
        param="reasoning.generate_summary",
    ),
    # tools
    *taken("tools", [], [LOOK], [NOTE], [LOOK, NOTE]),
    *taken(
        "tools",
        [
            {
                **LOOK,
                "description": "d",
                "parameters": {"type": "object", "properties": {}},
                "strict": True,
            }
        ],
        [{**LOOK, "description": None, "parameters": None, "strict": None}],
        [{**NOTE, "description": "d", "format": {"type": "text"}}],
    ),
    *refused("tools", None, {}, "look"),
    *refused("tools", ["look"], [None], param="tools.0"),
    *(
        Case(f"the tool {kind}", {"tools": [{"type": kind, "name": "x"}]}, "tools.0.type")
        for kind in SERVER_TOOLS
    ),
    *(
        Case(f"a tool of type {kind!r}", {"tools": [{"type": kind, "name": "x"}]}, "tools.0.type")
        for kind in ("", "tool", "Function", None, 5, {})
    ),
    Case(
        "a server's tool after another", {"tools": [LOOK, {"type": "web_search"}]}, "tools.1.type"
    ),
    Case("a tool without type", {"tools": [{"name": "look"}]}, "tools.0.type"),
    *(
        Case(
            f"a tool named {name!r}",
            {"tools": [{"type": "function", "name": name}]},
            "tools.0.name",
        )
        for name in (None, "", 5)
    ),
    Case("a function without name", {"tools": [{"type": "function"}]}, "tools.0.name"),
    Case("a custom tool without name", {"tools": [{"type": "custom"}]}, "tools.0.name"),
    Case(
        "a tool as chat has it",
        {"tools": [{"type": "function", "function": {"name": "look"}}]},
        "tools.0.name",
    ),
    Case(
        "parameters that are no object",
        {"tools": [{**LOOK, "parameters": []}]},
        "tools.0.parameters",
    ),
    Case(
        "a tool's description that is no text",
        {"tools": [{**LOOK, "description": 5}]},
        "tools.0.description",
    ),
    Case(
        "a tool's strict that is no boolean",
        {"tools": [{**LOOK, "strict": "yes"}]},
        "tools.0.strict",
    ),
    # tool_choice
    *taken("tool_choice", "none", "auto"),
    *(
        Case(f"tool_choice {choice}", {"tools": [LOOK, NOTE], "tool_choice": choice})
        for choice in (
            "required",
            {"type": "function", "name": "look"},
            {"type": "custom", "name": "note"},
        )
    ),
    *(
        Case(f"tool_choice {choice!r}", {"tools": [LOOK], "tool_choice": choice}, "tool_choice")
        for choice in (
            None,
            "any",
            "",
            5,
            [],
            {"type": "function", "name": "other"},
            {"type": "custom", "name": "look"},
        )
    ),
    *(
        Case(
            f"tool_choice of type {kind!r}",
            {"tools": [LOOK], "tool_choice": {"type": kind}},
            "tool_choice.type",
        )
        for kind in ("web_search_preview", "allowed_tools", "mcp", "", None)
    ),
    Case(
        "tool_choice without name",
        {"tools": [LOOK], "tool_choice": {"type": "function"}},
        "tool_choice.name",
    ),
    Case(
        "a choice among no tools",
        {"tool_choice": {"type": "function", "name": "look"}},
        "tool_choice",
    ),
    # flags and words
    *taken("background", True, False),
    *refused("background", None, "true", 1),
    *taken("store", True),
    *refused("store", False, None, "true", 1),
    *taken("stream", False),
    *refused("stream", True, None, 0),
    *taken("truncation", "disabled"),
    *refused("truncation", "auto", "", None, 5),
    *taken("service_tier", "auto"),
    *refused("service_tier", "default", "flex", "priority", None),
    # include
    *taken("include", [], ["message.output_text.logprobs"]),
    *refused("include", None, "message.output_text.logprobs", {}),
    *refused("include", [5], [None], *([each] for each in BARRED_INCLUDES), param="include.0"),
    *refused("include", ["message.output_text.logprobs", BARRED_INCLUDES[0]], param="include.1"),
    # metadata
    *taken("metadata", {}, {"team": "a", "": "b"}, {"completion_window": "standard"}),
    *taken(
        "metadata",
        *({"completion_webhook": url} for url in ("", "no URL", "ftp://a.example", "http://")),
    ),
    *taken("metadata", {"webhook_token": "secret"}),
    *refused("metadata", None, [], "x"),
    *(
        Case(f"metadata of {value!r}", {"metadata": {"team": value}}, "metadata.team")
        for value in (5, None, True, ["a"], {})
    ),
    *(
        Case(f"{name} 5", {"metadata": {name: 5}}, f"metadata.{name}")
        for name in ("completion_window", "completion_webhook", "webhook_token")
    ),
    *(
        Case(
            f"completion_window {word!r}",
            {"metadata": {"completion_window": word}},
            "metadata.completion_window",
        )
        for word in ("24h", "", "Standard", "now")
    ),
    Case("asap", {"metadata": {"completion_window": "asap"}}, anywhere=False),
    Case("flex in the background", {"metadata": {"completion_window": "flex"}, "background": True}),
    *(
        Case(
            f"flex with background {flag}",
            {"metadata": {"completion_window": "flex"}, "background": flag},
            "metadata.completion_window",
            anywhere=False,
        )
        for flag in (ABSENT, False)
    ),
    # what Responses refuse, also where it is null
    *(Case(name, {name: value}, name) for name, value in ELSEWHERE.items()),
    *(Case(f"{name} null", {name: None}, name) for name in ELSEWHERE),
)
