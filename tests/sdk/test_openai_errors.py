"""OpenAI's client: every refusal is an error of its own, with the field where there is one."""

from __future__ import annotations

import openai
import pytest

from tests.conftest import MODEL
from valar_batch.core.prices import shipped_prices

HELLO = [{"role": "user", "content": "Hello"}]


def test_models(client) -> None:
    """The models are those of the shipped table."""
    assert [model.id for model in client.models.list()] == list(shipped_prices().models)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"instructions": "be brief"}, "instructions"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"stream": True}, "stream"),
        ({"store": False}, "store"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format.type"),
        ({"include": ["reasoning.encrypted_content"]}, "include"),
        ({"extra_body": {"max_tokens": 5}}, "max_tokens"),
    ],
)
def test_a_response_that_is_refused(client, fields, param) -> None:
    """The error names the field, and its number can be quoted."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=MODEL, input="Hello", **fields)
    error = refused.value
    assert (error.type, error.status_code) == ("invalid_request_error", 400)
    assert error.param == param or error.param.startswith(f"{param}.")
    assert error.request_id.startswith("req_")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"seed": 1}, "seed"),
        ({"stop": ["."]}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"frequency_penalty": 1}, "frequency_penalty"),
        ({"store": False}, "store"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"verbosity": "low"}, "verbosity"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"temperature": 3, "stream": True}, "temperature"),
    ],
)
def test_a_completion_that_is_refused(client, fields, param) -> None:
    """As plain JSON, also where a stream was asked for."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=HELLO, **fields)
    error = refused.value
    assert error.type == "invalid_request_error"
    assert error.param == param or error.param.startswith(f"{param}.")
    assert error.request_id.startswith("req_")


def test_what_is_not_there(client) -> None:
    """Unknown responses, batches and calls."""
    for ask in (
        lambda: client.responses.retrieve("resp_0"),
        lambda: client.responses.delete("resp_0"),
        lambda: client.responses.cancel("resp_0"),
        lambda: client.get("/batches/batch_0", cast_to=dict),
        lambda: client.embeddings.create(model=MODEL, input="Hello"),
        client.files.list,
    ):
        with pytest.raises(openai.NotFoundError):
            ask()


def test_a_wrong_key(client) -> None:
    """Every call refuses it."""
    stranger = client.with_options(api_key="wrong")
    for ask in (
        stranger.models.list,
        lambda: stranger.responses.create(model=MODEL, input="Hello"),
        lambda: stranger.chat.completions.create(model=MODEL, messages=HELLO, stream=True),
    ):
        with pytest.raises(openai.AuthenticationError) as refused:
            ask()
        assert refused.value.type == "authentication_error"


def test_an_inference_that_fails(serve) -> None:
    """A response says so in its status; a completion, which has no such word, is a 500."""
    served = serve("--failure-share", "1")
    with openai.OpenAI(base_url=served.base_url, api_key=served.key, max_retries=0) as client:
        response = client.responses.create(model=MODEL, input="Hello")
        assert (response.status, response.error.code) == ("failed", "rehearsal_failure")
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError, match="drawn to fail") as failed:
                client.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)
            assert failed.value.type == "api_error"
