"""Chat Completions: what `POST /v1/chat/completions` may be.

Source: API reference, Chat Completions.
"""

from __future__ import annotations

from valar_batch.core.rules.shared import (
    ANYTHING,
    CALLS,
    CUSTOM,
    DETAIL,
    EFFORT,
    FUNCTION,
    JSON_SCHEMA,
    METADATA,
    MODEL,
    NAMED,
    NULL,
    ONLY_TOOLS,
    ROLE,
    SERVER_TOOLS,
    SERVICE_TIER,
    STORE,
    TEMPERATURE,
    TEXT,
    TEXT_AND_IMAGES,
    TOOL_CHOICES,
    TOP_P,
    TYPE,
    USER,
    Surface,
)
from valar_batch.core.shapes import (
    Array,
    Field,
    Flag,
    ImageUrl,
    Kinds,
    Number,
    Object,
    Refused,
    choice,
    either,
)

PARTS = Kinds(
    (
        ("text", Object((TYPE, Field("text", TEXT, required=True)))),
        (
            "image_url",
            Object(
                (
                    TYPE,
                    Field(
                        "image_url",
                        Object((Field("url", ImageUrl(), required=True), DETAIL)),
                        required=True,
                    ),
                )
            ),
        ),
    ),
    refused=(Refused("input_audio", TEXT_AND_IMAGES), Refused("file", TEXT_AND_IMAGES)),
    hint=TEXT_AND_IMAGES,
)

MESSAGE = Object(
    (
        ROLE,
        Field("content", either(TEXT, NULL, Array(PARTS))),
        *CALLS,
    )
)

RESPONSE_FORMAT = Kinds(
    (
        ("text", Object((TYPE,))),
        ("json_object", Object((TYPE,))),
        (
            "json_schema",
            Object((TYPE, Field("json_schema", Object(JSON_SCHEMA), required=True))),
        ),
    )
)

TOOLS = Kinds(
    (
        (
            "function",
            Object((TYPE, Field("function", FUNCTION, required=True)), rest=ANYTHING),
        ),
        ("custom", Object((TYPE, Field("custom", CUSTOM, required=True)), rest=ANYTHING)),
    ),
    refused=SERVER_TOOLS,
    hint=ONLY_TOOLS,
)

TOOL_CHOICE = either(
    TOOL_CHOICES,
    Kinds(
        (
            ("function", Object((TYPE, Field("function", NAMED, required=True)), rest=ANYTHING)),
            ("custom", Object((TYPE, Field("custom", NAMED, required=True)), rest=ANYTHING)),
        ),
        hint=ONLY_TOOLS,
    ),
)

CHAT = Surface(
    "Chat Completions",
    "/v1/chat/completions",
    Object(
        (
            MODEL,
            Field("messages", Array(MESSAGE, shortest=1), required=True),
            Field("max_completion_tokens", either(Number(1, whole=True), NULL)),
            TEMPERATURE,
            TOP_P,
            USER,
            Field("response_format", RESPONSE_FORMAT),
            Field("reasoning_effort", either(EFFORT, NULL)),
            Field("tools", Array(TOOLS)),
            Field("tool_choice", TOOL_CHOICE),
            Field("parallel_tool_calls", ANYTHING),
            Field("stream", Flag()),
            Field("stream_options", Object((Field("include_usage", Flag()),))),
            Field("n", Number(1, 1, whole=True), hint="one choice comes back"),
            Field("modalities", Array(choice("text"), shortest=1, longest=1)),
            STORE,
            SERVICE_TIER,
            METADATA,
            Refused("max_tokens", "use max_completion_tokens"),
            Refused("functions", "use tools"),
            Refused("function_call", "use tool_choice"),
            Refused("logprobs", "use Responses, with include"),
            Refused("top_logprobs", "use Responses, with include"),
            *(
                Refused(name, "there is no such setting: drop it")
                for name in (
                    "frequency_penalty",
                    "presence_penalty",
                    "logit_bias",
                    "stop",
                    "seed",
                    "verbosity",
                    "audio",
                    "prediction",
                    "web_search_options",
                )
            ),
        ),
        rest=ANYTHING,
    ),
)
