"""`serve --upstream` in front of a real OpenAI-compatible server: LiteLLM's proxy, from PyPI."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import openai
import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("litellm.yaml")
KEY = "sk-a-key-of-the-upstream-0123456789abcdef"
MODEL = "tiny"
TEXT = "label: good"
PATIENCE = 240
"""Seconds for the proxy to come up: it imports a lot."""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """The proxy's base URL; `make` sets it up where it is not there yet."""
    with FileLock(ROOT / ".venv-upstream.lock"):
        subprocess.run(["make", "-s", "upstream"], cwd=ROOT, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("litellm") / "log"
    command = [ROOT / ".venv-upstream/bin/litellm", "--config", CONFIG, "--host", "127.0.0.1"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # Its list of prices is in the package; without the variable it asks for a newer one.
    environment |= {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=log.parent,
            env=environment,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health/liveliness", process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - loopback
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"the proxy did not come up:\n{log.read_text()[-3000:]}")


@pytest.fixture
def forwarding(serve, proxy, monkeypatch):
    """A local Valar in front of the proxy."""
    monkeypatch.setenv("UPSTREAM_API_KEY", KEY)
    return serve("--upstream", proxy)


def test_a_batch_and_the_real_client(forwarding, make_cli, tmp_path):
    """A batch of 1,000 and OpenAI's client, in one test, so that one proxy does for both."""
    run_batch(forwarding, make_cli(forwarding), tmp_path)
    use_client(forwarding)


def run_batch(forwarding, cli, tmp_path):
    """Every row has the real server's answer, in order, and none was asked for twice."""
    rows = tmp_path / "rows.jsonl"
    lines = (json.dumps({"id": f"row-{n}", "prompt": f"Is {n} good?"}) for n in range(1000))
    rows.write_text("\n".join(lines) + "\n")
    out = tmp_path / "out.jsonl"
    cli("run", rows, "--model", MODEL, "--id", "id", "--to", out)
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    columns = ("custom_id", "status", "output_text", "error", "model", "attempts")
    assert [tuple(answer[name] for name in columns) for answer in answers] == [
        (f"row-{n}", "completed", TEXT, None, MODEL, 1) for n in range(1000)
    ]
    assert all(answer["input_tokens"] and answer["output_tokens"] for answer in answers)
    assert forwarding.executions() == {"total": 1000, "distinct": 1000, "repeated": []}


def use_client(forwarding):
    """Models, responses, chat and a stream."""
    messages = [{"role": "user", "content": "Is it good?"}]
    with openai.OpenAI(base_url=forwarding.base_url, api_key=forwarding.key, max_retries=0) as real:
        assert [model.id for model in real.models.list()] == [MODEL]
        assert real.responses.create(model=MODEL, input="Is it good?").output_text == TEXT
        whole = real.chat.completions.create(model=MODEL, messages=messages)
        chunks = list(
            real.chat.completions.create(
                model=MODEL,
                messages=messages,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    assert whole.choices[0].message.content == TEXT
    *events, usage = chunks
    assert "".join(event.choices[0].delta.content or "" for event in events) == TEXT
    assert len(events) > 3
    assert (usage.choices, usage.usage.total_tokens > 0) == ([], True)
