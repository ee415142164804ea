"""OpenAI's client: responses, structured outputs, tools, images, polling."""

from __future__ import annotations

import asyncio

import openai
import pytest

from tests.conftest import MODEL
from tests.sdk.asking import PNG, SEES, Weather, until_completed

WEATHER = openai.pydantic_function_tool(Weather, name="weather")["function"]
TOOL = {"type": "function", **WEATHER}


def test_a_response_is_created_and_retrieved(client) -> None:
    """The answer is there at once, in the client's own types, and stays."""
    created = client.responses.create(model=MODEL, input="Hello there", metadata={"a": "b"})
    assert created.output_text == "[rehearsal] an answer would stand here, to: Hello there"
    assert (created.status, created.model, created.metadata) == ("completed", MODEL, {"a": "b"})
    assert [item.type for item in created.output] == ["reasoning", "message"]
    usage = created.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert 0 < usage.output_tokens_details.reasoning_tokens < usage.output_tokens
    assert client.responses.retrieve(created.id) == created


def test_every_setting_comes_back(client) -> None:
    """What is asked for is repeated, under the client's names."""
    created = client.responses.create(
        model=MODEL,
        input=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        ],
        max_output_tokens=400,
        temperature=0.5,
        top_p=0.9,
        user="me",
        reasoning={"effort": "low"},
        text={"format": {"type": "text"}},
        truncation="disabled",
        store=True,
        tool_choice="none",
        tools=[TOOL],
    )
    assert created.output_text == "[rehearsal] an answer would stand here, to: Hello"
    assert (created.max_output_tokens, created.temperature, created.top_p) == (400, 0.5, 0.9)
    assert (created.user, created.reasoning.effort) == ("me", "low")
    assert (created.text.format.type, created.truncation) == ("text", "disabled")
    assert (created.tool_choice, created.tools[0].name) == ("none", "weather")
    assert created.incomplete_details is None


def test_an_answer_that_its_limit_cuts_says_so(client) -> None:
    """It stays completed, and `incomplete_details` has the reason."""
    created = client.responses.create(model=MODEL, input="Hello", max_output_tokens=4)
    assert created.status == "completed"
    assert created.incomplete_details.reason == "max_output_tokens"
    assert created.usage.output_tokens == 4


def test_reasoning_is_summarised_or_switched_off(client) -> None:
    """A summary is there where it is asked for; effort `none` reasons nothing."""
    told = client.responses.create(
        model=MODEL, input="Hello", reasoning={"generate_summary": "concise"}
    )
    assert [part.text for part in told.output[0].summary] == [
        "[rehearsal] the reasoning would stand here"
    ]
    silent = client.responses.create(model=MODEL, input="Hello", reasoning={"effort": "none"})
    assert [item.type for item in silent.output] == ["message"]
    assert silent.usage.output_tokens_details.reasoning_tokens == 0


def test_logprobs_come_where_they_are_included(client) -> None:
    """One for each token of the text."""
    created = client.responses.create(
        model=MODEL, input="Hello", include=["message.output_text.logprobs"]
    )
    logprobs = created.output[1].content[0].logprobs
    assert "".join(entry.token for entry in logprobs) == created.output_text
    plain = client.responses.create(model=MODEL, input="Hello")
    assert plain.output[1].content[0].logprobs is None


def test_parse_gives_an_instance_of_the_model(client) -> None:
    """The schema that the client makes of a class is one that answers fit."""
    parsed = client.responses.parse(model=MODEL, input="Rome?", text_format=Weather)
    assert isinstance(parsed.output_parsed, Weather)
    assert parsed.text.format.name == "Weather"
    assert parsed.output_parsed == Weather.model_validate_json(parsed.output_text)


def test_a_tool_loop_comes_to_its_end(client) -> None:
    """Call, output, final text: under `auto` no second call follows what the tool gave."""
    conversation = [{"role": "user", "content": "How is the weather in Rome?"}]
    asked = client.responses.create(
        model=MODEL, input=conversation, tools=[TOOL], tool_choice="required"
    )
    [call] = [item for item in asked.output if item.type == "function_call"]
    assert call.name == "weather"
    Weather.model_validate_json(call.arguments)
    conversation += asked.output
    conversation.append(
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    )
    for number in range(8):  # under `auto` half of all requests would call
        answered = client.responses.create(
            model=MODEL, input=conversation, tools=[TOOL], user=str(number)
        )
        assert answered.output_text == (
            "[rehearsal] an answer would stand here, to: How is the weather in Rome?"
        )


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ({"type": "function", "name": "weather"}, "function_call"),
        ({"type": "custom", "name": "note"}, "custom_tool_call"),
        ("none", "message"),
    ],
)
def test_tool_choice_names_what_is_called(client, choice, kind) -> None:
    """A function, a custom tool, or nothing."""
    created = client.responses.create(
        model=MODEL,
        input="Hello",
        tools=[TOOL, {"type": "custom", "name": "note", "description": "Takes a note."}],
        tool_choice=choice,
    )
    last = created.output[-1]
    assert last.type == kind
    if kind == "custom_tool_call":
        assert (last.name, last.input) == (
            "note",
            "[rehearsal] an input for note would stand here",
        )


