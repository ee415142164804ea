"""What the upstream is asked: params to the bodies of both endpoints."""

import pytest

from valar_batch.local.upstream.asking import NEW_LIMIT, chat_body, messages_of, responses_body

SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}}
TOOL = {"type": "function", "name": "look_up", "parameters": SCHEMA, "strict": True}
CUSTOM = {"type": "custom", "name": "note", "description": "Takes a note."}
EVERYTHING = {
    "model": "a-model",
    "input": {"messages": [{"role": "user", "content": "Is it good?"}]},
    "max_output_tokens": 99,
    "temperature": 0.5,
    "top_p": 0.9,
    "user": "me",
    "prompt_cache_key": "cache",
    "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}},
    "reasoning": {"effort": "low", "generate_summary": "auto"},
    "tools": [TOOL, CUSTOM],
    "tool_choice": {"type": "function", "name": "look_up"},
    "parallel_tool_calls": False,
    "include": ["message.output_text.logprobs"],
    "background": True,
    "store": True,
    "stream": False,
    "truncation": "disabled",
    "service_tier": "auto",
    "metadata": {
        "completion_window": "standard",
        "completion_webhook": "https://example.com",
        "webhook_token": "secret",
        "team": "red",
    },
}


def test_a_whole_request_for_responses():
    """What is Valar's alone stays here: windows, webhooks and its token, background, store."""
    assert responses_body(EVERYTHING, "other") == {
        "model": "other",
        "input": [{"role": "user", "content": "Is it good?"}],
        "max_output_tokens": 99,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "me",
        "prompt_cache_key": "cache",
        "text": EVERYTHING["text"],
        "reasoning": {"effort": "low", "generate_summary": "auto"},
        "tools": [TOOL, CUSTOM],
        "tool_choice": {"type": "function", "name": "look_up"},
        "parallel_tool_calls": False,
        "include": ["message.output_text.logprobs"],
        "metadata": {"team": "red"},
    }


def test_a_whole_request_for_chat():
    """Every setting that chat has a word for, under that word."""
    assert chat_body(EVERYTHING, "other") == {
        "model": "other",
        "messages": [{"role": "user", "content": "Is it good?"}],
        "max_tokens": 99,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "me",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
        },
        "reasoning_effort": "low",
        "tools": [
            {
                "type": "function",
                "function": {"name": "look_up", "parameters": SCHEMA, "strict": True},
            },
            {"type": "custom", "custom": {"name": "note", "description": "Takes a note."}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "look_up"}},
        "parallel_tool_calls": False,
        "logprobs": True,
    }


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {}),
        ({"max_output_tokens": None, "temperature": None, "tools": [], "metadata": None}, {}),
        ({"text": {"format": {"type": "text"}}}, {}),
        (
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": {"type": "json_object"}},
        ),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        ({"max_output_tokens": 7}, {NEW_LIMIT: 7}),
        ({"reasoning": {"effort": "none"}}, {"reasoning_effort": "none"}),
    ],
)
def test_single_settings_for_chat(more, expected):
    """What is null, empty or the default is not sent."""
    params = {"model": "m", "input": "hi", **more}
    plain = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert chat_body(params, "m", limit=NEW_LIMIT) == {**plain, **expected}


def test_nothing_optional_is_sent_to_responses_either():
    """A plain request stays plain."""
    params = {"model": "m", "input": "hi", "metadata": {"completion_window": "flex"}}
    assert responses_body(params, "m") == {"model": "m", "input": "hi"}


CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CUSTOM_CALL = {"type": "custom_tool_call", "call_id": "c2", "name": "n", "input": "x"}
CHAT_CUSTOM = {"id": "c2", "type": "custom", "custom": {"name": "n", "input": "x"}}


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        pytest.param("hi", [{"role": "user", "content": "hi"}], id="text"),
        pytest.param(
            [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}],
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
            id="a developer is a system",
        ),
        pytest.param(
            [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            [{"role": "user", "content": "hi"}],
            id="a single text is plain",
        ),
        pytest.param(
            [
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is it?"},
                        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
                        {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
                    ],
                }
            ],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "https://x/y.png", "detail": "low"},
                        },
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                    ],
                }
            ],
            id="images",
        ),
        pytest.param(
            [
                {"role": "user", "content": "hi"},
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "One moment."}],
                },
                CALL,
                CUSTOM_CALL,
                {"type": "function_call_output", "call_id": "c1", "output": "41"},
                {
                    "type": "custom_tool_call_output",
                    "call_id": "c2",
                    "output": [{"type": "input_text", "text": "4"}, {"type": "x", "text": "2"}],
                },
                CALL,
                {"type": "function_call_output", "call_id": "c1", "output": {"n": 1}},
            ],
            [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": "One moment.",
                    "tool_calls": [CHAT_CALL, CHAT_CUSTOM],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "41"},
                {"role": "tool", "tool_call_id": "c2", "content": "42"},
                {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": '{"n":1}'},
            ],
            id="a loop of tools",
        ),
        pytest.param(
            [
                {"role": "tool", "tool_call_id": "c1", "content": "41"},
                {
                    "role": "assistant",
                    "content": [{"type": "refusal", "refusal": "No."}],
                },
            ],
            [
                {"role": "tool", "tool_call_id": "c1", "content": "41"},
                {"role": "assistant", "content": "No."},
            ],
            id="a tool's message and a refusal",
        ),
    ],
)
def test_input_as_messages(source, messages):
    """Each item in its place, in any of the shapes of `input`, which stays as it was."""
    before = repr(source)
    assert messages_of(source) == messages
    if isinstance(source, list):
        assert messages_of({"messages": source}) == messages
    assert repr(source) == before
