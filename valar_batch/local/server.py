"""The local Valar as a process: settings, a listening socket, and a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import math
import os
import re
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from valar_batch.errors import UsageError
from valar_batch.local.api.app import App
from valar_batch.local.api.connection import Connection
from valar_batch.local.leases import Leases
from valar_batch.local.rehearsal.fate import Odds
from valar_batch.local.source import Rehearsals
from valar_batch.local.state.store import Store
from valar_batch.local.webhooks import PATIENCE, PAUSES, Webhooks
from valar_batch.locks import InUse, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from valar_batch.local.api.exchange import Application
    from valar_batch.local.faults.plan import Plan
    from valar_batch.local.source import Source
    from valar_batch.local.upstream.settings import UpstreamSettings

logger = logging.getLogger(__name__)

STATE_FILE = "state.sqlite"
SERVER_LOCK = "server.lock"
KEY = re.compile(r"[!-~]+")
KEY_HINT = "any text will do: letters, digits and marks, without spaces"
GRACE = 10
"""Seconds that calls under way are given when the server stops."""
BACKLOG = 2048
SWITCH_INTERVAL = 0.0005
"""Seconds after which the thread that checks a large batch lets results be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a local Valar behaves.

    `latency` is the mean time in seconds that a request takes, `failure_share` the share of
    requests that fail, 0 to 1; both hold for what is created from then on. `api_keys` are the keys
    it takes, at least one. A webhook's receiver has `webhook_patience` seconds to answer; where it
    fails, it is called again after each of the `webhook_pauses`. With an `upstream` the answers are
    real, and nothing is rehearsed. With `faults` things go wrong by that plan.
    """

    api_keys: tuple[str, ...]
    latency: float = 0.0
    failure_share: float = 0.0
    webhook_patience: float = PATIENCE
    webhook_pauses: tuple[float, ...] = PAUSES
    upstream: UpstreamSettings | None = None
    faults: Plan | None = None

    def __post_init__(self) -> None:
        if not self.api_keys or not all(map(KEY.fullmatch, self.api_keys)):
            raise UsageError("the local Valar needs an API key", hint=KEY_HINT)
        if not 0 <= self.latency < math.inf:
            raise UsageError(f"latency is seconds from 0 on, not {self.latency:g}")
        if not 0 <= self.failure_share <= 1:
            raise UsageError(f"failure_share is between 0 and 1, not {self.failure_share:g}")
        if self.upstream and self.faults and any(self.faults.requests.odds):
            message = "an upstream decides what becomes of requests, not [requests] of the faults"
            raise UsageError(message, hint="take that table out of the plan")

    @property
    def odds(self) -> Odds:
        """The shares of requests that fail and that are cancelled."""
        fates = self.faults.requests.odds if self.faults else Odds()
        return fates if any(fates) else Odds(self.failure_share)

    @property
    def reservation_seconds(self) -> float:
        """How long an idempotency reservation holds."""
        return self.faults.reservation_seconds if self.faults else math.inf


class Server(uvicorn.Server):
    """Uvicorn, ended by its leases, and stopped by a signal without dying of it.

    `errands` are what runs beside the calls, from start to end.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        leases: Leases,
        started: Callable[[], None],
        errands: Sequence[Callable[[], Coroutine[None, None, None]]] = (),
    ) -> None:
        super().__init__(config)
        self._leases = leases
        self._started = started
        self._errands = errands
        self._under_way: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets)
        self._under_way = [asyncio.create_task(to_its_end(errand)) for errand in self._errands]
        self._started()

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop; asked ten times a second."""
        return await super().on_tick(counter) or self._leases.end_if_unused()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: let go of the leases, which would stay open for ever, and finish the calls."""
        self._leases.end()
        await super().shutdown(sockets)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take a signal as the wish to stop; uvicorn's own would raise it again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def to_its_end(errand: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run what goes on beside the calls; where it breaks, the calls go on without it."""
    try:
        await errand()
    except Exception:
        logger.exception("an errand of the local Valar ended")


def serve(
    host: str,
    port: int,
    state_folder: Path,
    settings: Settings,
    on_ready: Callable[[int], None],
    *,
    linger: float = math.inf,
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM, or `linger` seconds after the last lease.

    Port 0 is any free port; `on_ready` is told the real one, once calls are answered. A port or a
    state folder that is taken raises UsageError.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = state_folder / STATE_FILE
    # SQLite gives the files beside it the same mode.
    state.touch(mode=0o600)
    state.chmod(0o600)
    with (
        only_server(state_folder),
        listen(host, port) as listener,
        contextlib.closing(Store(state)) as store,
    ):
        leases = Leases(linger)
        webhooks = Webhooks(
            store, patience=settings.webhook_patience, pauses=settings.webhook_pauses
        )
        source = source_of(settings, store)
        config = uvicorn.Config(
            application(App(store, settings, leases, source), settings, leases),
            http=Connection,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE,
        )
        real_port = listener.getsockname()[1]
        errands = [webhooks.run, source.run]
        Server(config, leases, lambda: on_ready(real_port), errands).run([listener])


@contextlib.contextmanager
def only_server(state_folder: Path) -> Iterator[None]:
    """Hold a state folder. Two servers on one would each do the work that is begun."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(taken(state_folder / SERVER_LOCK))
        except InUse as error:
            message = f"another server is at work on {state_folder}: {error.holder}"
            hint = "use that one, end it, or give this one a home of its own: VALAR_BATCH_HOME"
            raise UsageError(message, hint=hint) from None
        yield


def source_of(settings: Settings, store: Store) -> Source:
    """Give where the answers come from."""
    if settings.upstream is None:
        return Rehearsals()
    from valar_batch.local.upstream.source import Upstream

    return Upstream(settings.upstream, store)


def application(app: App, settings: Settings, leases: Leases) -> Application:
    """Give the app, with faults around it if any are planned."""
    if settings.faults is None:
        return app
    from valar_batch.local.faults.app import Faulty

    return Faulty(app, settings.faults, leases)


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP because asyncio turns Nagle's algorithm off for such sockets alone; with it, the
    # body of an answer waits 40 ms for the acknowledgement of its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        hint = "choose another port; 0 takes any free one"
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from error
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
