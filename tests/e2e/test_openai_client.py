"""The official client of another vendor, pointed at `valar-batch serve`."""

from __future__ import annotations

import openai
import pytest

from tests.conftest import MODEL


def test_the_openai_client(valar) -> None:
    """It creates a response, retrieves it, lists the models, and meets real refusals."""
    with openai.OpenAI(base_url=valar.base_url, api_key=valar.key) as client:
        created = client.responses.create(model=MODEL, input="Sentiment of: I love it")
        assert created.output_text.startswith("[rehearsal] ")
        assert client.responses.retrieve(created.id).output_text == created.output_text
        assert MODEL in [model.id for model in client.models.list()]
        with pytest.raises(openai.BadRequestError, match="put a system message first"):
            client.responses.create(model=MODEL, input="x", instructions="be brief")
    with (
        openai.OpenAI(base_url=valar.base_url, api_key="wrong") as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()
