"""The running server against Valar's published description, where that is at hand.

`VALAR_OPENAPI` is its path. `VALAR_CONTRACT_EXAMPLES` is how many examples are drawn for each
operation, beside the thousand or so that cover its schema.
"""

import http.client
import json
import os
import shutil
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.conftest import Served
from tests.contract import chat
from tests.contract.description import amended, chunks_of, contradictions, drive, validator
from tests.contract.deviations import AMENDMENTS, PARAMS, REFUSALS

PUBLISHED = os.environ.get("VALAR_OPENAPI", "")
EXAMPLES = int(os.environ.get("VALAR_CONTRACT_EXAMPLES", "150"))

pytestmark = pytest.mark.skipif(
    not PUBLISHED, reason="VALAR_OPENAPI names no description of Valar's API"
)


@pytest.fixture(scope="module")
def published():
    """The description as Valar publishes it."""
    return json.loads(Path(PUBLISHED).read_text("utf-8"))


@contextmanager
def served(home, *options):
    """Serve, and keep the log from filling its pipe; whatever it says is for whoever looks."""
    valar = Served(home, options).start()
    log = threading.Thread(
        target=shutil.copyfileobj, args=(valar.process.stderr.raw, sys.stdout.buffer)
    )
    log.start()
    yield valar
    valar.process.terminate()
    log.join()
    valar.stop()


@pytest.fixture(scope="module")
def valar(tmp_path_factory):
    """A server whose requests take a moment, so that one in the background is seen unfinished."""
    with served(tmp_path_factory.mktemp("valar"), "--latency", "0.05") as running:
        yield running


@pytest.fixture
def quick(tmp_path):
    """A server that answers at once."""
    with served(tmp_path) as running:
        yield running


def call(valar, method, path, body=None, **headers):
    """Make one call: its status and its JSON."""
    headers = {"Authorization": f"Bearer {valar.key}", **headers}
    content = body if body is None or isinstance(body, bytes) else json.dumps(body)
    with closing(http.client.HTTPConnection("127.0.0.1", valar.port, timeout=60)) as connection:
        connection.request(method, f"/v1{path}", content, headers)
        answer = connection.getresponse()
        content = answer.read()
        is_json = answer.getheader("Content-Type") == "application/json"
        return answer.status, json.loads(content) if is_json else content


@pytest.mark.parametrize("deviation", [*AMENDMENTS, *REFUSALS], ids=lambda each: each.what)
def test_deviations_occur(published, valar, deviation):
    """Each of them is seen on a real answer, and no amendment leaves a contradiction."""
    for method, path, body in deviation.witness:
        status, answer = call(valar, method, path, body, **deviation.headers)
    seen = (method, path, body, status, answer)
    assert list(contradictions(published, *seen))
    expected = ["refused, though valid"] if deviation in REFUSALS else []
    assert list(contradictions(amended(published, AMENDMENTS), *seen)) == expected


@pytest.mark.parametrize(
    "case", [case for case in chat.CASES if case.param is None], ids=lambda each: each.name
)
def test_chunks_are_what_is_described(published, valar, case):
    """Whatever Chat Completions take comes as a stream of described chunks, too."""
    body = {**case.body(chat.VALID), "stream": True, "stream_options": {"include_usage": True}}
    status, stream = call(valar, "POST", "/chat/completions", body)
    chunks = chunks_of(stream)
    described = validator(published, "#/components/schemas/ChatCompletionChunk")
    for chunk in chunks:
        described.validate(chunk)
    assert (status, chunks[-1]["choices"]) == (200, [])
    assert chunks[-1]["usage"]["total_tokens"] > 0


def with_examples(description, **ids):
    """Name things that exist where a path asks for them."""
    for operations in description["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter.get("name") in ids:
                    parameter["example"] = ids[parameter["name"]]
    return description


@pytest.mark.filterwarnings("default")  # those of others, about what they find in the description
def test_the_server_is_what_is_described(published, quick, capsys):
    """No fault, no answer outside the description, nothing taken that it forbids."""
    items = [{"custom_id": "a", "params": PARAMS}]
    body = {"endpoint": "/v1/responses", "requests": items}
    _, batch = call(quick, "POST", "/batches", body)
    _, response = call(quick, "POST", "/responses", PARAMS)
    ids = {"batch_id": batch["id"], "custom_id": "a", "response_id": response["id"]}
    description = with_examples(amended(published, AMENDMENTS), **ids)
    findings = drive(description, quick.base_url, quick.key, EXAMPLES, REFUSALS)
    with capsys.disabled():
        sys.stdout.write(f"\n{findings.figures()}\n")
    assert not findings.errors, "\n".join(findings.errors)
    assert not findings.failures, "\n\n".join(
        f"{where}: {findings.failures[where]}\n{first}" for where, first in findings.first.items()
    )
    asked = {label for label, _ in findings.examples}
    answered = {label for label, status in findings.examples if status == 200}
    described = {
        f"{method.upper()} {path}"
        for path, operations in published["paths"].items()
        for method in operations
    }
    assert asked == answered == described
    assert findings.chunks
