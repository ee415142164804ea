"""Ways between the command line and a local Valar."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Cli, Finished, Served
from tests.network.ways import ConnectProxy, Relay, tls


@pytest.fixture
def ways():
    """Keep what is to be closed when the test ends."""
    opened = []
    yield opened
    for way in opened:
        way.close()


@pytest.fixture
def make_relay(ways):
    """Make relays to a served Valar; with a `certificate` they speak TLS."""

    def make(served: Served, certificate: str = "") -> Relay:
        relay = Relay(served.port, tls(certificate) if certificate else None)
        ways.append(relay)
        return relay

    return make


@pytest.fixture
def make_proxy(ways):
    """Make CONNECT proxies."""

    def make(answer: bytes = b"") -> ConnectProxy:
        proxy = ConnectProxy(answer)
        ways.append(proxy)
        return proxy

    return make


class Job:
    """40 rows in four batches, and what is right about their output."""

    def __init__(self, folder):
        self.path = folder / "in.jsonl"
        self.out = folder / "out.jsonl"
        rows = [{"prompt": f"word {n}"} for n in range(40)]
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def arguments(self, command: str) -> tuple:
        recipe = ("--model", "openai/gpt-oss-120b", "--batch-size", "10")
        whole = {"run": (self.path, *recipe, "--to", self.out), "submit": (self.path, *recipe)}
        return (command, *whole.get(command, ("--to", self.out)))

    def run(self, cli: Cli, command: str = "run", *more: object, code: int = 0) -> Finished:
        return cli(*self.arguments(command), *more, code=code)

    def check(self, served: Served) -> None:
        """Every row has its own answer, and each request was executed once."""
        rows = [json.loads(line) for line in self.out.read_text().splitlines()]
        assert [row["prompt"] for row in rows] == [f"word {n}" for n in range(40)]
        assert {row["status"] for row in rows} == {"completed"}
        assert all(row["prompt"] in row["output_text"] for row in rows)
        assert served.executions() == {"total": 40, "distinct": 40, "repeated": []}


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)
