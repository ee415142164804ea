"""The way to the detached server, for commands: find it or start it, and hold a lease on it.

Under `<home>/local/`: `server.json`, where it listens; `token`, its API key; `state.sqlite`;
`server.log`; `elected.lock`. Nothing heavy is imported here.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from valar_batch.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

ANNOUNCEMENT = "server.json"
TOKEN = "token"  # noqa: S105 - a file's name
LOG = "server.log"
LOCK = "elected.lock"

LATENCY_VARIABLE = "VALAR_LOCAL_LATENCY"
FAILURE_SHARE_VARIABLE = "VALAR_LOCAL_FAILURE_SHARE"
LINGER_VARIABLE = "VALAR_LOCAL_LINGER"
DEFAULT_LINGER = 30.0

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds for a server to come up."""


class Announcement(msgspec.Struct, frozen=True):
    """What `server.json` says of a running server."""

    port: int
    pid: int
    version: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Keeps the server up, for as long as this is open and its process lives."""

    port: int
    api_key: str = field(repr=False)
    _connection: http.client.HTTPConnection = field(repr=False)
    _stream: http.client.HTTPResponse = field(repr=False)

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"http://{HOST}:{self.port}/v1"

    def close(self) -> None:
        """Give the lease back."""
        self._stream.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def ensure(home: Path, environ: Mapping[str, str] = os.environ) -> Lease:
    """Give a lease on the one server of `home`, which is started if there is none.

    `VALAR_LOCAL_LATENCY` (seconds) and `VALAR_LOCAL_FAILURE_SHARE` (0 to 1), by default 0, hold
    for what is created from then on. No server within half a minute is a StateError.
    """
    wanted = {
        name: read_number(environ, variable, 0.0)
        for name, variable in (
            ("latency", LATENCY_VARIABLE),
            ("failure_share", FAILURE_SHARE_VARIABLE),
        )
    }
    folder = folder_of(home)
    lease = obtain(home, folder)
    try:
        apply_settings(lease, wanted)
    except BaseException:
        lease.close()
        raise
    return lease


def obtain(home: Path, folder: Path) -> Lease:
    """Ask for a lease until a server grants it, starting a candidate whenever there is none.

    Asking again covers every race: a server that is not up yet, is ending, or has lost the
    election to another.
    """
    hint = f"its log is {folder / LOG}"
    candidate: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lease = ask(folder)
        if lease is not None:
            return lease
        ended = 0 if candidate is None else candidate.poll()
        if ended == 0:
            candidate = start(home, folder)
        elif ended is not None:
            raise StateError("the local Valar stopped as it started", hint=hint)
        time.sleep(0.05)
    raise StateError(f"the local Valar did not come up within {PATIENCE:g} s", hint=hint)


def ask(folder: Path) -> Lease | None:
    """Ask the announced server for a lease; None if there is none, or it grants none now."""
    try:
        announced = msgspec.json.decode((folder / ANNOUNCEMENT).read_bytes(), type=Announcement)
        token = (folder / TOKEN).read_text("ascii")
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    connection = http.client.HTTPConnection(HOST, announced.port, timeout=PATIENCE)
    with contextlib.ExitStack() as undo:
        undo.callback(connection.close)
        try:
            # After a crash the port may be a stranger's by now: the token is not for them.
            connection.request("GET", "/local/health")
            if json.load(connection.getresponse()).get("pid") != announced.pid:
                return None
            connection.request("GET", "/local/lease", headers=bearer(token))
            stream = connection.getresponse()
            undo.callback(stream.close)
            if stream.status != 200 or not stream.readline():
                return None
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            return None
        undo.pop_all()
        return Lease(announced.port, token, connection, stream)


def apply_settings(lease: Lease, wanted: Mapping[str, float]) -> None:
    """Tell the server how to behave from now on; what it refuses is a UsageError."""
    connection = http.client.HTTPConnection(HOST, lease.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        body = json.dumps(wanted)
        connection.request("POST", "/local/settings", body, bearer(lease.api_key))
        answer = connection.getresponse()
        content = json.load(answer)
    if answer.status != 200:
        hint = (
            f"set {LATENCY_VARIABLE} and {FAILURE_SHARE_VARIABLE} to what it takes, or to nothing"
        )
        raise UsageError(f"the local Valar refuses: {content['error']['message']}", hint=hint)


def start(home: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a candidate, apart from this command's terminal, signals and end."""
    command = [sys.executable, "-m", "valar_batch.local.detached", str(home.resolve())]
    with (folder / LOG).open("ab") as log:
        candidate = subprocess.Popen(  # noqa: S603 - our own module
            command,
            cwd=folder,
            # It outlives this command, and has no business with anybody's keys.
            env={k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            creationflags=getattr(subprocess, "DETACHED_PROCESS", 0)
            | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    # Reaps the server if this process outlives it.
    threading.Thread(target=candidate.wait, daemon=True).start()
    return candidate


def folder_of(home: Path) -> Path:
    """Give the local Valar's folder in `home`, made if need be and closed to others."""
    folder = home / "local"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def bearer(token: str) -> dict[str, str]:
    """Give the header that carries a key."""
    return {"Authorization": f"Bearer {token}"}


def read_number(environ: Mapping[str, str], variable: str, default: float) -> float:
    """Read a number from the environment."""
    text = environ.get(variable)
    try:
        return float(text) if text else default
    except ValueError:
        raise UsageError(f"{variable} is a number, not {text!r}") from None
