"""Request to problems: what Valar would refuse, found before anything is sent.

The rules of single fields are data, in `core.rules`; here is what concerns a body as a whole.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from valar_batch.core.checks import check_of, shorten, within
from valar_batch.core.images import check_images, check_sources
from valar_batch.core.prices import shipped_prices
from valar_batch.core.problems import Problem
from valar_batch.core.rules import (
    ALL_WINDOWS,
    BATCH,
    BATCH_WINDOWS,
    INPUT,
    INPUT_MESSAGES,
    MESSAGES,
    RESPONSES,
    SURFACES,
    WINDOW_FIELD,
    Surface,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ABSENT = object()

CHECKS = {surface.path: check_of(surface.body) for surface in SURFACES}
CHECK_INPUT, CHECK_MESSAGES = check_of(INPUT), check_of(INPUT_MESSAGES)


def check_body(
    surface: Surface, body: Mapping[str, Any], *, windows: Collection[str]
) -> list[Problem]:
    """Give all problems of a body; `windows` are those that the place of use accepts."""
    problems = list(CHECKS[surface.path](body))
    if surface is BATCH:
        return problems + check_items(body.get("requests"))
    model = body.get("model")
    if "metadata" in body:
        problems += check_window(body["metadata"], model, windows)
    if "tool_choice" in body and surface is not MESSAGES:
        problems += check_tool_choice(body["tool_choice"], body.get("tools"))
    name = "input" if surface is RESPONSES else "messages"
    value = body.get(name)
    if isinstance(value, dict):
        name, value = f"{name}.messages", value.get("messages")
    if isinstance(value, list):
        problems += check_images(value, model, name)
        if surface is MESSAGES:
            problems += check_sources(value, name)
    return problems


def check_params(params: Mapping[str, Any], *, windows: Collection[str]) -> list[Problem]:
    """Give all problems of a Responses body."""
    return check_body(RESPONSES, params, windows=windows)


def check_items(items: Any) -> list[Problem]:
    """Give the problems of the params of a batch's items, and of ids that occur twice."""
    problems: list[Problem] = []
    positions: dict[str, int] = {}
    for position, item in enumerate(items if isinstance(items, list) else ()):
        params = item.get("params") if isinstance(item, dict) else None
        if isinstance(params, dict):
            found = check_params(params, windows=BATCH_WINDOWS)
            problems += within(f"requests.{position}.params", found)
        custom_id = item.get("custom_id") if isinstance(item, dict) else None
        if isinstance(custom_id, str):
            problems += check_unique(custom_id, position, positions)
    return problems


def check_unique(custom_id: str, position: int, positions: dict[str, int]) -> Sequence[Problem]:
    """Check that an id is new in its batch; `positions` are those of the ids so far, kept here."""
    before = positions.setdefault(custom_id, position)
    if before == position:
        return ()
    message = f"{custom_id!r} is the custom_id of requests.{before} too"
    return [Problem("duplicate id", f"requests.{position}.custom_id", message)]


def check_input(value: Any, model: object = None) -> list[Problem]:
    """Give the problems of an `input` for itself: text, messages, or an object of messages.

    `model` is asked whether it takes the images, where it is known.
    """
    if value is ABSENT:
        return [Problem("missing field", "input", "it is missing")]
    if isinstance(value, dict):
        found = within("input", CHECK_INPUT(value))
        messages = value.get("messages")
        images = check_images(messages, model, "input.messages") if type(messages) is list else []
        return found + images
    return within("input", CHECK_INPUT(value)) + (
        check_images(value, model, "input") if isinstance(value, list) else []
    )


def check_messages(value: Any, name: str, model: object = None) -> list[Problem]:
    """Give the problems of a list of messages for itself, called `name`."""
    found = within(name, CHECK_MESSAGES(value))
    return found + (check_images(value, model, name) if isinstance(value, list) else [])


def single_windows(surface: Surface, body: Mapping[str, Any]) -> Collection[str]:
    """Give the windows of a request for itself: flex only in the background."""
    in_background = surface is RESPONSES and body.get("background") is True
    return [window for window in ALL_WINDOWS if in_background or window != "flex"]


def check_window(metadata: Any, model: object, windows: Collection[str]) -> Sequence[Problem]:
    """Check the completion window: the place of use has it, and so has the model."""
    window = metadata.get("completion_window") if isinstance(metadata, dict) else None
    if not isinstance(window, str):
        return ()
    known = shipped_prices().models.get(model) if isinstance(model, str) else None
    allowed = [each for each in windows if known is None or each in known.windows]
    if window in allowed:
        return ()
    hint = f"leave it out, or use {' or '.join(allowed)}"
    if window == "asap":
        hint += "; asap is for single requests, a batch item cannot have it"
    message = f"{window!r} is not allowed here"
    fixable = window == "asap" and "standard" in allowed
    return [Problem("window", WINDOW_FIELD, message, hint, fixable=fixable)]


def check_tool_choice(chosen: Any, tools: Any) -> Sequence[Problem]:
    """Check that a tool which must be called is one that is given."""
    given = {called(tool) for tool in (tools if isinstance(tools, list) else ())}
    if isinstance(chosen, dict):
        kind, name = wanted = called(chosen)
        if isinstance(name, str) and wanted not in given:
            names = ", ".join(sorted(str(each) for _, each in given)) or "no tools"
            message = f"there is no {kind} tool {shorten(name)}"
            return [Problem("unknown tool", "tool_choice", message, f"there are {names}")]
    elif chosen == "required" and not given:
        message = "a tool must be called, and none is given"
        return [Problem("unknown tool", "tool_choice", message, "give tools, or drop it")]
    return ()


def called(tool: Any) -> tuple[object, object]:
    """Give a tool's kind and name, as Responses and as Chat Completions write them."""
    if not isinstance(tool, dict):
        return None, None
    kind = tool.get("type")
    inner = tool.get(kind) if isinstance(kind, str) else None
    name = (inner if isinstance(inner, dict) else tool).get("name")
    return (kind, name) if isinstance(name, str) else (kind, None)


def window_warning(window: str) -> str:
    """What to say about a batch window that is let through, or an empty string."""
    return BATCH_WINDOWS.get(window, "")


def lookup(params: Mapping[str, Any], path: str) -> Any:
    """Find the value at a dotted path, or ABSENT."""
    value: Any = params
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return ABSENT
        value = value[name]
    return value


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