def test_pydantic_tools_are_parsed(client) -> None:
    """The client reads the arguments of a strict function as its model."""
    parsed = client.responses.parse(
        model=MODEL, input="Rome?", tools=[{**TOOL, "strict": True}], tool_choice="required"
    )
    assert Weather.model_validate(parsed.output[1].parsed_arguments)


def test_images_go_to_models_that_see(client) -> None:
    """A multimodal model takes an image; a text model refuses it by its name."""
    picture = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": PNG, "detail": "low"},
            ],
        }
    ]
    seen = client.responses.create(model=SEES, input=picture)
    assert seen.output_text == "[rehearsal] an answer would stand here, to: What is this?"
    with pytest.raises(openai.BadRequestError, match="does not support image input") as refused:
        client.responses.create(model=MODEL, input=picture)
    assert refused.value.param.startswith("input")


def test_background_is_polled(slow_valar) -> None:
    """It comes back before it is finished, and polling ends with the answer."""

    async def poll() -> openai.types.responses.Response:
        async with openai.AsyncOpenAI(
            base_url=slow_valar.base_url, api_key=slow_valar.key, max_retries=0
        ) as client:
            response = await client.responses.create(model=MODEL, input="Bye", background=True)
            while response.status in ("queued", "in_progress"):
                await asyncio.sleep(0.02)
                response = await client.responses.retrieve(response.id)
            return response

    with openai.OpenAI(
        base_url=slow_valar.base_url, api_key=slow_valar.key, max_retries=0
    ) as client:
        created = client.responses.create(model=MODEL, input="Hello", background=True)
        assert created.status in ("queued", "in_progress")
        assert (created.output, created.background) == (None, True)
        finished = until_completed(client, created)
    assert finished.id == created.id
    assert finished.output_text == "[rehearsal] an answer would stand here, to: Hello"
    other = asyncio.run(asyncio.wait_for(poll(), 30))
    assert other.output_text == "[rehearsal] an answer would stand here, to: Bye"


def test_the_same_key_gives_the_same_response(client) -> None:
    """A repeat under one idempotency key runs nothing; another body is refused."""
    once = {"Idempotency-Key": "responses-once"}
    first = client.responses.create(model=MODEL, input="Hello", extra_headers=once)
    assert client.responses.create(model=MODEL, input="Hello", extra_headers=once) == first
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=MODEL, input="Goodbye", extra_headers=once)
    assert refused.value.type == "idempotency_error"


def test_extra_body_reaches_the_server(client) -> None:
    """A field that the client has no name for is sent, and checked there."""
    flex = {"metadata": {"completion_window": "flex"}, "background": True}
    created = client.responses.create(model=MODEL, input="Hello", extra_body=flex)
    assert created.metadata == {"completion_window": "flex"}
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(
            model=MODEL, input="Hello", extra_body={"metadata": {"completion_window": "flex"}}
        )
    assert refused.value.param == "metadata.completion_window"


def test_the_async_client(valar) -> None:
    """Create, retrieve and parse, many at a time."""

    async def ask() -> None:
        async with openai.AsyncOpenAI(
            base_url=valar.base_url, api_key=valar.key, max_retries=0
        ) as client:
            made = await asyncio.gather(
                *(client.responses.create(model=MODEL, input=f"Say {n}") for n in range(20))
            )
            assert [one.output_text for one in made] == [
                f"[rehearsal] an answer would stand here, to: Say {n}" for n in range(20)
            ]
            assert await client.responses.retrieve(made[7].id) == made[7]
            parsed = await client.responses.parse(model=MODEL, input="Rome?", text_format=Weather)
            assert isinstance(parsed.output_parsed, Weather)

    asyncio.run(ask())


def test_a_batch_goes_through_the_raw_client(client) -> None:
    """Valar's batches are not OpenAI's: the client's plain calls create, follow and fetch one."""
    requests = [
        {"custom_id": f"row-{n}", "params": {"model": MODEL, "input": f"Say {n}"}} for n in range(3)
    ]
    batch = client.post(
        "/batches", cast_to=dict, body={"endpoint": "/v1/responses", "requests": requests}
    )
    assert batch["request_counts"] == 3
    status = client.get(f"/batches/{batch['id']}", cast_to=dict)
    assert status["request_status"] == {f"row-{n}": {"status": "COMPLETED"} for n in range(3)}
    response = client.get(f"/batches/{batch['id']}/row-2", cast_to=openai.types.responses.Response)
    assert response.output_text == "[rehearsal] an answer would stand here, to: Say 2"
    assert [one["id"] for one in client.get("/batches?limit=1", cast_to=list[dict])] == [
        batch["id"]
    ]
