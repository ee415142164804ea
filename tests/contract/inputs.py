"""The input of Responses: messages, their parts and images, and the items of tool loops."""
# ruff: noqa: FBT003 - true and false are values of fields

from __future__ import annotations

from tests.contract.case import ABSENT, FILES, IMAGE_MODEL, TEXT_MODEL, Case, image, refused, taken

LOOK = {"type": "function", "name": "look"}
NOTE = {"type": "custom", "name": "note"}
SAID = {"role": "user", "content": "Is it good?"}
CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "seen"}
CUSTOM_CALL = {"type": "custom_tool_call", "call_id": "c", "name": "note", "input": "x"}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "c", "output": "noted"}
ANSWERED = {
    "type": "message",
    "id": "msg_0",
    "status": "completed",
    "phase": "final",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Yes.", "annotations": [], "logprobs": []}],
}
REASONED = {"type": "reasoning", "id": "rs_0", "summary": [], "content": []}
TEXT_PART = {"type": "input_text", "text": "Is it good?"}


def messages(*items: object, **more: object) -> dict[str, object]:
    return {"input": list(items), **more}


def part(**fields: object) -> dict[str, object]:
    """Change the input to a message of one part, and the model to one that takes images."""
    return {"input": [{"role": "user", "content": [fields]}], "model": IMAGE_MODEL}


def picture(url: object, **more: object) -> dict[str, object]:
    return part(type="input_image", image_url=url, **more)


def pictures(count: int) -> dict[str, object]:
    one = {"type": "input_image", "image_url": "https://example.com/a.png"}
    half = count // 2
    return {
        "input": [
            {"role": "user", "content": [one] * half},
            {"role": "user", "content": [one] * (count - half)},
        ],
        "model": IMAGE_MODEL,
    }


PART = "input.0.content.0"
URL = f"{PART}.image_url"

