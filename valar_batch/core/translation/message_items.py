"""Anthropic's messages and their content blocks as items of a Responses `input`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.rules.shared import TEXT_AND_IMAGES
from valar_batch.core.template import json_text
from valar_batch.core.translation.rewriting import alone_as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valar_batch.core.translation.rewriting import Rewriting


def system_message(system: Any) -> dict[str, Any] | None:
    """Give the message that a `system` text, or its text blocks, are; None where there is none."""
    if not system:
        return None
    if not isinstance(system, list):
        return {"role": "system", "content": system}
    parts = [
        {"type": "input_text", "text": block.get("text")} if isinstance(block, dict) else block
        for block in system
    ]
    return alone_as_text({"role": "system", "content": parts}, "input_text")


def without_cache(rewriting: Rewriting, block: Any) -> dict[str, Any]:
    """Give a block without what it says to the cache."""
    if not isinstance(block, dict):
        return {}
    if block.get("cache_control") is not None:
        rewriting.lose("cache_control dropped")
    return {name: value for name, value in block.items() if name != "cache_control"}


def block_items(
    rewriting: Rewriting, messages: list[Any], place: str, items: list[Any]
) -> list[Any]:
    """Add the items that messages are: calls of tools and their results are items of their own."""
    for position, message in enumerate(messages):
        where = f"{place}.{position}"
        role = message.get("role") if isinstance(message, dict) else None
        if role == "system":
            hint = "put it into the field system"
            rewriting.refuse(f"{where}.role", "messages are of user and assistant", hint)
        content = message.get("content") if role else None
        if not isinstance(content, list) or not content:
            rewriting.places[f"input.{len(items)}"] = where
            items.append(message)
            continue
        _add_blocks(rewriting, role, content, f"{where}.content", items)
    return items


def _add_blocks(
    rewriting: Rewriting, role: Any, content: list[Any], place: str, items: list[Any]
) -> None:
    parts: list[Any] = []

    def close() -> None:
        if parts:
            items.append(alone_as_text({"role": role, "content": [*parts]}, "output_text"))
            parts.clear()

    for position, given in enumerate(content):
        where = f"{place}.{position}"
        block = without_cache(rewriting, given)
        kind = block.get("type")
        if kind in ("thinking", "redacted_thinking"):
            rewriting.lose("thinking blocks dropped")
        elif kind in ("tool_use", "tool_result"):
            close()
            rewriting.places[f"input.{len(items)}"] = where
            items.append(
                _call(block) if kind == "tool_use" else _result(rewriting, block, where, len(items))
            )
        else:
            path = f"input.{len(items)}.content.{len(parts)}"
            rewriting.places.setdefault(f"input.{len(items)}", place.removesuffix(".content"))
            parts.append(_part(rewriting, block or given, where, path, own=role == "assistant"))
    close()


def _part(rewriting: Rewriting, block: Any, place: str, path: str, *, own: bool) -> Any:
    rewriting.places[path] = place
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "text":
        return {"type": "output_text" if own else "input_text", "text": block.get("text")}
    if kind == "image":
        return {"type": "input_image", "image_url": _image_url(rewriting, block, place, path)}
    rewriting.refuse(place, f"{kind or 'this'} blocks have no counterpart", TEXT_AND_IMAGES)
    return block


def _image_url(rewriting: Rewriting, block: dict[str, Any], place: str, path: str) -> Any:
    """Give the URL of an image: its own, or a data URI."""
    match block.get("source"):
        case {"type": "base64", "media_type": str(kind), "data": str(data)}:
            rewriting.places[f"{path}.image_url"] = f"{place}.source.data"
            return f"data:{kind};base64,{data}"
        case {"type": "url", "url": url}:
            rewriting.places[f"{path}.image_url"] = f"{place}.source.url"
            return url
    hint = "an image is base64 with its media_type, or a URL"
    rewriting.refuse(f"{place}.source", "this source of an image has no counterpart", hint)
    return None


def _call(block: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "function_call",
        "call_id": block.get("id"),
        "name": block.get("name"),
        "arguments": json_text(block.get("input", {})),
    }


def _result(rewriting: Rewriting, block: dict[str, Any], place: str, number: int) -> dict[str, Any]:
    if block.get("is_error"):
        rewriting.lose("is_error of tool results dropped")
    content = block.get("content")
    path = f"input.{number}"
    rewriting.places[f"{path}.output"] = f"{place}.content"
    rewriting.places[f"{path}.call_id"] = f"{place}.tool_use_id"
    if isinstance(content, list):
        parts = [*_result_parts(rewriting, content, f"{place}.content", f"{path}.output")]
        content = alone_as_text({"content": parts}, "input_text")["content"]
    output = content or ""
    return {"type": "function_call_output", "call_id": block.get("tool_use_id"), "output": output}


def _result_parts(
    rewriting: Rewriting, content: list[Any], place: str, path: str
) -> Iterator[dict[str, Any]]:
    for position, given in enumerate(content):
        block = without_cache(rewriting, given) or given
        yield _part(rewriting, block, f"{place}.{position}", f"{path}.{position}", own=False)
