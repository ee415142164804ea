"""Request to problems: what Valar would refuse, found before anything is sent."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from valar_batch.core.images import ImageRefused, check_images, check_url
from valar_batch.core.problems import Problem
from valar_batch.core.rules import (
    BATCH_WINDOWS,
    CONTENT_PARTS,
    IMAGE_DETAILS,
    INPUT_ITEMS,
    MESSAGE_ROLES,
    RESPONSE_FIELDS,
    RESPONSE_REFUSED,
    TOOL_TYPES,
    WINDOW_FIELD,
    Field,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ABSENT = object()


def check_params(params: Mapping[str, Any], *, windows: Iterable[str]) -> list[Problem]:
    """Check a whole Responses body; `windows` are those that the place of use accepts."""
    problems: list[Problem] = []
    problems += (
        Problem("refused field", name, "Valar does not take it", hint)
        for name, hint in RESPONSE_REFUSED.items()
        if name in params
    )
    if "model" not in params:
        problems.append(Problem("missing field", "model", "no model is given", "give --model"))
    for field in RESPONSE_FIELDS:
        value = lookup(params, field.path)
        if value is not ABSENT:
            problems += check_field(field, value)
    problems += check_window(params, windows)
    problems += check_tools(params.get("tools"))
    problems += check_input(params.get("input", ABSENT), params.get("model"))
    return problems


def lookup(params: Mapping[str, Any], path: str) -> Any:
    """Find the value at a dotted path, or ABSENT."""
    value: Any = params
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return ABSENT
        value = value[name]
    return value


def json_type(value: object) -> str:
    """Name a decoded value's JSON type; whole numbers are integers."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def check_field(field: Field, value: object) -> Iterator[Problem]:
    """Check one value against its rule."""

    def problem(kind: str, message: str) -> Problem:
        return Problem(kind, field.path, message, field.hint)

    found = json_type(value)
    if found not in field.types and not (found == "integer" and "number" in field.types):
        wanted = " or ".join(field.types)
        yield problem("wrong type", f"{shorten(value)} is {article(found)}, not {article(wanted)}")
    elif field.choices is not None and value is not None and value not in field.choices:
        allowed = ", ".join(repr(choice) for choice in field.choices)
        yield problem("not allowed", f"{shorten(value)} is not one of {allowed}")
    elif isinstance(value, str) and field.length is not None and len(value) > field.length:
        yield problem("too long", f"{len(value)} characters; at most {field.length}")
    elif isinstance(value, str) and field.path == "model" and not value:
        yield problem("empty", "the model is empty")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = field.minimum, field.maximum
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            span = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
            yield problem("out of range", f"{shorten(value)} must be {span}")


def check_window(params: Mapping[str, Any], windows: Iterable[str]) -> Iterator[Problem]:
    """Check the metadata and the completion window in it."""
    metadata = params.get("metadata")
    if not isinstance(metadata, dict):
        return
    for name, value in metadata.items():
        if not isinstance(value, str):
            yield Problem(
                "wrong type",
                f"metadata.{name}",
                f"{shorten(value)} is {article(json_type(value))}; metadata values are strings",
            )
    window = metadata.get("completion_window")
    allowed = tuple(windows)
    if isinstance(window, str) and window not in allowed:
        hint = f"leave it out, or use {' or '.join(allowed)}"
        if window == "asap":
            hint += "; asap is for single requests, a batch item cannot have it"
        yield Problem("window", WINDOW_FIELD, f"{window!r} is not allowed here", hint)


def window_warning(window: str) -> str:
    """What to say about a batch window that is let through, or an empty string."""
    return BATCH_WINDOWS.get(window, "")


def check_tools(tools: Any) -> Iterator[Problem]:
    """Check that each tool is one that a model may be given, and has its name."""
    for position, tool in enumerate(tools if isinstance(tools, list) else ()):
        path = f"tools.{position}"
        if not isinstance(tool, dict):
            yield Problem("wrong type", path, f"{shorten(tool)} is not a tool object")
        elif tool.get("type") not in TOOL_TYPES:
            message = f"{shorten(tool.get('type'))} is not taken"
            hint = f"only {' and '.join(TOOL_TYPES)} tools are"
            yield Problem("not allowed", f"{path}.type", message, hint)
        elif not isinstance(tool.get("name"), str) or not tool["name"]:
            hint = 'as in {"type": "function", "name": "lookup", "parameters": {…}}'
            yield Problem("missing field", f"{path}.name", "a tool needs its name", hint)


