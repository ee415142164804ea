"""Anthropic's client: messages, structured outputs, images, and what Valar does not have."""

from __future__ import annotations

import asyncio

import anthropic
import pytest

from tests.conftest import MODEL
from tests.sdk.asking import PIXEL, SEES, Weather

HELLO = [{"role": "user", "content": "Hello there"}]
ANSWER = "[rehearsal] an answer would stand here, to: Hello there"
ASKED = {"model": MODEL, "max_tokens": 2_000, "messages": HELLO}


def test_a_message(claude) -> None:
    """One block of text, always `end_turn`, and two token counts."""
    message = claude.messages.create(**ASKED)
    assert message.to_dict() == {
        "id": message.id,
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": message.usage.input_tokens,
            "output_tokens": message.usage.output_tokens,
        },
    }
    assert message.usage.output_tokens > message.usage.input_tokens > 0


def test_a_conversation_with_settings(claude) -> None:
    """Turns of both roles and blocks of text; the last thing that the user said is answered."""
    message = claude.messages.create(
        model=MODEL,
        max_tokens=4,
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
            {"role": "assistant", "content": "Hi!"},
            {"role": "user", "content": "Hello there"},
        ],
        metadata={"user_id": "me"},
        extra_body={"temperature": 0.5, "top_p": 0.9},
    )
    assert ANSWER.startswith(message.content[0].text)
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 4)


def test_tools_are_taken_and_ignored(claude) -> None:
    """No tool is ever called, even where one has to be."""
    tool = {"name": "weather", "description": "The weather.", "input_schema": {"type": "object"}}
    message = claude.messages.create(**ASKED, tools=[tool], tool_choice={"type": "any"})
    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": ANSWER}]


def test_structured_outputs(claude) -> None:
    """By a class and by a schema."""
    parsed = claude.messages.parse(**ASKED, output_format=Weather)
    assert isinstance(parsed.parsed_output, Weather)
    schema = {"type": "object", "properties": {"a": {"const": 7}}, "required": ["a"]}
    message = claude.messages.create(
        **ASKED, output_config={"format": {"type": "json_schema", "schema": schema}}
    )
    assert '"a":7' in message.content[0].text


@pytest.mark.parametrize(
    "source",
    [
        {"type": "base64", "media_type": "image/png", "data": PIXEL},
        {"type": "url", "url": "https://example.org/picture.png"},
    ],
)
def test_images_go_to_models_that_see(claude, source) -> None:
    """A multimodal model takes an image; a text model refuses it by its name."""
    picture = [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": source},
                {"type": "text", "text": "Hello there"},
            ],
        }
    ]
    seen = claude.messages.create(model=SEES, max_tokens=2_000, messages=picture)
    assert seen.content[0].text == ANSWER
    with pytest.raises(anthropic.BadRequestError, match="does not support image input"):
        claude.messages.create(model=MODEL, max_tokens=2_000, messages=picture)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"system": "Be brief."}, "system"),
        ({"stream": True}, "stream"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1_024}}, "thinking"),
        ({"stop_sequences": ["."]}, "stop_sequences"),
        ({"extra_body": {"top_k": 5}}, "top_k"),
        ({"service_tier": "auto"}, "service_tier"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"extra_body": {"temperature": 1.5}}, "temperature"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
    ],
)
def test_what_is_refused(claude, fields, param) -> None:
    """In Valar's envelope: the body names the field."""
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(**{**ASKED, **fields})
    error = refused.value.body["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert refused.value.response.headers["x-request-id"].startswith("req_")


def test_the_streaming_helper_is_refused(claude) -> None:
    """As `stream` is."""
    with pytest.raises(anthropic.BadRequestError), claude.messages.stream(**ASKED):
        pass


def test_what_is_not_there(claude) -> None:
    """Neither token counts nor message batches."""
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.count_tokens(model=MODEL, messages=HELLO)
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.create(requests=[{"custom_id": "a", "params": ASKED}])
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.list()


def test_only_a_bearer_is_taken(valar, anthropic_url) -> None:
    """A key in x-api-key is refused, and the refusal says where it belongs."""
    with (
        anthropic.Anthropic(
            base_url=anthropic_url,
            auth_token="",
            max_retries=0,
            default_headers={"X-Api-Key": valar.key, "Authorization": anthropic.omit},
        ) as client,
        pytest.raises(anthropic.AuthenticationError, match="auth_token"),
    ):
        client.messages.create(**ASKED)
    with (
        anthropic.Anthropic(
            base_url=anthropic_url, auth_token=f"not {valar.key}", max_retries=0
        ) as client,
        pytest.raises(anthropic.AuthenticationError),
    ):
        client.messages.create(**ASKED)


def test_anthropics_idempotency_header(claude) -> None:
    """It does what Idempotency-Key does."""
    once = {"anthropic-idempotency-key": "message-once"}
    first = claude.messages.create(**ASKED, extra_headers=once)
    assert claude.messages.create(**ASKED, extra_headers=once) == first
    plain = {"Idempotency-Key": "message-once"}
    assert claude.messages.create(**ASKED, extra_headers=plain) == first
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(**{**ASKED, "max_tokens": 1}, extra_headers=once)
    assert refused.value.type == "idempotency_error"


def test_the_async_client(valar, anthropic_url) -> None:
    """Many at a time, and parsed."""

    async def ask() -> None:
        async with anthropic.AsyncAnthropic(
            base_url=anthropic_url, auth_token=valar.key, max_retries=0
        ) as client:
            parsed, *messages = await asyncio.gather(
                client.messages.parse(**ASKED, output_format=Weather),
                *(client.messages.create(**ASKED) for _ in range(10)),
            )
            assert isinstance(parsed.parsed_output, Weather)
            assert [message.content[0].text for message in messages] == [ANSWER] * 10

    asyncio.run(ask())
