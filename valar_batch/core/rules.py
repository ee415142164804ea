"""What Valar allows, as data: limits, status words, windows, fields.

Sources: Valar's API reference (Batches, Responses, Completion windows). Validation, the local
Valar, the tests and the docs all read these tables, so that a rule has one place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BATCH_ENDPOINT = "/v1/responses"
MAX_BATCH_REQUESTS = 100_000
MAX_BATCH_BYTES = 256_000_000
MAX_LIST_LIMIT = 200
DEFAULT_LIST_LIMIT = 25
MAX_IDEMPOTENCY_KEY_LENGTH = 255
CUSTOM_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
LABEL = re.compile(r"[a-zA-Z0-9_-]{1,128}")

WINDOW_FIELD = "metadata.completion_window"
BATCH_WINDOWS: Mapping[str, str] = MappingProxyType(
    {
        "standard": "",
        "flex": "flex in a batch is newer than the batch guide: Valar may refuse it",
    }
)
"""The windows that a batch item may ask for, each with a warning or an empty string."""
ALL_WINDOWS = ("asap", "standard", "flex")


class Status(StrEnum):
    """What became of a row: the words of the output's `status` column."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INVALID = "invalid"
    MISSING = "missing"
    PENDING = "pending"


STATUS_WORDS: Mapping[str, Status] = MappingProxyType(
    {
        "completed": Status.COMPLETED,
        "failed": Status.FAILED,
        "cancelled": Status.CANCELLED,
        "canceled": Status.CANCELLED,
        "pending": Status.PENDING,
        "running": Status.PENDING,
        "queued": Status.PENDING,
        "in_progress": Status.PENDING,
    }
)
"""Every status word that Valar's reference and guides use, folded to lower case."""

TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


def remote_status(word: str) -> Status | None:
    """What a status word of Valar means, in either vocabulary and any case; None if unknown.

    An unknown word is never terminal.
    """
    return STATUS_WORDS.get(word.casefold())


@dataclass(frozen=True, slots=True)
class Field:
    """What one field of a request body may be. `path` is dotted.

    `types` are JSON's type names; `minimum` and `maximum` bound numbers, `length` bounds strings
    (in characters), `choices` lists the allowed values.
    """

    path: str
    types: tuple[str, ...]
    minimum: float | None = None
    maximum: float | None = None
    length: int | None = None
    choices: tuple[object, ...] | None = None
    hint: str = ""


RESPONSE_FIELDS: tuple[Field, ...] = (
    Field("model", ("string",)),
    Field("max_output_tokens", ("integer", "null"), minimum=1),
    Field("temperature", ("number", "null"), minimum=0, maximum=2),
    Field("top_p", ("number", "null"), minimum=0, maximum=1),
    Field("user", ("string", "null"), length=256),
    Field("prompt_cache_key", ("string", "null")),
    Field("text", ("object",)),
    Field("text.format", ("object",)),
    Field(
        "text.format.type",
        ("string",),
        choices=("text", "json_schema"),
        hint="use json_schema with a name and a schema",
    ),
    Field("reasoning", ("object", "null")),
    Field(
        "reasoning.effort",
        ("string", "null"),
        choices=("none", "minimal", "low", "medium", "high", "xhigh"),
    ),
    Field(
        "reasoning.generate_summary",
        ("string", "null"),
        choices=("auto", "concise", "detailed"),
    ),
    Field("tools", ("array",)),
    Field("tool_choice", ("string", "object")),
    Field("include", ("array",)),
    Field("background", ("boolean",)),
    Field("store", ("boolean",), choices=(True,), hint="responses are always stored: drop it"),
    Field(
        "stream",
        ("boolean",),
        choices=(False,),
        hint="one JSON object comes back: use background: true and poll, or a webhook",
    ),
    Field("truncation", ("string",), choices=("disabled",), hint="drop it"),
    Field("service_tier", ("string",), choices=("auto",), hint=f"use {WINDOW_FIELD}"),
    Field("metadata", ("object", "null")),
)

RESPONSE_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "instructions": "put a system message first in input",
        "previous_response_id": "resend the whole input",
        "conversation": "resend the whole input",
        "prompt": "stored prompts are not supported: render it yourself into input",
        "parallel_tool_calls": "drop it",
        "max_tokens": "use max_output_tokens",
        "max_completion_tokens": "use max_output_tokens",
        "messages": "use input",
        "response_format": "use text.format",
        "reasoning_effort": "use reasoning.effort",
    }
)
"""Fields that Valar refuses in a Responses body, each with what to do instead."""

LOGPROBS = "message.output_text.logprobs"
"""What `include` asks for where one logprob per output token is wanted."""

TOOL_TYPES = ("function", "custom")
"""The tools that a model may be given."""

MESSAGE_ROLES = ("system", "user", "assistant", "tool", "function", "developer")
CONTENT_PARTS = ("input_text", "input_image", "output_text")
IMAGE_DETAILS = ("auto", "low", "high")
MAX_IMAGES = 20
MAX_IMAGE_BYTES = 20_000_000
"""Bytes of one image as a file, so decoded from base64."""
IMAGE_TYPES: Mapping[str, str] = MappingProxyType(
    {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WebP", "image/gif": "GIF"}
)
"""The media types of the images that Valar takes, each with its name."""
INPUT_ITEMS = (
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "reasoning",
)
"""What an element of `input` may be; an element without `type` is a message."""
