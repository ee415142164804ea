"""OpenAI's client: chat completions, whole and streamed, structured outputs and tools."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest

from tests.conftest import MODEL
from tests.sdk.asking import PNG, SEES, Weather

HELLO = [{"role": "user", "content": "Hello there"}]
ANSWER = "[rehearsal] an answer would stand here, to: Hello there"
REASONING = "[rehearsal] the reasoning would stand here"
WEATHER = openai.pydantic_function_tool(Weather, name="weather")
NOTE = {"type": "custom", "custom": {"name": "note", "description": "Takes a note."}}


def test_a_completion(client) -> None:
    """Exactly one choice, with the reasoning beside the text, and details in the usage."""
    completion = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "developer", "content": "Be kind."}, *HELLO],
        max_completion_tokens=2_000,
        temperature=0.5,
        top_p=0.9,
        user="me",
        n=1,
        store=True,
        parallel_tool_calls=True,
        reasoning_effort="low",
        metadata={"a": "b"},
    )
    [choice] = completion.choices
    assert (choice.message.content, choice.message.reasoning_content) == (ANSWER, REASONING)
    assert (choice.message.role, choice.message.tool_calls) == ("assistant", None)
    assert (choice.finish_reason, choice.logprobs) == ("stop", None)
    assert (completion.system_fingerprint, completion.service_tier) == (None, None)
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens is not None


def test_no_reasoning(client) -> None:
    """Effort `none` reasons nothing, whole and streamed."""
    quiet = {"model": MODEL, "messages": HELLO, "reasoning_effort": "none"}
    completion = client.chat.completions.create(**quiet)
    assert completion.choices[0].message.reasoning_content is None
    assert completion.usage.completion_tokens_details.reasoning_tokens == 0
    for chunk in client.chat.completions.create(**quiet, stream=True):
        assert not hasattr(chunk.choices[0].delta, "reasoning_content")


def test_an_answer_that_its_limit_cuts_says_stop(client) -> None:
    """`length` never comes back."""
    completion = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_completion_tokens=4
    )
    assert (completion.choices[0].finish_reason, completion.usage.completion_tokens) == ("stop", 4)


def test_a_stream_says_what_a_completion_says(client) -> None:
    """Reasoning, then text, token by token, the end, and the usage last of all."""
    asked = {"model": MODEL, "messages": HELLO, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    *spoken, end, usage = chunks
    deltas = [chunk.choices[0].delta for chunk in spoken]
    assert deltas[0].role == "assistant"
    reasoning = [getattr(delta, "reasoning_content", None) for delta in deltas]
    content = [delta.content for delta in deltas]
    assert "".join(filter(None, reasoning)) == REASONING
    assert "".join(filter(None, content)) == ANSWER
    assert min(len(list(filter(None, texts))) for texts in (reasoning, content)) > 3
    assert {chunk.choices[0].finish_reason for chunk in spoken} == {None}
    assert end.choices[0].finish_reason == "stop"
    assert (usage.choices, [chunk.usage for chunk in (*spoken, end)]) == (
        [],
        [None] * (len(spoken) + 1),
    )
    assert usage.usage.total_tokens == usage.usage.prompt_tokens + usage.usage.completion_tokens


def test_no_usage_unless_asked(client) -> None:
    """The last chunk is the one with the finish_reason."""
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.usage for chunk in chunks} == {None}


def test_the_streaming_helper(client) -> None:
    """It tells the deltas, parses the answer, and puts the completion together."""
    with client.chat.completions.stream(
        model=MODEL,
        messages=HELLO,
        response_format=Weather,
        stream_options={"include_usage": True},
    ) as stream:
        kinds = [event.type for event in stream]
        completion = stream.get_final_completion()
    assert kinds.count("content.delta") > 3
    assert kinds.count("content.done") == 1
    [choice] = completion.choices
    assert choice.message.parsed == Weather.model_validate_json(choice.message.content)
    assert completion.usage.total_tokens > 0


def test_tool_calls_are_streamed_whole(client) -> None:
    """One event has all of a call, so the helper sees one delta of its arguments."""
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, tools=[WEATHER], tool_choice="required"
    ) as stream:
        events = [event for event in stream if event.type.startswith("tool_calls")]
        [choice] = stream.get_final_completion().choices
    assert [event.type.rpartition(".")[2] for event in events] == ["delta", "done"]
    assert events[0].arguments_delta == events[1].arguments
    [call] = choice.message.tool_calls
    assert isinstance(call.function.parsed_arguments, Weather)
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)


def test_parse_gives_an_instance_of_the_model(client) -> None:
    """As an answer by response_format, and as the arguments of a tool."""
    parsed = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Weather)
    assert isinstance(parsed.choices[0].message.parsed, Weather)
    called = client.chat.completions.parse(
        model=MODEL, messages=HELLO, tools=[WEATHER], tool_choice="required"
    )
    [call] = called.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Weather)


def test_json_object_is_an_object(client) -> None:
    """The looser format, which only chat has."""
    completion = client.chat.completions.create(
        model=MODEL, messages=HELLO, response_format={"type": "json_object"}
    )
    assert json.loads(completion.choices[0].message.content) == {"answer": ANSWER}


def test_a_tool_loop_comes_to_its_end(client) -> None:
    """Call, output, final text: what the tool gave is answered with text."""
    conversation = [{"role": "user", "content": "How is the weather?"}]
    asked = client.chat.completions.create(
        model=MODEL,
        messages=conversation,
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "weather"}},
    )
    message = asked.choices[0].message
    [call] = message.tool_calls
    assert (call.type, call.function.name) == ("function", "weather")
    Weather.model_validate_json(call.function.arguments)
    # A message has no other fields here than these: not what was reasoned, and no refusal.
    conversation += [
        message.model_dump(include={"role", "content", "tool_calls"}),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    for number in range(8):  # under `auto` half of all requests would call
        answered = client.chat.completions.create(
            model=MODEL, messages=conversation, tools=[WEATHER], user=str(number)
        )
        assert answered.choices[0].message.content == (
            "[rehearsal] an answer would stand here, to: How is the weather?"
        )


def test_a_custom_tool(client) -> None:
    """It is given text, whole and streamed."""
    asked = {
        "model": MODEL,
        "messages": HELLO,
        "tools": [WEATHER, NOTE],
        "tool_choice": {"type": "custom", "custom": {"name": "note"}},
    }
    whole = client.chat.completions.create(**asked)
    [call] = whole.choices[0].message.tool_calls
    given = {"name": "note", "input": "[rehearsal] an input for note would stand here"}
    assert (call.type, call.custom.to_dict()) == ("custom", given)
    calls = [
        call.to_dict()
        for chunk in client.chat.completions.create(**asked, stream=True)
        for call in chunk.choices[0].delta.tool_calls or ()
    ]
    assert [(call["index"], call["type"], call["custom"]) for call in calls] == [
        (0, "custom", given)
    ]


def test_images_go_to_models_that_see(client) -> None:
    """A multimodal model takes an image; a text model refuses it by its name."""
    picture = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
            ],
        }
    ]
    seen = client.chat.completions.create(model=SEES, messages=picture)
    assert seen.choices[0].message.content == (
        "[rehearsal] an answer would stand here, to: What is this?"
    )
    with pytest.raises(openai.BadRequestError, match="does not support image input") as refused:
        client.chat.completions.create(model=MODEL, messages=picture)
    assert refused.value.param.startswith("messages")


def test_the_same_key_gives_the_same_completion(client) -> None:
    """A repeat is the stored answer, streamed again where it was streamed."""
    once = {"Idempotency-Key": "chat-once"}
    first = client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=once)
    again = client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=once)
    assert again == first
    asked = {
        "model": MODEL,
        "messages": HELLO,
        "stream": True,
        "extra_headers": {"Idempotency-Key": "stream-once"},
    }
    assert list(client.chat.completions.create(**asked)) == list(
        client.chat.completions.create(**asked)
    )
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model=MODEL, messages=HELLO, temperature=1, extra_headers=once
        )
    assert refused.value.type == "idempotency_error"


def test_stored_completions_are_not_there(client) -> None:
    """They can be neither retrieved, nor listed, changed or deleted."""
    made = client.chat.completions.create(model=MODEL, messages=HELLO)
    stored = client.chat.completions
    for ask in (
        lambda: stored.retrieve(made.id),
        lambda: stored.update(made.id, metadata={}),
        lambda: stored.delete(made.id),
        lambda: stored.messages.list(made.id),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()


def test_the_async_client(valar) -> None:
    """Whole, streamed, parsed and through the helper, at the same time."""

    async def streamed(client: openai.AsyncOpenAI) -> str:
        chunks = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    async def helped(client: openai.AsyncOpenAI) -> str:
        async with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
            completion = await stream.get_final_completion()
        return completion.choices[0].message.content

    async def ask() -> None:
        async with openai.AsyncOpenAI(
            base_url=valar.base_url, api_key=valar.key, max_retries=0
        ) as client:
            whole, parsed, *texts = await asyncio.gather(
                client.chat.completions.create(model=MODEL, messages=HELLO),
                client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Weather),
                *(streamed(client) for _ in range(5)),
                *(helped(client) for _ in range(5)),
            )
            assert whole.choices[0].message.content == ANSWER
            assert isinstance(parsed.choices[0].message.parsed, Weather)
            assert texts == [ANSWER] * 10

    asyncio.run(ask())
