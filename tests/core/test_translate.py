"""Bodies of other APIs become Responses params, or problems under their own field names."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.bodies import JUNK, chat_bodies, messages_bodies, responses_bodies
from valar_batch.core.rules import BATCH_WINDOWS
from valar_batch.core.translation.translate import from_chat, from_messages, from_responses
from valar_batch.core.validate import check_params

SCHEMA = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAACklEQVR4nGMAAQAABQABDQottAAAAABJRU5ErkJggg"
HI = [{"role": "user", "content": "hi"}]


def test_a_chat_completion_with_all_that_has_a_counterpart() -> None:
    """Each field and each message has its place in Responses; what means nothing is left out."""
    body = {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "name": "ada", "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://x/b.png", "detail": None}},
            ]},
            {"role": "assistant", "content": "Let me see.", "refusal": None, "annotations": [],
             "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
            {"role": "assistant", "content": None, "refusal": "No."},
            {"role": "assistant", "content": None,
             "function_call": {"name": "old", "arguments": "[]"}},
            {"role": "function", "name": "old", "content": "three"},
        ],
        "max_completion_tokens": 9, "max_tokens": 9,
        "temperature": 0.5, "top_p": None, "user": "u", "prompt_cache_key": "k",
        "metadata": {"team": "a"},
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "schema": SCHEMA, "strict": True, "description": None}},
        "reasoning_effort": "low",
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": None}},
            {"type": "custom", "custom": {"name": "g", "format": {
                "type": "grammar", "grammar": {"syntax": "lark", "definition": "s: /x/"}}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "logprobs": True,
        "n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "stop": None,
        "stream": False, "store": True, "modalities": ["text"], "parallel_tool_calls": True,
        "service_tier": "auto", "seed": None, "top_logprobs": 0,
    }  # fmt: skip
    before = deepcopy(body)
    translation = from_chat(body)
    assert translation.params == {
        "model": "m",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "name": "ada", "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"},
                {"type": "input_image", "image_url": "https://x/b.png"},
            ]},
            {"role": "assistant", "content": "Let me see."},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "two"},
            {"role": "assistant", "content": "A cat."},
            {"role": "assistant", "content": "No."},
            {"type": "function_call", "call_id": "function_call_9", "name": "old",
             "arguments": "[]"},
            {"type": "function_call_output", "call_id": "function_call_9", "output": "three"},
        ],
        "max_output_tokens": 9,
        "temperature": 0.5, "user": "u", "prompt_cache_key": "k", "metadata": {"team": "a"},
        "text": {"format": {
            "type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}},
        "reasoning": {"effort": "low"},
        "tools": [
            {"type": "function", "name": "f", "parameters": SCHEMA},
            {"type": "custom", "name": "g", "format": {
                "type": "grammar", "syntax": "lark", "definition": "s: /x/"}},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "include": ["message.output_text.logprobs"],
    }  # fmt: skip
    assert (translation.problems, translation.repairs, body) == ([], (), before)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"stop": ["x"]}, "stop"),
        ({"seed": 7}, "seed"),
        ({"n": 2}, "n"),
        ({"n": True}, "n"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"verbosity": "low"}, "verbosity"),
        ({"audio": {"voice": "ash"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"prediction": {"type": "content"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ({"top_k": 5}, "top_k"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages.0.content.0",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages.0.content.0"),
        (
            {"messages": [{"role": "tool", "tool_call_id": None, "content": "x"}]},
            "messages.0.tool_call_id",
        ),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages.0.name"),
        (
            {"messages": [{"role": "assistant", "content": "a", "audio": {"id": "b"}}]},
            "messages.0.audio",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]},
            "messages.0.tool_calls.0",
        ),
    ],
)
def test_what_chat_has_and_responses_lack(more: dict, field: str) -> None:
    """It is a problem under the field's own name."""
    translation = from_chat({"model": "m", "messages": HI, **more})
    assert [problem.field for problem in translation.problems] == [field]


@pytest.mark.parametrize(
    ("more", "repairs"),
    [
        ({"store": False}, ("store: false dropped",)),
        ({"stream": True, "stream_options": {"include_usage": True}}, ("stream dropped",)),
        (
            {"safety_identifier": "s", "prompt_cache_retention": "24h"},
            ("safety_identifier dropped", "prompt_cache_retention dropped"),
        ),
    ],
)
def test_what_no_answer_depends_on_is_dropped_with_a_word(more: dict, repairs: tuple) -> None:
    """The user hears of it, and nothing else is changed."""
    translation = from_chat({"model": "m", "messages": HI, **more})
    assert translation == (
        {"model": "m", "input": HI},
        [],
        repairs,
        {"input": "messages", "input.0": "messages.0"},
    )


