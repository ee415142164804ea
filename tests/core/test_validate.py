"""What concerns a body as a whole: windows, tool choices, images, the items of a batch."""

from __future__ import annotations

import pytest

from valar_batch.core.problems import Problem
from valar_batch.core.rules import (
    ALL_WINDOWS,
    BATCH,
    BATCH_WINDOWS,
    CHAT,
    MESSAGES,
    RESPONSES,
)
from valar_batch.core.validate import check_body, check_params, single_windows

PNG = "iVBORw0KGgoAAAANSUhEUgAA"
TEXT_MODEL, IMAGE_MODEL = "openai/gpt-oss-120b", "google/gemma-4-31B-it"
FUNCTION = {"type": "function", "name": "look"}
CUSTOM = {"type": "custom", "name": "note"}
ASAP = "leave it out, or use standard or flex"


def params(**more: object) -> dict:
    return {"model": TEXT_MODEL, "input": "x", **more}


@pytest.mark.parametrize(
    ("metadata", "problems"),
    [
        ({"completion_window": "standard"}, []),
        ({"completion_window": "flex", "team": "a"}, []),
        (
            {"completion_window": "asap"},
            [
                Problem(
                    "window",
                    "metadata.completion_window",
                    "'asap' is not allowed here",
                    f"{ASAP}; asap is for single requests, a batch item cannot have it",
                    fixable=True,
                )
            ],
        ),
        (
            {"completion_window": "24h"},
            [Problem("window", "metadata.completion_window", "'24h' is not allowed here", ASAP)],
        ),
    ],
)
def test_windows_of_batch_items(metadata, problems) -> None:
    """A batch item has the windows of batches."""
    assert check_params(params(metadata=metadata), windows=BATCH_WINDOWS) == problems


@pytest.mark.parametrize(
    ("surface", "body", "windows"),
    [
        (RESPONSES, {}, ["asap", "standard"]),
        (RESPONSES, {"background": True}, list(ALL_WINDOWS)),
        (RESPONSES, {"background": "yes"}, ["asap", "standard"]),
        (CHAT, {"background": True}, ["asap", "standard"]),
        (MESSAGES, {}, ["asap", "standard"]),
    ],
)
def test_windows_of_single_requests(surface, body, windows) -> None:
    """flex is for the background alone."""
    assert single_windows(surface, body) == windows


@pytest.mark.parametrize(
    ("tools", "choice", "message"),
    [
        ([FUNCTION], "required", None),
        ([FUNCTION], {"type": "function", "name": "look"}, None),
        ([FUNCTION, CUSTOM], {"type": "custom", "name": "note"}, None),
        ([FUNCTION], {"type": "function", "name": "other"}, "there is no function tool 'other'"),
        ([FUNCTION], {"type": "custom", "name": "look"}, "there is no custom tool 'look'"),
        ([], {"type": "function", "name": "look"}, "there is no function tool 'look'"),
        ([], "required", "a tool must be called, and none is given"),
        ([], "auto", None),
    ],
)
def test_a_tool_that_must_be_called_is_there(tools, choice, message) -> None:
    """In the flat form of Responses and in the nested one of Chat Completions."""

    def nested(tool: object) -> object:
        return {"type": tool["type"], tool["type"]: tool} if isinstance(tool, dict) else tool

    chat = {
        "model": TEXT_MODEL,
        "messages": [{"role": "user", "content": "x"}],
        "tools": [nested(tool) for tool in tools],
        "tool_choice": nested(choice),
    }
    for surface, body in (
        (RESPONSES, params(tools=tools, tool_choice=choice)),
        (CHAT, chat),
    ):
        found = check_body(surface, body, windows=ALL_WINDOWS)
        assert [(each.field, each.message) for each in found] == (
            [] if message is None else [("tool_choice", message)]
        )


def image_messages(count: int = 1, data: str = PNG, kind: str = "image/png") -> list:
    source = {"type": "base64", "media_type": kind, "data": data}
    return [{"role": "user", "content": [{"type": "image", "source": source}] * count}]


@pytest.mark.parametrize(
    ("model", "messages", "found"),
    [
        (IMAGE_MODEL, image_messages(), []),
        (TEXT_MODEL, image_messages(), [("model", "messages")]),
        (IMAGE_MODEL, image_messages(21), [("too many", "messages")]),
        (
            IMAGE_MODEL,
            image_messages(kind="image/gif"),
            [("wrong type", "messages.0.content.0.source.data")],
        ),
        (
            IMAGE_MODEL,
            image_messages(data="JVBERi0xLjcK"),
            [("not an image", "messages.0.content.0.source.data")],
        ),
    ],
)
def test_images_of_messages(model, messages, found) -> None:
    """The images of Messages, in base64 beside their media type, are held to the same rules."""
    body = {"model": model, "max_tokens": 5, "messages": messages}
    problems = check_body(MESSAGES, body, windows=ALL_WINDOWS)
    assert [(each.kind, each.field) for each in problems] == found


def test_images_in_the_output_of_a_tool_count() -> None:
    """An image that a tool gave back is an image of the request."""
    part = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    item = {"type": "function_call_output", "call_id": "c", "output": [part]}
    found = check_params(params(input=[item]), windows=BATCH_WINDOWS)
    assert [(each.kind, each.field) for each in found] == [("model", "input")]


def test_all_problems_of_a_body_at_once() -> None:
    """A body is not checked only up to its first problem."""
    body = {
        "input": [{"role": "boss", "content": []}, {"type": "input_file"}],
        "temperature": 3,
        "instructions": "x",
        "tools": [{"type": "web_search_preview"}, {"type": "function"}],
        "include": ["file_search_call.results"],
        "metadata": {"n": 1, "completion_window": "asap"},
        "tool_choice": "required",
        "top_logprobs": None,
    }
    found = [each.field for each in check_params(body, windows=BATCH_WINDOWS)]
    assert found == [
        "model",
        "input.0.role",
        "input.0.content",
        "input.1.type",
        "temperature",
        "instructions",
        "tools.0.type",
        "tools.1.name",
        "include.0",
        "metadata.n",
        "top_logprobs",
        "metadata.completion_window",
    ]


def test_a_whole_batch() -> None:
    """A batch's items are checked as Responses bodies, and their ids among one another."""
    items = [
        {"custom_id": "a", "params": params()},
        {"custom_id": "a", "params": params(stop="x")},
        {"custom_id": "B", "params": params(), "method": "POST"},
    ]
    found = check_body(BATCH, {"endpoint": "/v1/responses", "requests": items}, windows=())
    assert [(each.kind, each.field) for each in found] == [
        ("not allowed", "requests.2.custom_id"),
        ("unknown field", "requests.2.method"),
        ("refused field", "requests.1.params.stop"),
        ("duplicate id", "requests.1.custom_id"),
    ]
