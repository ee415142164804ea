"""What several surfaces have in common: metadata, sampling, reasoning, tools."""

from __future__ import annotations

from dataclasses import dataclass

from valar_batch.core.rules.limits import WINDOW_FIELD
from valar_batch.core.shapes import (
    Anything,
    Array,
    Field,
    Flag,
    Null,
    Number,
    Object,
    Refused,
    Text,
    choice,
    either,
)


@dataclass(frozen=True, slots=True)
class Surface:
    """One of the ways to ask Valar: where it is, and what its body may be."""

    name: str
    path: str
    body: Object


ANYTHING = Anything()
ANY_OBJECT = Object((), rest=ANYTHING)
NULL = Null()
TEXT = Text()
NAME = Text(shortest=1)
TYPE = Field("type", ANYTHING)
"""The kind of an object that is told from others by it: whoever tells them has looked at it."""

MODEL = Field("model", NAME, required=True, hint="name a model")
TEMPERATURE = Field("temperature", either(Number(0, 2), NULL))
TOP_P = Field("top_p", either(Number(0, 1), NULL))
USER = Field("user", Text(longest=256))
STORE = Field("store", Flag(only=True), hint="responses are always stored: drop it", fixable=True)
SERVICE_TIER = Field("service_tier", choice("auto"), hint=f"use {WINDOW_FIELD}")
METADATA = Field(
    "metadata",
    Object(
        (
            Field("completion_window", TEXT),
            Field("completion_webhook", TEXT),
            Field("webhook_token", TEXT),
        ),
        rest=TEXT,
    ),
)
"""Texts by name. The windows are checked by the place of use: see `core.validate`."""

EFFORT = choice("none", "minimal", "low", "medium", "high", "xhigh")
DETAIL = Field("detail", choice("auto", "low", "high"))
TEXT_AND_IMAGES = "text, and images on multimodal models, are taken"

ROLE = Field(
    "role", choice("system", "user", "assistant", "tool", "function", "developer"), required=True
)
CALLS = (
    Field("name", TEXT),
    Field("tool_calls", Array(ANY_OBJECT)),
    Field("tool_call_id", TEXT),
    Field("function_call", ANY_OBJECT),
)
"""What a message of chat may have beside its content; Responses takes it, too."""

TOOL_NAME = Field("name", NAME, required=True, hint="a tool needs its name")
FUNCTION = Object(
    (
        TOOL_NAME,
        Field("description", either(TEXT, NULL)),
        Field("parameters", either(ANY_OBJECT, NULL)),
        Field("strict", either(Flag(), NULL)),
    ),
    rest=ANYTHING,
)
CUSTOM = Object((TOOL_NAME, Field("description", either(TEXT, NULL))), rest=ANYTHING)
NAMED = Object((TOOL_NAME,), rest=ANYTHING)
TOOL_CHOICES = choice("none", "auto", "required")
ONLY_TOOLS = "only function and custom tools are taken"
SERVER_TOOLS = tuple(
    Refused(name, ONLY_TOOLS)
    for name in (
        "web_search",
        "file_search",
        "code_interpreter",
        "computer_use",
        "mcp",
        "image_generation",
        "shell",
        "apply_patch",
    )
)
"""Tools that would run on Valar's side. Each stands for its dated variants, too."""

JSON_SCHEMA = (
    Field("name", TEXT, required=True, hint="give the schema a name"),
    Field("description", TEXT),
    Field("schema", ANY_OBJECT),
    Field("strict", Flag()),
)
