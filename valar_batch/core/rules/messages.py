"""Messages: what `POST /v1/messages` may be.

Source: API reference, Messages.
"""

from __future__ import annotations

from valar_batch.core.rules.shared import (
    ANY_OBJECT,
    METADATA,
    MODEL,
    TEXT,
    TEXT_AND_IMAGES,
    TYPE,
    Surface,
)
from valar_batch.core.shapes import (
    Array,
    Field,
    Flag,
    Kinds,
    Number,
    Object,
    Refused,
    Text,
    WebUrl,
    choice,
    either,
)

SOURCE = Kinds(
    (
        (
            "base64",
            Object(
                (
                    TYPE,
                    Field("media_type", TEXT, required=True),
                    Field("data", Text(shortest=1), required=True),
                )
            ),
        ),
        ("url", Object((TYPE, Field("url", WebUrl(), required=True)))),
    )
)

BLOCKS = Kinds(
    (
        ("text", Object((TYPE, Field("text", TEXT, required=True)))),
        ("image", Object((TYPE, Field("source", SOURCE, required=True)))),
    ),
    refused=(
        Refused("document", TEXT_AND_IMAGES),
        Refused("tool_use", "use Responses for tool loops"),
        Refused("tool_result", "use Responses for tool loops"),
    ),
    hint=TEXT_AND_IMAGES,
)

MESSAGE = Object(
    (
        Field(
            "role", choice("user", "assistant"), required=True, hint="write it into a user message"
        ),
        Field("content", either(TEXT, Array(BLOCKS, shortest=1)), required=True),
    )
)

OUTPUT_FORMAT = Kinds(
    (
        (
            "json_schema",
            Object(
                (
                    TYPE,
                    Field("schema", ANY_OBJECT, required=True),
                    Field("name", TEXT),
                    Field("strict", Flag()),
                )
            ),
        ),
    )
)

MESSAGES = Surface(
    "Messages",
    "/v1/messages",
    Object(
        (
            MODEL,
            Field("max_tokens", Number(1, whole=True), required=True),
            Field("messages", Array(MESSAGE, shortest=1), required=True),
            Field("temperature", Number(0, 1)),
            Field("top_p", Number(0, 1)),
            Field("output_config", Object((Field("format", OUTPUT_FORMAT),))),
            METADATA,
            # Taken for the sake of Anthropic's clients, and ignored.
            Field("tools", Array(ANY_OBJECT)),
            Field("tool_choice", ANY_OBJECT),
            Field("stream", Flag(only=False), hint="one JSON object comes back"),
            Refused("system", "write it into the first user message, or use Responses"),
            Refused("thinking", "the models reason by themselves: drop it"),
            Refused("stop_sequences", "there is no such setting: drop it"),
            Refused("top_k", "use top_p"),
            Refused("service_tier", "use metadata.completion_window"),
            Refused("inference_geo", "there is no such setting: drop it"),
        )
    ),
)
