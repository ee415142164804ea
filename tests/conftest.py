"""The real command line as a process, and a real local Valar for it to talk to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.crash.figures import pytest_terminal_summary  # noqa: F401 - a hook

COMMAND = (sys.executable, "-m", "valar_batch")
MODEL = "openai/gpt-oss-120b"

# As where it is installed: the commands find their modules compiled, once and not at each start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def environment(home: Path) -> dict[str, str]:
    """Give the environment of a command: a home, and without what only the tests depend on."""
    absent = str(Path(__file__).parent / "absent")
    path = os.pathsep.join(filter(None, (absent, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "VALAR_BATCH_HOME": str(home), "PYTHONPATH": path}


@dataclass
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass
class Cli:
    """The command line with a home folder and a target of its own."""

    home: Path
    environment: dict[str, str]
    started: list[subprocess.Popen] = field(default_factory=list)
    command: tuple[str, ...] = COMMAND

    def start(self, *arguments: object, **more: object) -> subprocess.Popen:
        """Start a command and do not wait for it; `more` is for Popen."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(
            [*self.command, *map(str, arguments)],
            env={**environment(self.home), **self.environment},
            start_new_session=True,
            **{**pipes, **more},
        )
        self.started.append(process)
        return process

    def __call__(self, *arguments: object, given: bytes = b"", code: int | None = 0) -> Finished:
        """Run a command to its end and check its exit status; None takes any."""
        process = self.start(*arguments)
        out, err = process.communicate(given, timeout=120)
        done = Finished(process.returncode, out.decode(), err.decode())
        assert code is None or done.code == code, f"exit {done.code}\n{done.out}\n{done.err}"
        return done

    def json(self, *arguments: object) -> object:
        """Run a command with --json and read what it prints."""
        return json.loads(self(*arguments, "--json").out)

    def elsewhere(self, home: Path, **environment: str) -> Cli:
        """Give the same command line with another home, key or setting."""
        return replace(self, home=home, environment={**self.environment, **environment})


@dataclass
class Served:
    """A `valar-batch serve` in a process of its own; `options` are its flags."""

    home: Path
    options: tuple[str, ...] = ()
    port: int = 0
    key: str = "the-key"
    process: subprocess.Popen | None = None

    def start(self) -> Served:
        """Start serving, on the same port as before if it served already."""
        arguments = ("serve", "--port", str(self.port), "--api-key", self.key, *self.options)
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stderr=subprocess.PIPE,
            env=environment(self.home),
            start_new_session=True,
        )
        for line in self.process.stderr:
            if b"VALAR_BASE_URL=" in line:
                self.port = int(line.split(b"/v1")[0].rpartition(b":")[2])
                return self
        raise AssertionError("the local Valar did not start")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal."""
        self.process.send_signal(number)
        self.process.wait(20)
        self.process.stderr.close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def get(self, path: str) -> object:
        """Ask it something, past our own client."""
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def set(self, **settings: object) -> None:
        """Change how it behaves from now on."""
        headers = {"Authorization": f"Bearer {self.key}"}
        url, body = f"http://127.0.0.1:{self.port}/local/settings", json.dumps(settings).encode()
        request = urllib.request.Request(url, body, headers)
        urllib.request.urlopen(request, timeout=20).close()  # noqa: S310 - loopback

    def executions(self) -> dict[str, object]:
        """What it executed: the judge of paid twice."""
        return self.get("/local/executions")

    def ran_once(self, requests: int) -> bool:
        """Whether it executed so many requests, and each of them once."""
        return self.executions() == {"total": requests, "distinct": requests, "repeated": []}


@pytest.fixture
def serve(tmp_path):
    """Start local Valars; each ends with the test."""
    running: list[Served] = []

    def start(*options: str, name: str = "valar") -> Served:
        served = Served(tmp_path / name, options).start()
        running.append(served)
        return served

    yield start
    for served in running:
        if served.process.poll() is None:
            served.stop()


@pytest.fixture
def valar(serve) -> Served:
    """A local Valar that answers at once."""
    return serve()


@pytest.fixture
def make_cli(tmp_path):
    """Make command lines for a served Valar, or for none; what they started ends with the test."""
    made: list[Cli] = []

    def make(served: Served | None = None, home: str = "home", **environment: str) -> Cli:
        target = {"VALAR_API_KEY": "", "VALAR_BASE_URL": ""}
        if served is not None:
            target = {"VALAR_API_KEY": served.key, "VALAR_BASE_URL": served.base_url}
        cli = Cli(tmp_path / home, {**target, "VALAR_LOCAL_LINGER": "1", **environment})
        made.append(cli)
        return cli

    yield make
    for cli in made:
        for process in cli.started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def cli(make_cli, valar) -> Cli:
    """The command line, pointed at the local Valar of this test."""
    return make_cli(valar)
