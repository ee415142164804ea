"""Responses: what `POST /v1/responses` and the params of a batch item may be.

Source: API reference, Responses.
"""

from __future__ import annotations

from valar_batch.core.rules.shared import (
    ANY_OBJECT,
    ANYTHING,
    CALLS,
    CUSTOM,
    DETAIL,
    EFFORT,
    FUNCTION,
    JSON_SCHEMA,
    METADATA,
    MODEL,
    NAME,
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
    Text,
    choice,
    either,
)

PARTS = Kinds(
    (
        ("input_text", Object((TYPE, Field("text", TEXT, required=True)))),
        ("input_image", Object((TYPE, Field("image_url", ImageUrl(), required=True), DETAIL))),
        (
            "output_text",
            Object(
                (
                    TYPE,
                    Field("text", TEXT, required=True),
                    Field("annotations", ANYTHING),
                    Field("logprobs", ANYTHING),
                )
            ),
        ),
    ),
    refused=(
        Refused("text", "use input_text", fixable=True),
        Refused("image_url", "use input_image", fixable=True),
        Refused("input_audio", TEXT_AND_IMAGES),
        Refused("input_file", TEXT_AND_IMAGES),
        Refused("item_reference", "resend the item itself"),
    ),
    hint=TEXT_AND_IMAGES,
)

CONTENT = either(TEXT, Array(PARTS, shortest=1))

MESSAGE = Object(
    (
        ROLE,
        Field("content", CONTENT, required=True),
        TYPE,
        *CALLS,
        # What a message of an earlier answer has beside these.
        Field("id", ANYTHING),
        Field("status", ANYTHING),
        Field("phase", ANYTHING),
    )
)

CALL_ID = Field("call_id", NAME, required=True, hint="name the call")
CALLED = Field("name", NAME, required=True, hint="name the tool")
OUTPUT = Object((CALL_ID, Field("output", CONTENT, required=True)), rest=ANYTHING)

ITEMS = Kinds(
    (
        ("message", MESSAGE),
        (
            "function_call",
            Object((CALL_ID, CALLED, Field("arguments", TEXT, required=True)), rest=ANYTHING),
        ),
        ("function_call_output", OUTPUT),
        (
            "custom_tool_call",
            Object((CALL_ID, CALLED, Field("input", TEXT, required=True)), rest=ANYTHING),
        ),
        ("custom_tool_call_output", OUTPUT),
        ("reasoning", ANY_OBJECT),
    ),
    refused=(
        Refused("item_reference", "resend the item itself"),
        Refused("input_audio", TEXT_AND_IMAGES),
        Refused("input_file", TEXT_AND_IMAGES),
    ),
    default="message",
    hint="messages, reasoning, and the calls and outputs of tools are taken",
)
"""What an element of `input` may be; an element without `type` is a message."""

INPUT_MESSAGES = Array(ITEMS, shortest=1)
INPUT = either(
    Text(shortest=1),
    INPUT_MESSAGES,
    Object((Field("messages", INPUT_MESSAGES, required=True),)),
)

TEXT_FORMAT = Kinds(
    (("text", Object((TYPE,))), ("json_schema", Object((TYPE, *JSON_SCHEMA)))),
    refused=(Refused("json_object", "use json_schema with a name and a schema"),),
)

TOOLS = Kinds((("function", FUNCTION), ("custom", CUSTOM)), refused=SERVER_TOOLS, hint=ONLY_TOOLS)

RESPONSES = Surface(
    "Responses",
    "/v1/responses",
    Object(
        (
            MODEL,
            Field("input", INPUT, required=True),
            Field("max_output_tokens", either(Number(1, whole=True), NULL)),
            TEMPERATURE,
            TOP_P,
            USER,
            Field("prompt_cache_key", TEXT),
            Field("text", Object((Field("format", TEXT_FORMAT, required=True),))),
            Field(
                "reasoning",
                Object(
                    (
                        Field("effort", EFFORT),
                        Field("generate_summary", choice("auto", "concise", "detailed")),
                    ),
                    rest=ANYTHING,
                ),
            ),
            Field("tools", Array(TOOLS)),
            Field(
                "tool_choice",
                either(
                    TOOL_CHOICES,
                    Kinds((("function", NAMED), ("custom", NAMED)), hint=ONLY_TOOLS),
                ),
            ),
            Field(
                "include",
                Array(
                    Text(
                        barred=(
                            "reasoning.encrypted_content",
                            "web_search_call.action.sources",
                            "code_interpreter_call.outputs",
                            "computer_call_output.output.image_url",
                            "file_search_call.results",
                        )
                    )
                ),
            ),
            Field("background", Flag()),
            STORE,
            Field(
                "stream",
                Flag(only=False),
                hint="one JSON object comes back: use background: true and poll, or a webhook",
                fixable=True,
            ),
            Field("truncation", choice("disabled"), hint="drop it"),
            SERVICE_TIER,
            METADATA,
            Refused("instructions", "put a system message first in input", fixable=True),
            Refused("previous_response_id", "resend the whole input"),
            Refused("conversation", "resend the whole input"),
            Refused("prompt", "stored prompts are not taken: render it yourself into input"),
            Refused("parallel_tool_calls", "drop it"),
            Refused("messages", "use input", fixable=True),
            Refused("max_tokens", "use max_output_tokens", fixable=True),
            Refused("max_completion_tokens", "use max_output_tokens", fixable=True),
            Refused("response_format", "use text.format", fixable=True),
            Refused("reasoning_effort", "use reasoning.effort", fixable=True),
            Refused("functions", "use tools"),
            Refused("function_call", "use tool_choice"),
            Refused("logprobs", "use include with message.output_text.logprobs"),
            Refused("top_logprobs", "use include with message.output_text.logprobs"),
            Refused("stream_options", "one JSON object comes back: drop it"),
            *(
                Refused(name, "there is no such setting: drop it")
                for name in (
                    "n",
                    "stop",
                    "seed",
                    "frequency_penalty",
                    "presence_penalty",
                    "logit_bias",
                    "verbosity",
                    "audio",
                    "modalities",
                    "prediction",
                    "web_search_options",
                )
            ),
        ),
        rest=ANYTHING,
    ),
)