INPUT: tuple[Case, ...] = (
    # input
    *taken("input", "x", [SAID], [SAID] * 300, {"messages": [SAID]}, [SAID, ANSWERED, SAID]),
    *refused("input", ABSENT, None, "", [], 5, True),
    *refused("input", {}, {"messages": []}, {"messages": "x"}, param="input.messages"),
    *refused("input", {"messages": [SAID], "note": "x"}, param="input.note"),
    *refused("input", ["x"], [5], [[SAID]], param="input.0"),
    *refused("input", {"messages": [SAID, "x"]}, param="input.messages.1"),
    # messages
    *(
        Case(f"role {role}", messages({"role": role, "content": "x"}))
        for role in ("system", "user", "assistant", "tool", "function", "developer")
    ),
    *(
        Case(f"role {role!r}", messages({"role": role, "content": "x"}), "input.0.role")
        for role in ("critic", "USER", "", None, 5)
    ),
    Case("no role", messages({"content": "x"}), "input.0.role"),
    Case("no content", messages({"role": "user"}), "input.0.content"),
    *(
        Case(
            f"content {content!r}",
            messages({"role": "user", "content": content}),
            "input.0.content",
        )
        for content in (None, [], {}, 5)
    ),
    Case("empty content", messages({"role": "user", "content": ""})),
    Case(
        "fields of messages",
        messages(
            {**SAID, "name": "a", "tool_calls": [{}], "tool_call_id": "c", "function_call": {}}
        ),
    ),
    Case("a field no message has", messages({**SAID, "weight": 1}), "input.0.weight"),
    Case("a name that is no text", messages({**SAID, "name": 5}), "input.0.name"),
    Case("tool_calls that are no list", messages({**SAID, "tool_calls": {}}), "input.0.tool_calls"),
    Case(
        "a tool call that is no object",
        messages({**SAID, "tool_calls": ["x"]}),
        "input.0.tool_calls.0",
    ),
    Case(
        "the second message is wrong",
        messages(SAID, {"role": "critic", "content": "x"}),
        "input.1.role",
    ),
    Case(
        "wrong inside of messages",
        {"input": {"messages": [{"role": "user"}]}},
        "input.messages.0.content",
    ),
    # parts
    Case("a text part", part(**TEXT_PART)),
    Case("two parts", messages({"role": "user", "content": [TEXT_PART, TEXT_PART]})),
    Case("a part of an answer", part(type="output_text", text="Yes.")),
    Case("a part that is no object", messages({"role": "user", "content": ["x"]}), PART),
    Case("a part without type", part(text="x"), f"{PART}.type"),
    Case("a text part without text", part(type="input_text"), f"{PART}.text"),
    Case("a text part of null", part(type="input_text", text=None), f"{PART}.text"),
    Case(
        "a field no part has",
        part(type="input_text", text="x", cache_control={}),
        f"{PART}.cache_control",
    ),
    *(
        Case(
            f"a part of type {kind!r}",
            part(type=kind, text="x", image_url="x", id="x"),
            f"{PART}.type",
        )
        for kind in (
            "input_audio",
            "input_file",
            "item_reference",
            "text",
            "image_url",
            "image",
            "refusal",
            "",
            None,
            5,
            {},
            [],
        )
    ),
    Case(
        "the second part is wrong",
        messages({"role": "user", "content": [TEXT_PART, {"type": "input_file"}]}),
        "input.0.content.1.type",
    ),
    # items of tool loops
    Case("a tool loop", messages(SAID, REASONED, CALL, OUTPUT, tools=[LOOK])),
    Case(
        "a tool loop with a custom tool", messages(SAID, CUSTOM_CALL, CUSTOM_OUTPUT, tools=[NOTE])
    ),
    Case("a tool loop inside of messages", {"input": {"messages": [SAID, CALL, OUTPUT]}}),
    Case(
        "calls as they came",
        messages(
            SAID,
            {**CALL, "id": "fc_0", "status": "completed"},
            {**OUTPUT, "id": "x", "status": "completed"},
        ),
    ),
    Case("an output of parts", messages(SAID, CALL, {**OUTPUT, "output": [TEXT_PART]})),
    *(
        Case(
            f"{item['type']} without {name}",
            messages({k: v for k, v in item.items() if k != name}),
            f"input.0.{name}",
        )
        for item in (CALL, OUTPUT, CUSTOM_CALL, CUSTOM_OUTPUT)
        for name in item
        if name != "type"
    ),
    Case("arguments that are no text", messages({**CALL, "arguments": {}}), "input.0.arguments"),
    Case("an output that is no text", messages({**OUTPUT, "output": {"a": 1}}), "input.0.output"),
    *(
        Case(f"an item of type {kind!r}", messages(SAID, {"type": kind, "id": "x"}), "input.1.type")
        for kind in (
            "item_reference",
            "input_audio",
            "input_file",
            "web_search_call",
            "computer_call",
            "mcp_call",
            "x",
            None,
            5,
            {},
        )
    ),
    # images
    *(Case(f"{kind} in base64", picture(image(kind))) for kind in FILES if kind != "image/tiff"),
    *(
        Case(url, picture(url))
        for url in (
            "http://example.com/a",
            "https://example.com/a.png?b=c",
            "HTTPS://EXAMPLE.COM/A",
        )
    ),
    *(
        Case(f"detail {detail}", picture("https://a.example/b", detail=detail))
        for detail in ("auto", "low", "high")
    ),
    *(
        Case(f"detail {detail!r}", picture("https://a.example/b", detail=detail), f"{PART}.detail")
        for detail in ("original", "", None, 5)
    ),
    *(
        Case(f"image_url {str(url)[:30]!r}", picture(url), URL)
        for url in (
            None,
            5,
            {"url": "https://a.example/b"},
            "",
            "a.png",
            "ftp://a.example/b",
            "file:///etc/passwd",
            "https://",
            "https:///a",
            "data:image/png,abc",
            "data:image/png;base64,",
            "data:image/png;base64,****",
            "data:;base64,iVBORw0KGgoAAAAN",
        )
    ),
    Case("an image part without image_url", part(type="input_image", detail="low"), URL),
    Case(
        "an image by file_id",
        part(type="input_image", image_url="https://a.example/b", file_id="x"),
        f"{PART}.file_id",
    ),
    Case("a PNG declared as a JPEG", picture(image("image/png", declared="image/jpeg")), URL),
    Case("a TIFF", picture(image("image/tiff")), URL),
    Case("a TIFF declared as a PNG", picture(image("image/tiff", declared="image/png")), URL),
    Case("20,000,000 bytes", picture(image("image/png", size=20_000_000))),
    Case("20,000,001 bytes", picture(image("image/png", size=20_000_001)), URL),
    Case("20 images", pictures(20)),
    Case("21 images", pictures(21), "input"),
    Case(
        "an image for a model that takes none",
        {**picture("https://a.example/b"), "model": TEXT_MODEL},
        "input",
    ),
)
