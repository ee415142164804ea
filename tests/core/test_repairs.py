"""What has one right answer is rewritten; all else stays what it was."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.bodies import (
    EFFORTS,
    INPUTS,
    JUNK,
    MODEL,
    chat_bodies,
    chat_messages,
    maybe,
    messages_bodies,
    responses_bodies,
    some,
)
from valar_batch.core.rules import BATCH_WINDOWS
from valar_batch.core.translation.repairs import repaired
from valar_batch.core.validate import check_params

SYSTEM = {"role": "system", "content": "s"}
USER = {"role": "user", "content": "x"}
IMAGE = "https://x/a.png"


@pytest.mark.parametrize(
    ("params", "expected", "repairs"),
    [
        (
            {"input": "x", "instructions": "s"},
            {"input": [SYSTEM, USER]},
            ["instructions → a leading system message"],
        ),
        (
            {"input": [USER], "instructions": "s"},
            {"input": [SYSTEM, USER]},
            ["instructions → a leading system message"],
        ),
        (
            {"input": {"messages": [USER]}, "instructions": "s"},
            {"input": {"messages": [SYSTEM, USER]}},
            ["instructions → a leading system message"],
        ),
        ({"max_tokens": 5}, {"max_output_tokens": 5}, ["max_tokens → max_output_tokens"]),
        (
            {"max_completion_tokens": 5, "max_output_tokens": 5},
            {"max_output_tokens": 5},
            ["max_completion_tokens → max_output_tokens"],
        ),
        ({"messages": [USER]}, {"input": [USER]}, ["messages → input"]),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            {"text": {"format": {"type": "json_schema", "name": "n"}}},
            ["response_format → text.format"],
        ),
        (
            {"reasoning_effort": "low", "reasoning": {"generate_summary": "auto"}},
            {"reasoning": {"generate_summary": "auto", "effort": "low"}},
            ["reasoning_effort → reasoning.effort"],
        ),
        ({"store": False}, {}, ["store: false dropped"]),
        ({"store": True}, {"store": True}, []),
        ({"stream": True, "stream_options": {}}, {}, ["stream dropped"]),
        ({"stream": False}, {}, ["stream dropped"]),
        (
            {"metadata": {"completion_window": "asap", "team": "a"}},
            {"metadata": {"completion_window": "standard", "team": "a"}},
            ["window asap → standard"],
        ),
        (
            {"input": [{"role": "developer", "content": "s"}, USER]},
            {"input": [SYSTEM, USER]},
            ["role developer → system"],
        ),
        (
            {"input": [{"type": "message", "role": "user", "content": [
                {"type": "text", "text": "t"},
                {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
                {"type": "image_url", "image_url": IMAGE},
                {"type": "input_text", "text": "u"}]}]},
            {"input": [{"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "t"},
                {"type": "input_image", "image_url": IMAGE, "detail": "low"},
                {"type": "input_image", "image_url": IMAGE},
                {"type": "input_text", "text": "u"}]}]},
            ["text → input_text", "image_url → input_image"],
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "text", "text": "t"}]}]},
            {"input": [{"role": "assistant", "content": [{"type": "output_text", "text": "t"}]}]},
            ["text → output_text"],
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}],
             "tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tools": [{"type": "function", "name": "f"}],
             "tool_choice": {"type": "function", "name": "f"}},
            ["tools of chat → tools", "tool_choice of chat → tool_choice"],
        ),
        (
            {"top_p": None, "text": {"format": None}, "input": [{**USER, "name": None}],
             "tools": [{"type": "function", "name": "f", "strict": None,
                        "parameters": {"default": None}}]},
            {"input": [USER],
             "tools": [{"type": "function", "name": "f", "parameters": {"default": None}}]},
            ["null fields dropped"],
        ),
    ],
)  # fmt: skip
def test_a_repair(params: dict, expected: dict, repairs: list[str]) -> None:
    """Each mistake with one right answer is mended and named; what was given stays unchanged."""
    before = deepcopy(params)
    mended = repaired(params)
    assert (mended.params, mended.problems, list(mended.repairs)) == (expected, [], repairs)
    assert params == before


@pytest.mark.parametrize(
    "params",
    [
        {"max_tokens": 5, "max_output_tokens": 6},
        {"messages": [USER], "input": "y"},
        {"messages": "x"},
        {"response_format": {"type": "text"}, "text": {"format": {"type": "json_schema"}}},
        {"reasoning_effort": "low", "reasoning": {"effort": "high"}},
        {"reasoning_effort": "low", "reasoning": "high"},
        {"instructions": "s"},
        {"instructions": ["s"], "input": "x"},
        {"instructions": "s", "input": ""},
        {"previous_response_id": "r", "stop": ["x"], "n": 2, "parallel_tool_calls": False},
        {"input": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        {"tools": [{"type": "web_search"}]},
        {"model": "m", "input": [USER], "metadata": {"completion_window": "flex"}},
    ],
)
def test_what_stays(params: dict) -> None:
    """Two answers or none: the user decides. What is right is not touched."""
    assert repaired(params) == (params, [], (), {})


def test_places_lead_back_through_repairs() -> None:
    """What is wrong in the repaired params is named as the user wrote it."""
    image = {"type": "image_url", "image_url": {"url": "ftp://x"}}
    mended = repaired(
        {"instructions": "s", "messages": [USER, {"role": "user", "content": [image]}]}
    )
    assert [mended.place(path) for path in (
        "input.0", "input.1.role", "input.2.content.0.image_url", "input.2.content.0.type"
    )] == [
        "instructions", "messages.0.role", "messages.1.content.0.image_url.url",
        "messages.1.content.0.type",
    ]  # fmt: skip


MISTAKES = some(
    input=INPUTS | chat_messages(),
    messages=chat_messages(),
    instructions=maybe(st.text(max_size=5)),
    max_tokens=maybe(st.integers(0, 5)),
    max_completion_tokens=maybe(st.integers(0, 5)),
    max_output_tokens=maybe(st.integers(0, 5)),
    reasoning_effort=maybe(EFFORTS),
    reasoning=maybe(some(effort=maybe(EFFORTS))),
    response_format=maybe(st.sampled_from([{"type": "text"}, {"type": "json_object"}])),
    text=maybe(some(format=maybe(st.just({"type": "text"})))),
    store=maybe(st.booleans()),
    stream=maybe(st.booleans()),
    metadata=maybe(some(completion_window=maybe(st.sampled_from(["asap", "standard", "flex"])))),
    tools=st.just([{"type": "function", "function": {"name": "f", "parameters": None}}]),
)
ANY_PARAMS = st.one_of(MISTAKES, chat_bodies(), messages_bodies(), responses_bodies(), JUNK)


@given(ANY_PARAMS)
def test_repairing_twice_changes_nothing_more(params: dict) -> None:
    """A repair is at its end after one pass, whatever it was given; it never fails or mutates."""
    before = deepcopy(params)
    mended = repaired(params)
    assert params == before
    assert repaired(mended.params) == (mended.params, [], (), {})
    assert bool(mended.repairs) == (mended.params != params)


@given(MISTAKES)
def test_nothing_fixable_is_left_but_contradictions(params: dict) -> None:
    """After a repair, a fixable problem is left only where old and new say different things."""
    params = {"model": MODEL, "input": "x", **params}
    params.pop("messages", None)
    mended = repaired(params)
    left = {
        problem.field
        for problem in check_params(mended.params, windows=BATCH_WINDOWS)
        if problem.fixable
    }
    assert left <= {"max_tokens", "max_completion_tokens", "reasoning_effort", "response_format"}
    for name in left:
        assert mended.params[name] == params[name]
