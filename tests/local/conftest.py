"""A real local Valar in a process of its own, and a plain client for it."""

import http.client
import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

SERVE = """
import json, pathlib, sys
from valar_batch.local.faults.plan import read_plan
from valar_batch.local.server import Settings, serve
settings = json.loads(sys.argv[2])
if "faults" in settings:
    settings["faults"] = read_plan(settings["faults"], "the plan")
serve(
    "127.0.0.1",
    int(sys.argv[3]),
    pathlib.Path(sys.argv[1]),
    Settings(api_keys=tuple(settings.pop("api_keys")), **settings),
    lambda port: print(port, flush=True),
)
"""
KEY = "key-one"
OTHER_KEY = "key-two"
MODEL = "openai/gpt-oss-120b"


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict
    json: object

    @property
    def error(self):
        """The status and the inside of the error envelope, which must be all there is."""
        assert list(self.json) == ["error"]
        return self.status, self.json["error"]


class LocalServer:
    """A server process on a state folder."""

    key, other_key = KEY, OTHER_KEY

    def __init__(self, folder, **settings):
        settings = {"api_keys": [KEY, OTHER_KEY], **settings}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, folder, json.dumps(settings), "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.process.stdout.readline())

    def call(self, method, path, body=None, *, key=KEY, idempotency_key=None):
        """Make one call; a body that is not bytes is sent as JSON."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), json.loads(answer.read()))
        finally:
            connection.close()

    def get(self, path, **options):
        """GET what must be there."""
        reply = self.call("GET", path, **options)
        assert reply.status == 200, reply
        return reply.json

    def post(self, path, body, **options):
        """POST what must be taken."""
        reply = self.call("POST", path, body, **options)
        assert reply.status in (200, 202), reply
        return reply.json

    def kill(self):
        """End it as a power cut would."""
        self.process.kill()
        self.wait()

    def stop(self):
        """Ask it to end."""
        self.process.terminate()
        return self.wait()

    def wait(self):
        """Wait for the end, and give the exit status."""
        self.process.stdout.close()
        return self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for tests that do not mind each other."""
    running = LocalServer(tmp_path_factory.mktemp("valar"))
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path):
    """Start servers, by default on one state folder, one after the other."""
    running = []

    def starter(folder=tmp_path, **settings):
        running.append(LocalServer(folder, **settings))
        return running[-1]

    yield starter
    for one in running:
        if one.process.poll() is None:
            one.stop()


def params(text="Is it good?", **more):
    return {"model": MODEL, "input": text, **more}


def batch(*requests, **more):
    return {
        "endpoint": "/v1/responses",
        "requests": [{"custom_id": name, "params": content} for name, content in requests],
        **more,
    }


@pytest.fixture(name="params")
def params_maker():
    """Make valid params of a request."""
    return params


@pytest.fixture(name="batch")
def batch_maker():
    """Make a valid batch body from pairs of custom_id and params."""
    return batch
