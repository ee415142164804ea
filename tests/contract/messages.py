"""Messages: every row of what the contract takes and refuses."""
# ruff: noqa: FBT003 - true and false are values of fields

from __future__ import annotations

from tests.contract.case import (
    ABSENT,
    FILES,
    IMAGE_MODEL,
    TEXT_MODEL,
    Case,
    encoded,
    refused,
    taken,
)

SAID = {"role": "user", "content": "Is it good?"}
VALID: dict[str, object] = {"model": TEXT_MODEL, "max_tokens": 100, "messages": [SAID]}
ELSEWHERE = {
    "system": "Be brief.",
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "stop_sequences": ["\n"],
    "top_k": 5,
    "service_tier": "auto",
    "inference_geo": "eu",
    "user": "a",
    "background": True,
    "container": "x",
    "some_field": 1,
}
"""What Messages refuse, and what no list names."""


def messages(*items: object, **more: object) -> dict[str, object]:
    return {"messages": list(items), **more}


def block(**fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": [fields]}], "model": IMAGE_MODEL}


def picture(**source: object) -> dict[str, object]:
    return block(type="image", source=source)


def in_base64(kind: str, declared: object = None) -> dict[str, object]:
    return picture(type="base64", media_type=declared or kind, data=encoded(kind))


def pictures(count: int) -> dict[str, object]:
    one = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    return {"messages": [{"role": "user", "content": [one] * count}], "model": IMAGE_MODEL}


BLOCK = "messages.0.content.0"
SOURCE = f"{BLOCK}.source"
FORMAT = "output_config.format"
SCHEMA = {"type": "json_schema", "schema": {"type": "object"}}

CASES: tuple[Case, ...] = (
    Case("as little as can be", {}),
    *refused("model", ABSENT, None, "", 5),
    Case("a model that is not served", {"model": "nobody/nothing"}, "model", unserved=True),
    *taken("max_tokens", 1, 100_000),
    *refused("max_tokens", ABSENT, None, 0, -1, 1.5, "100", True),
    # messages
    *refused("messages", ABSENT, None, [], {}, "x"),
    *refused("messages", ["x"], param="messages.0"),
    Case("a conversation", messages(SAID, {"role": "assistant", "content": "Yes."}, SAID)),
    *(
        Case(f"role {role!r}", messages({"role": role, "content": "x"}), "messages.0.role")
        for role in ("system", "developer", "tool", "", None)
    ),
    Case("no role", messages({"content": "x"}), "messages.0.role"),
    *(
        Case(
            f"content {content!r}",
            messages({"role": "user", "content": content}),
            "messages.0.content",
        )
        for content in (None, [], 5, {})
    ),
    Case("no content", messages({"role": "user"}), "messages.0.content"),
    Case("a field no message has", messages({**SAID, "name": "a"}), "messages.0.name"),
    # blocks
    Case("a text block", block(type="text", text="x")),
    Case("a block that is no object", messages({"role": "user", "content": ["x"]}), BLOCK),
    *(
        Case(f"a block of type {kind!r}", block(type=kind), f"{BLOCK}.type")
        for kind in (
            "document",
            "tool_result",
            "tool_use",
            "thinking",
            "search_result",
            "input_text",
            "",
            None,
            {},
            [],
        )
    ),
    Case("a block without type", block(text="x"), f"{BLOCK}.type"),
    Case("a text block without text", block(type="text"), f"{BLOCK}.text"),
    Case(
        "a field no block has",
        block(type="text", text="x", cache_control={"type": "ephemeral"}),
        f"{BLOCK}.cache_control",
    ),
    # images
    *(Case(f"{kind} in base64", in_base64(kind)) for kind in FILES if kind != "image/tiff"),
    Case("an image by URL", picture(type="url", url="https://a.example/b")),
    Case("an image without source", block(type="image"), SOURCE),
    *(
        Case(f"a source of type {kind!r}", picture(type=kind), f"{SOURCE}.type")
        for kind in ("file", "text", "", None)
    ),
    *(
        Case(f"url {url!r}", picture(type="url", url=url), f"{SOURCE}.url")
        for url in (None, 5, "", "ftp://a.example/b", "data:image/png;base64,iVBORw0KGgoAAAAN")
    ),
    Case("base64 without data", picture(type="base64", media_type="image/png"), f"{SOURCE}.data"),
    Case(
        "base64 without media_type",
        picture(type="base64", data=encoded("image/png")),
        f"{SOURCE}.media_type",
    ),
    Case(
        "data that is no base64",
        picture(type="base64", media_type="image/png", data="****"),
        f"{SOURCE}.data",
    ),
    Case("a TIFF", in_base64("image/tiff"), f"{SOURCE}.data"),
    Case("a PNG declared as a JPEG", in_base64("image/png", "image/jpeg"), f"{SOURCE}.data"),
    Case("20 images", pictures(20)),
    Case("21 images", pictures(21), "messages"),
    Case(
        "an image for a model that takes none",
        {**picture(type="url", url="https://a.example/b"), "model": TEXT_MODEL},
        "messages",
    ),
    # numbers
    *taken("temperature", 0, 1, 0.7),
    *refused("temperature", -0.1, 1.1, "1", None),
    *taken("top_p", 0, 1, 0.5),
    *refused("top_p", -0.1, 1.1, None),
    # output_config
    *taken(
        "output_config", {}, {"format": SCHEMA}, {"format": {**SCHEMA, "name": "n", "strict": True}}
    ),
    *refused("output_config", None, "x", []),
    *refused("output_config", {"format": None}, {"format": "json"}, param=FORMAT),
    *refused("output_config", {"format": {}}, {"format": {"type": "text"}}, param=f"{FORMAT}.type"),
    *refused(
        "output_config",
        {"format": {"type": "json_schema"}},
        {"format": {"type": "json_schema", "schema": "x"}},
        param=f"{FORMAT}.schema",
    ),
    *refused("output_config", {"effort": "low"}, param="output_config.effort"),
    # taken and ignored
    *taken("tools", [], [{"name": "look", "input_schema": {}}], [{"type": "web_search_20250305"}]),
    *refused("tools", None, {}, "x"),
    *refused("tools", ["look"], param="tools.0"),
    *taken("tool_choice", {"type": "auto"}, {"type": "tool", "name": "other"}, {}),
    *refused("tool_choice", None, "auto"),
    # the rest
    *taken("stream", False),
    *refused("stream", True, None, 0),
    *taken(
        "metadata",
        {},
        {"user_id": "a"},
        {"completion_window": "standard"},
        {"completion_window": "asap"},
        {"completion_webhook": "no URL"},
    ),
    *refused("metadata", None, []),
    Case("metadata of null", {"metadata": {"user_id": None}}, "metadata.user_id"),
    *(
        Case(
            f"completion_window {word!r}",
            {"metadata": {"completion_window": word}},
            "metadata.completion_window",
        )
        for word in ("flex", "24h")
    ),
    # what Messages refuse, also where it is null
    *(Case(name, {name: value}, name) for name, value in ELSEWHERE.items()),
    *(Case(f"{name} null", {name: None}, name) for name in ELSEWHERE),
)