def test_a_message_with_all_that_has_a_counterpart() -> None:
    """System text leads, blocks are parts, calls of tools and their results are items."""
    body = {
        "model": "claude",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "image", "source": {
                    "type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
                {"type": "text", "text": "What is it?"},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "text", "text": "Let me see.", "citations": None},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"n": 1.50}},
                {"type": "tool_use", "id": "t2", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": True, "content": [
                    {"type": "text", "text": "two"},
                    {"type": "image", "source": {"type": "url", "url": "https://x/b.png"}},
                ]},
                {"type": "text", "text": "And now?"},
            ]},
            {"role": "assistant", "content": "A cat."},
        ],
        "temperature": 1, "top_p": 0.9, "top_k": None, "stream": False,
        "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA, "type": "custom"}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "high"},
        "metadata": {"user_id": "u", "team": "a"},
        "thinking": {"type": "disabled"}, "stop_sequences": [], "service_tier": "auto",
    }  # fmt: skip
    before = deepcopy(body)
    translation = from_messages(body)
    assert translation.params == {
        "model": "claude",
        "max_output_tokens": 100,
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                {"type": "input_image", "image_url": "https://x/a.png"},
                {"type": "input_text", "text": "What is it?"},
            ]},
            {"role": "assistant", "content": "Let me see."},
            {"type": "function_call", "call_id": "t1", "name": "f", "arguments": '{"n":1.5}'},
            {"type": "function_call", "call_id": "t2", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "t1", "output": "one"},
            {"type": "function_call_output", "call_id": "t2", "output": [
                {"type": "input_text", "text": "two"},
                {"type": "input_image", "image_url": "https://x/b.png"},
            ]},
            {"role": "user", "content": [{"type": "input_text", "text": "And now?"}]},
            {"role": "assistant", "content": "A cat."},
        ],
        "temperature": 1, "top_p": 0.9,
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": SCHEMA}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"name": "answer", "type": "json_schema", "schema": SCHEMA}},
        "reasoning": {"effort": "high"},
        "user": "u", "metadata": {"team": "a"},
    }  # fmt: skip
    assert translation.problems == []
    assert translation.repairs == (
        "cache_control dropped",
        "thinking blocks dropped",
        "is_error of tool results dropped",
    )
    assert body == before


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"stop_sequences": ["x"]}, "stop_sequences"),
        ({"top_k": 5}, "top_k"),
        ({"service_tier": "standard_only"}, "service_tier"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
        (
            {"tools": [{"name": "f", "input_schema": {}, "defer_loading": True}]},
            "tools.0.defer_loading",
        ),
        ({"tool_choice": {"type": "most"}}, "tool_choice"),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            "tool_choice.disable_parallel_tool_use",
        ),
        ({"output_config": {"task_budget": 5}}, "output_config.task_budget"),
        ({"system": [{"type": "image"}]}, "system.0"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "document"}]}]},
            "messages.0.content.0",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}
                ]
            },
            "messages.0.content.0.source",
        ),
    ],
)
def test_what_messages_have_and_responses_lack(more: dict, field: str) -> None:
    """It is a problem under the field's own name."""
    translation = from_messages({"model": "m", "max_tokens": 5, "messages": HI, **more})
    assert [problem.field for problem in translation.problems] == [field]


def test_openais_own_responses() -> None:
    """What OpenAI's Responses say in another way is said in Valar's; a mistake stays a mistake."""
    body = {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {"role": "developer", "content": "d", "name": None},
            {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": "t", "annotations": [], "logprobs": None}]},
        ],
        "text": {"verbosity": "medium", "format": {"type": "text"}},
        "reasoning": {"effort": "low", "summary": None},
        "max_tokens": 5,
        "parallel_tool_calls": True, "store": False, "stream": False, "truncation": "disabled",
        "service_tier": "default", "previous_response_id": None, "safety_identifier": "s",
        "temperature": None,
    }  # fmt: skip
    before = deepcopy(body)
    translation = from_responses(body)
    assert translation.params == {
        "model": "m",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "system", "content": "d"},
            {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": "t", "annotations": []}]},
        ],
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": "low"},
        "max_tokens": 5,
    }  # fmt: skip
    assert translation.repairs == ("safety_identifier dropped", "store: false dropped")
    assert [translation.place(f"input.{n}.role") for n in range(3)] == [
        "instructions.role",
        "input.0.role",
        "input.1.role",
    ]
    assert body == before


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("max_output_tokens", "max_completion_tokens"),
        ("reasoning.effort", "reasoning_effort"),
        ("text.format.name", "response_format.json_schema.name"),
        ("input", "messages"),
        ("input.0.content.1.image_url", "messages.0.content.1.image_url.url"),
        ("input.0.content.1.detail", "messages.0.content.1.image_url.detail"),
        ("input.3.role", "messages.2.role"),
        ("tools.0.name", "tools.0.function.name"),
        ("temperature", "temperature"),
    ],
)
def test_places_lead_back_to_the_fields_of_the_body(path: str, place: str) -> None:
    """What is wrong in the params is named as the user wrote it."""
    image = {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x"}, image]},
            {"role": "assistant", "content": "y", "tool_calls": [call]},
            {"role": "user", "content": "z"},
        ],
        "max_completion_tokens": 5,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n"}},
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
    assert from_chat(body).place(path) == place


@given(st.one_of(
    st.tuples(st.just(from_chat), chat_bodies()),
    st.tuples(st.just(from_messages), messages_bodies()),
    st.tuples(st.just(from_responses), responses_bodies()),
))  # fmt: skip
def test_what_is_translated_without_problems_is_taken(case) -> None:
    """Whatever a valid body says, its translation passes the check or names what it lacks."""
    translate, body = case
    before = deepcopy(body)
    translation = translate(body)
    assert body == before
    assert translation.problems or check_params(translation.params, windows=BATCH_WINDOWS) == []


@given(st.sampled_from([from_chat, from_messages, from_responses]), JUNK)
def test_nothing_makes_a_translation_fail(translate, body: dict) -> None:
    """What is no body at all is left to the check; nothing given is changed."""
    before = deepcopy(body)
    translation = translate(body)
    assert body == before
    assert all(isinstance(problem.field, str) for problem in translation.problems)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "function", "name": {}},
        {"role": "assistant", "function_call": {"name": []}},
        {"role": "assistant", "tool_calls": [{"type": "custom", "id": {}, "custom": {}}]},
        {"role": "assistant", "tool_calls": {"id": 1}},
        {"role": {}, "content": [[]]},
    ],
)
def test_names_that_are_no_text(message: dict) -> None:
    """What should be a name and is none is left to the check, too."""
    translation = from_chat({"model": "m", "messages": [message]})
    assert translation.problems or check_params(translation.params, windows=BATCH_WINDOWS)
