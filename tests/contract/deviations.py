"""Where the contract goes beyond Valar's published description, or says more than it can.

An amendment changes the description before anything is generated from it. A refusal is a 400 to
data that the description allows, for a reason that no description can express. Each has its
witness, the last of whose calls contradicts the description as published: a deviation that no
longer occurs fails its test, and is to be taken out here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.contract import chat as chats
from tests.contract import responses

Call = tuple[str, str, object]
"""Method, path under the base URL, and body."""

MODEL = "openai/gpt-oss-120b"
IMAGE_MODEL = "moonshotai/Kimi-K2.6"
MODELS = (
    "deepseek-ai/DeepSeek-V4-Pro",
    "deepseek-ai/DeepSeek-V4-Flash",
    IMAGE_MODEL,
    "zai-org/GLM-5.1-FP8",
    MODEL,
    "Qwen/Qwen3.5-397B-A17B",
    "google/gemma-4-31B-it",
    "MiniMaxAI/MiniMax-M2.7",
)
SCHEMAS = "/components/schemas"
INPUT_MESSAGE = f"{SCHEMAS}/ResponseInputMessage"


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """What deviates, why that is right, and the calls that show it."""

    what: str
    reason: str
    witness: tuple[Call, ...]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Copy:
    """In place of a value: what stands at a pointer by then."""

    pointer: str


@dataclass(frozen=True, kw_only=True)
class Amendment(Deviation):
    """Values to put into the description, by JSON pointer; `-` adds to an array."""

    changes: tuple[tuple[str, object], ...]


@dataclass(frozen=True, kw_only=True)
class Refusal(Deviation):
    """Refusals of allowed data: by operation and, in the answer, by `param` (a pattern)."""

    operations: tuple[str, ...]
    param: str


def response(**fields: object) -> Call:
    return ("POST", "/responses", {"model": MODEL, "input": "Is it good?", **fields})


def chat(**fields: object) -> Call:
    messages = [{"role": "user", "content": "Is it good?"}]
    return ("POST", "/chat/completions", {"model": MODEL, "messages": messages, **fields})


def message(**fields: object) -> Call:
    messages = [{"role": "user", "content": "Is it good?"}]
    body = {"model": MODEL, "max_tokens": 100, "messages": messages, **fields}
    return ("POST", "/messages", body)


def batch(*params: object, **fields: object) -> Call:
    requests = [{"custom_id": f"r-{n}", "params": each} for n, each in enumerate(params)]
    return ("POST", "/batches", {"endpoint": "/v1/responses", "requests": requests, **fields})


def picture(url: str) -> list[dict[str, object]]:
    return [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]


def twice(call: Call) -> Call:
    """Give the items of a batch one custom_id."""
    method, path, body = call
    return (
        method,
        path,
        {**body, "requests": [{**each, "custom_id": "a"} for each in body["requests"]]},
    )


PARAMS = {"model": MODEL, "input": "Is it good?"}
CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
CALL_OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "seen"}
ANY_OF_TEXT = {
    "oneOf": [
        {"type": "string"},
        {
            "type": "array",
            "minItems": 1,
            "items": {
                "oneOf": [
                    {"$ref": f"#{SCHEMAS}/ResponseInputTextPart"},
                    {"$ref": f"#{SCHEMAS}/ResponseInputImagePart"},
                    {"$ref": f"#{SCHEMAS}/ResponseOutputTextPart"},
                ]
            },
        },
    ]
}


def tool_item(kind: str, **fields: object) -> dict[str, object]:
    """Describe an item of a tool loop; other fields, such as id and status, may be there."""
    return {
        "type": "object",
        "required": ["type", *fields],
        "properties": {"type": {"type": "string", "enum": [kind]}, **fields},
    }


def metadata(*windows: str) -> dict[str, object]:
    """Describe metadata that may ask for these windows only."""
    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "completion_window": {**text, "enum": list(windows)},
            "completion_webhook": text,
            "webhook_token": text,
        },
        "additionalProperties": text,
    }


NAME = {"type": "string", "minLength": 1}
ITEMS = {
    "FunctionCall": tool_item(
        "function_call", call_id=NAME, name=NAME, arguments={"type": "string"}
    ),
    "FunctionCallOutput": tool_item("function_call_output", call_id=NAME, output=ANY_OF_TEXT),
    "CustomToolCall": tool_item(
        "custom_tool_call", call_id=NAME, name=NAME, input={"type": "string"}
    ),
    "CustomToolCallOutput": tool_item("custom_tool_call_output", call_id=NAME, output=ANY_OF_TEXT),
    "Reasoning": tool_item("reasoning"),
}

AMENDMENTS = (
    Amendment(
        what="the models",
        reason="Any text is described; a model that is not served is refused.",
        changes=tuple(
            (f"{SCHEMAS}/{name}/properties/model", {"type": "string", "enum": list(MODELS)})
            for name in (
                "CreateResponseRequest",
                "CreateChatCompletionRequest",
                "CreateMessageRequest",
            )
        ),
        witness=(response(model="nobody/nothing"),),
    ),
    Amendment(
        what="the role developer in Responses",
        reason="The contract takes it wherever Chat Completions does.",
        changes=((f"{INPUT_MESSAGE}/properties/role/enum/-", "developer"),),
        witness=(response(input=[{"role": "developer", "content": "Be brief."}]),),
    ),
    Amendment(
        what="messages of an earlier answer as input",
        reason="In a tool loop they are sent back as they came: with their type, id, status and "
        "phase, and with output_text parts.",
        changes=(
            (f"{INPUT_MESSAGE}/properties/type", {"type": "string", "enum": ["message"]}),
            (f"{INPUT_MESSAGE}/properties/id", {}),
            (f"{INPUT_MESSAGE}/properties/status", {}),
            (f"{INPUT_MESSAGE}/properties/phase", {}),
            (
                f"{SCHEMAS}/ResponseOutputTextPart",
                {
                    "type": "object",
                    "required": ["type", "text"],
                    "properties": {
                        "type": {"type": "string", "enum": ["output_text"]},
                        "text": {"type": "string"},
                        "annotations": {},
                        "logprobs": {},
                    },
                    "additionalProperties": False,
                },
            ),
            (
                f"{INPUT_MESSAGE}/properties/content/oneOf/1/items/oneOf/-",
                {"$ref": f"#{SCHEMAS}/ResponseOutputTextPart"},
            ),
        ),
        witness=(
            response(
                input=[
                    {
                        "type": "message",
                        "id": "msg_0",
                        "status": "completed",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Yes.", "annotations": []}],
                    },
                    {"role": "user", "content": "Really?"},
                ]
            ),
        ),
    ),
    Amendment(
        what="calls of tools, their outputs and reasoning as input",
        reason="A tool loop needs them: the contract takes them as input items.",
        changes=(
            *((f"{SCHEMAS}/{name}", item) for name, item in ITEMS.items()),
            (
                f"{SCHEMAS}/ResponseInputItem",
                {
                    "oneOf": [
                        {"$ref": f"#{SCHEMAS}/{name}"} for name in ("ResponseInputMessage", *ITEMS)
                    ]
                },
            ),
            (f"{SCHEMAS}/ResponseInput/oneOf/1/items/$ref", f"#{SCHEMAS}/ResponseInputItem"),
            (
                f"{SCHEMAS}/ResponseInputObject/properties/messages/items/$ref",
                f"#{SCHEMAS}/ResponseInputItem",
            ),
        ),
        witness=(response(input=[{"role": "user", "content": "Look."}, CALL, CALL_OUTPUT]),),
    ),
    Amendment(
        what="the windows of Chat Completions",
        reason="flex needs background: true, which only Responses have.",
        changes=(
            (f"{SCHEMAS}/ChatMetadata", metadata("asap", "standard")),
            (
                f"{SCHEMAS}/CreateChatCompletionRequest/properties/metadata/$ref",
                f"#{SCHEMAS}/ChatMetadata",
            ),
        ),
        witness=(chat(metadata={"completion_window": "flex"}),),
    ),
    Amendment(
        what="the windows of Messages",
        reason="flex needs background: true, which only Responses have.",
        changes=(
            (f"{SCHEMAS}/MessageMetadata", metadata("asap", "standard")),
            (
                f"{SCHEMAS}/CreateMessageRequest/properties/metadata/$ref",
                f"#{SCHEMAS}/MessageMetadata",
            ),
        ),
        witness=(message(metadata={"completion_window": "flex"}),),
    ),
    Amendment(
        what="the params of a batch's items",
        reason="They are described as any object, and are what a Responses body is, without asap.",
        changes=(
            (f"{SCHEMAS}/BatchParams", Copy(f"{SCHEMAS}/CreateResponseRequest")),
            (f"{SCHEMAS}/BatchMetadata", metadata("standard", "flex")),
            (f"{SCHEMAS}/BatchParams/properties/metadata/$ref", f"#{SCHEMAS}/BatchMetadata"),
            (
                f"{SCHEMAS}/BatchRequestItem/properties/params",
                {"$ref": f"#{SCHEMAS}/BatchParams"},
            ),
        ),
        witness=(batch({"model": MODEL, "input": ""}),),
    ),
    Amendment(
        what="json_object in Chat Completions",
        reason="The contract takes the three response formats there.",
        changes=(
            (
                f"{SCHEMAS}/CreateChatCompletionRequest/properties/response_format/oneOf/-",
                {
                    "type": "object",
                    "required": ["type"],
                    "properties": {"type": {"type": "string", "enum": ["json_object"]}},
                    "additionalProperties": False,
                },
            ),
        ),
        witness=(chat(response_format={"type": "json_object"}),),
    ),
    Amendment(
        what="any text as completion_webhook",
        reason="An unusable webhook is ignored, not refused.",
        changes=((f"{SCHEMAS}/RequestMetadata/properties/completion_webhook", {"type": "string"}),),
        witness=(response(metadata={"completion_webhook": "no URL"}),),
    ),
    Amendment(
        what="the status words queued and in_progress",
        reason="They are the guides'; the reference has pending and running in their place.",
        changes=(
            (f"{SCHEMAS}/ResponseObject/properties/status/enum/-", "queued"),
            (f"{SCHEMAS}/ResponseObject/properties/status/enum/-", "in_progress"),
        ),
        witness=(response(background=True),),
    ),
    Amendment(
        what="the events of a stream",
        reason="The schema is that of a chunk, which is the data of an event; and the data of the "
        "last event is [DONE]. Each chunk is checked by itself.",
        changes=(
            (
                "/paths/~1chat~1completions/post/responses/200/content/text~1event-stream/schema",
                {},
            ),
        ),
        witness=(chat(stream=True),),
    ),
    Amendment(
        what="413",
        reason="The contract has it for bodies over the limit.",
        changes=(
            (
                "/paths/~1batches/post/responses/413",
                {
                    "description": "The body is too large.",
                    "content": {
                        "application/json": {"schema": {"$ref": f"#{SCHEMAS}/ErrorResponse"}}
                    },
                },
            ),
        ),
        witness=(("POST", "/batches", b" " * 256_000_000),),
    ),
)

SINGLES = ("POST /responses", "POST /chat/completions", "POST /messages")
POSTS = (*SINGLES, "POST /batches")

ITEM = r"(requests\.\d+\.params\.)?"
RULED = (r"tools(\..*)?", r"tool_choice(\..*)?", r"include(\..*)?", "service_tier")
"""Fields that are taken, each with rules of its own."""

REFUSALS = (
    Refusal(
        what="fields of Responses that are not described",
        reason="Any field beside the described ones is allowed; the contract refuses some, and has "
        "rules for others.",
        operations=("POST /responses", "POST /batches"),
        param=f"{ITEM}({'|'.join((*responses.ELSEWHERE, *RULED))})",
        witness=(response(instructions="Be brief."),),
    ),
    Refusal(
        what="fields of Chat Completions that are not described",
        reason="Any field beside the described ones is allowed; the contract refuses some, and has "
        "rules for others.",
        operations=("POST /chat/completions",),
        param="|".join((*chats.ELSEWHERE, *RULED)),
        witness=(chat(seed=1),),
    ),
    Refusal(
        what="an idempotency key with another body",
        reason="What was sent before is not the description's to say; an empty key is no key.",
        operations=POSTS,
        param="Idempotency-Key|anthropic-idempotency-key",
        headers={"Idempotency-Key": "intent"},
        witness=(response(input="A?"), response(input="B?")),
    ),
    Refusal(
        what="whole numbers with a decimal point",
        reason="JSON Schema takes 100.0 for an integer, and many a server does not.",
        operations=POSTS,
        param=r"(requests\.\d+\.params\.)?(max_output_tokens|max_completion_tokens|max_tokens|n)",
        witness=(response(max_output_tokens=100.0),),
    ),
    Refusal(
        what="flex in the foreground",
        reason="It needs background: true.",
        operations=("POST /responses",),
        param=r"metadata\.completion_window",
        witness=(response(metadata={"completion_window": "flex"}),),
    ),
    Refusal(
        what="images that are none",
        reason="An image is told from its bytes, and its URL is http, https or data.",
        operations=POSTS,
        param=r".*\.(image_url|image_url\.url|source\.url|source\.data|source\.media_type)",
        witness=(response(model=IMAGE_MODEL, input=picture("ftp://example.com/a.png")),),
    ),
    Refusal(
        what="images for a model that takes none",
        reason="Some models take images and some do not.",
        operations=POSTS,
        param=r"(requests\.\d+\.params\.)?(input|input\.messages|messages)",
        witness=(response(input=picture("https://example.com/a.png")),),
    ),
    Refusal(
        what="a custom_id that occurs twice",
        reason="The description says so in words.",
        operations=("POST /batches",),
        param=r"requests\.\d+\.custom_id",
        witness=(twice(batch(PARAMS, PARAMS)),),
    ),
    Refusal(
        what="pages after or before unknown batches",
        reason="Which batches there are is not the description's to say.",
        operations=("GET /batches",),
        param="after_id|before_id",
        witness=(("GET", "/batches?after_id=batch_0", None),),
    ),
)
