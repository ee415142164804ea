"""The official openai client works against the local Valar as it is."""

import openai
import pytest

from valar_batch.core.prices import shipped_prices


@pytest.fixture
def client(server):
    base_url = f"http://127.0.0.1:{server.port}/v1"
    with openai.OpenAI(base_url=base_url, api_key=server.key, max_retries=0) as made:
        yield made


def test_create_and_retrieve(client):
    """A response is created, and retrieved as the same object."""
    created = client.responses.create(model="openai/gpt-oss-120b", input="Hello there")
    assert created.output_text == "[rehearsal] an answer would stand here, to: Hello there"
    assert created.status == "completed"
    assert created.usage.total_tokens == created.usage.input_tokens + created.usage.output_tokens
    assert client.responses.retrieve(created.id) == created


def test_models(client):
    """The models are those of the shipped table."""
    assert [model.id for model in client.models.list()] == list(shipped_prices().models)


def test_errors(client, server):
    """The envelope is one that the client understands."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="openai/gpt-oss-120b", input="Hello", temperature=3)
    assert (refused.value.param, refused.value.type) == ("temperature", "invalid_request_error")
    assert refused.value.request_id.startswith("req_")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_0")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
