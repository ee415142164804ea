"""One `valar-batch serve` for all tests with the official clients, and the clients themselves."""

from __future__ import annotations

import anthropic
import openai
import pytest

from tests.conftest import Served


@pytest.fixture(scope="session")
def valar(tmp_path_factory):
    """A local Valar that answers at once; no test minds what another has sent."""
    served = Served(tmp_path_factory.mktemp("sdk") / "valar").start()
    yield served
    served.stop()


@pytest.fixture
def slow_valar(serve):
    """A local Valar that takes a second or two for each answer."""
    return serve("--latency", "2")


@pytest.fixture
def client(valar):
    """OpenAI's client. It never tries again, so that a test sees the first answer."""
    with openai.OpenAI(base_url=valar.base_url, api_key=valar.key, max_retries=0) as made:
        yield made


@pytest.fixture
def anthropic_url(valar):
    """What Anthropic's client takes as its base: it adds `/v1` itself."""
    return valar.base_url.removesuffix("/v1")


@pytest.fixture
def claude(valar, anthropic_url):
    """Anthropic's client, which sends an `auth_token` as a bearer."""
    with anthropic.Anthropic(base_url=anthropic_url, auth_token=valar.key, max_retries=0) as made:
        yield made