def check_input(value: Any, model: object = None) -> list[Problem]:
    """Check `input`: text, an array of messages and items, or `{"messages": […]}`.

    `model` is asked whether it takes the images, where it is known.
    """
    if value is ABSENT:
        return [Problem("missing field", "input", "no input is given")]
    if isinstance(value, str):
        return [] if value else [Problem("empty", "input", "the prompt is empty text")]
    if isinstance(value, dict):
        if value.keys() != {"messages"}:
            return [Problem("wrong shape", "input", 'an object here is exactly {"messages": […]}')]
        return check_messages(value["messages"], "input.messages", model)
    return check_messages(value, "input", model)


def check_messages(value: Any, path: str, model: object = None) -> list[Problem]:
    """Check a non-empty array of messages and items, and all the images in them."""
    if not isinstance(value, list):
        return [Problem("wrong type", path, f"{shorten(value)} is not text or a list of messages")]
    if not value:
        return [Problem("empty", path, "the list of messages is empty")]
    problems = [
        problem
        for position, item in enumerate(value)
        for problem in check_item(item, f"{path}.{position}")
    ]
    problems += check_images(value, model, path)
    return problems


def check_item(item: Any, path: str) -> Iterator[Problem]:
    """Check one element of `input`; without `type` it is a message."""
    if not isinstance(item, dict):
        yield Problem("wrong type", path, f"{shorten(item)} is not a message object")
        return
    kind = item.get("type", "message")
    if kind not in INPUT_ITEMS:
        hint = "text, images and tool calls are taken"
        yield Problem("not allowed", f"{path}.type", f"{shorten(kind)} is not taken", hint)
    elif kind == "message":
        if item.get("role") not in MESSAGE_ROLES:
            roles = ", ".join(MESSAGE_ROLES)
            message = f"{shorten(item.get('role'))} is not one of {roles}"
            yield Problem("not allowed", f"{path}.role", message)
        yield from check_content(item.get("content"), f"{path}.content")


def check_content(content: Any, path: str) -> Iterator[Problem]:
    """Check a message's content: text, or a non-empty array of parts."""
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        yield Problem("wrong type", path, f"{shorten(content)} is not text or a list of parts")
        return
    if not content:
        yield Problem("empty", path, "the list of parts is empty")
    for position, part in enumerate(content):
        where = f"{path}.{position}"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in CONTENT_PARTS:
            message = f"{shorten(part if kind is None else kind)} is not a part that Valar takes"
            yield Problem("not allowed", where, message, f"use {', '.join(CONTENT_PARTS)}")
        elif kind != "input_image" and not isinstance(part.get("text"), str):
            yield Problem("wrong type", f"{where}.text", "a text part needs its text")
        elif kind == "input_image":
            yield from check_image(part, where)


def check_image(part: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Check an image part: its URL, or the image that a data URI holds, and its detail."""
    url, detail = part.get("image_url"), part.get("detail")
    if not isinstance(url, str):
        yield Problem("wrong type", f"{path}.image_url", "an image part needs its URL")
    else:
        try:
            check_url(url)
        except ImageRefused as refused:
            yield refused.at(f"{path}.image_url")
    if detail is not None and detail not in IMAGE_DETAILS:
        message = f"{shorten(detail)} is not one of {', '.join(IMAGE_DETAILS)}"
        yield Problem("not allowed", f"{path}.detail", message)


def model_warning(model: str, known: Sequence[str]) -> str:
    """What to say about a model that the shipped table does not have, or an empty string."""
    if model in known:
        return ""
    hint = nearest(model, known) or "`valar-batch models` lists what Valar serves"
    return f"model {model!r} is not in this version's table: {hint}"


def nearest(model: str, known: Sequence[str]) -> str:
    """Ask whether a known model was meant; an empty string where none is near."""
    near = difflib.get_close_matches(model, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else ""


def shorten(value: object, limit: int = 60) -> str:
    """Show a value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def article(noun: str) -> str:
    """Put a or an before a type's name; null needs none."""
    if noun == "null":
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
