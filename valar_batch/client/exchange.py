"""One HTTP call by httpx: retried while that helps, and every foreign error mapped."""

from __future__ import annotations

import random
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import httpx
import tenacity

from valar_batch.client.answers import (
    NOT_MODIFIED,
    UNDECODABLE,
    Answer,
    distrust,
    error_of,
    proxy_failed,
    unreadable,
)
from valar_batch.client.clocks import awake, passed, rest
from valar_batch.client.outgoing import (
    UNREACHABLE_HINT,
    URL_VARIABLE,
    USER_AGENT,
    authorization,
    check_addresses,
    trusted_authorities,
)
from valar_batch.client.wires import Wires
from valar_batch.core.backoff import UNREACHED_SECONDS, Contact, next_try, parse_retry_after
from valar_batch.errors import (
    ApiError,
    ConnectionFailed,
    NotFound,
    RemoteError,
    ServerFault,
    UsageError,
    ValarBatchError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from valar_batch.client.connection import Connection

Value = TypeVar("Value")

FOREIGN = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""The roots of everything that httpx raises on purpose."""

UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""There was no connection yet, so nothing of the call has left."""

PROXY_REFUSES = "407 "
"""How httpx begins to tell of a proxy that answers so; it gives the status nowhere else."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A call failed with `error` and is made again after `delay` seconds.

    `attempt` counts its tries so far, from 1; `lasted` is for how many seconds no call succeeded.
    """

    call: str
    attempt: int
    delay: float
    error: RemoteError
    lasted: float = 0.0


class Exchange:
    """Calls to one Valar over kept connections; safe to share between threads.

    A call is repeated for `patience` seconds while the machine is awake, but for no more than a
    minute while nothing has answered yet. `on_retry` hears of the first failure of an outage, and
    now and then while it lasts, `on_return` of the seconds that it lasted. `sleep`, `clock` and
    `jitter` (in [0, 1)) are seams for tests. Raises UsageError where the connection cannot be one.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        on_retry: Callable[[Retry], None] = lambda _: None,
        on_return: Callable[[float], None] = lambda _: None,
        patience: float = UNREACHED_SECONDS,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = awake,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        check_addresses(connection)
        self._ending = threading.Event()
        self._connection = connection
        self._on_retry = on_retry
        self._on_return = on_return
        self._contact = Contact(patience)
        self._lock = threading.Lock()
        self._sleep = sleep or (lambda seconds: rest(seconds, self._ending))
        self._clock = clock
        self._jitter = jitter
        self._client = _client(connection)
        self._wires = Wires()
        self.took = 0.0
        """Seconds of the last try that succeeded."""

    def stop_retrying(self) -> None:
        """Let every call under way end with its next error instead of being tried again."""
        self._ending.set()

    def drop(self) -> None:
        """Let every call under way fail at once; what was sent of it may have arrived."""
        self._ending.set()
        self._wires.cut()

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        decode: Callable[[Answer], Value],
        *,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterable[bytes]] | None = None,
        may_repeat: Callable[[RemoteError], bool] = lambda _: True,
    ) -> Value:
        """Make a call until it succeeds, cannot succeed, or patience ends.

        `path` is below the base URL, quoted. `body` is called anew for each try. `decode` turns
        a 2xx answer into the value, or a 304 where `headers` ask for one; what it raises for other
        bytes than Valar's becomes UnreadableAnswer. `may_repeat` hears each transient error, and
        may forbid the next try. Raises the tree of errors: the last error, as it is.
        """
        since: float | None = None
        delay: float | None = None

        def attempt() -> Value:
            began = passed()
            answer = self._send(method, path, headers, body)
            value = self._read(answer, decode, is_conditional="If-None-Match" in (headers or ()))
            self.took = passed() - began
            self._answered()
            return value

        def is_repeated(state: tenacity.RetryCallState) -> bool:
            nonlocal since, delay
            error = state.outcome and state.outcome.exception()
            if not isinstance(error, RemoteError):
                return False
            now = self._clock()
            since = now if since is None else since
            delay = self._next_try(error, state.attempt_number, now - since)
            return may_repeat(error) and delay is not None and not self._ending.is_set()

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome and state.outcome.exception()
            if isinstance(error, RemoteError):
                call = f"{method} {path.partition('?')[0]}"
                self._tell(call, state.attempt_number, state.upcoming_sleep, error)

        # Whether and when to repeat is one decision, so it is made once, where tenacity asks first.
        retrying = tenacity.Retrying(
            retry=is_repeated,
            wait=lambda _: delay or 0.0,
            sleep=self._sleep,
            before_sleep=tell,
        )
        return retrying(attempt)

    def _next_try(self, error: RemoteError, failures: int, failing_for: float) -> float | None:
        """Seconds until the next try, or None."""
        with self._lock:
            # A server that names a time, or refuses in Valar's words, is there.
            if error.retry_after is not None or (
                isinstance(error, ApiError) and not isinstance(error, ServerFault)
            ):
                self._contact.has_answered |= not isinstance(error, NotFound)
            is_new = isinstance(error, NotFound) and not self._contact.has_answered
            if not error.is_transient or is_new:
                return None
            return next_try(
                failures,
                failing_for,
                patience=self._contact.limit,
                jitter=self._jitter(),
                retry_after=error.retry_after,
            )

    def _tell(self, call: str, attempt: int, delay: float, error: RemoteError) -> None:
        with self._lock:
            now = self._clock()
            if self._contact.failed(now, delay):
                lasted = self._contact.lasted(now)
                self._on_retry(Retry(call, attempt, delay, error, lasted))

    def _answered(self) -> None:
        with self._lock:
            lasted = self._contact.answered(self._clock())
            if lasted:
                self._on_return(lasted)

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        body: Callable[[], Iterable[bytes]] | None,
    ) -> Answer:
        try:
            with self._client.stream(
                method,
                self._connection.base_url + path,
                headers=headers,
                content=body() if body else None,
                extensions={"trace": self._wires.trace},
            ) as response:
                # Not response.read(): a response is a cycle, and would hold the body for a while.
                content = b"".join(response.iter_bytes())
        except FOREIGN as error:
            mapped = error_from_httpx(error, self._client.base_url.host)
            # Without its chain: what h11 says of a header quotes it, and one of them is the key.
            raise mapped from None
        return Answer(
            response.status_code,
            content,
            request_id=response.headers.get("x-request-id"),
            retry_after=parse_retry_after(
                response.headers.get("retry-after"),
                date=response.headers.get("date"),
                now=time.time(),
            ),
            location=response.headers.get("location"),
            etag=response.headers.get("etag"),
        )

    def _read(
        self, answer: Answer, decode: Callable[[Answer], Value], *, is_conditional: bool
    ) -> Value:
        secret = self._connection.api_key
        if not (200 <= answer.status < 300 or (is_conditional and answer.status == NOT_MODIFIED)):
            raise error_of(answer, secret=secret)
        try:
            return decode(answer)
        except UNDECODABLE as error:
            raise unreadable(answer, str(error), secret=secret) from None


def error_from_httpx(error: Exception, host: str) -> ValarBatchError:
    """The one place where httpx's exceptions become ours.

    Everything that can happen on the way is ConnectionFailed, the call having perhaps arrived.
    """
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return UsageError(f"the base URL cannot be called: {error}", hint=f"check {URL_VARIABLE}")
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.LocalProtocolError | httpx.StreamError | httpx.CookieConflict):
        return RemoteError(
            f"the call to {host} could not be made ({type(error).__name__})",
            hint="nothing was accepted: the bytes on disk changed under way, or it is a bug",
        )
    refusal = _refusal_of_certificate(error)
    if refusal is not None:
        return distrust(host, refusal.verify_message, refusal.verify_code)
    if isinstance(error, httpx.ProxyError):
        return proxy_failed(reason, wants_password=reason.startswith(PROXY_REFUSES))
    failed = ConnectionFailed(f"no answer from {host}: {reason}", hint=UNREACHABLE_HINT)
    failed.may_have_arrived = not isinstance(error, UNSENT)
    return failed


def _refusal_of_certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _trust(connection: Connection) -> ssl.SSLContext:
    """Trust the authorities; where no certificate will be seen, trust none, which is quick."""
    if urlsplit(connection.base_url).scheme == "http" and connection.proxy is None:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    place = trusted_authorities(connection)
    if Path(place).is_dir():
        return ssl.create_default_context(capath=place)
    return ssl.create_default_context(cafile=place)


def _client(connection: Connection) -> httpx.Client:
    headers = {"Authorization": authorization(connection), "User-Agent": USER_AGENT}
    try:
        return httpx.Client(
            base_url=connection.base_url,
            headers=headers,
            verify=_trust(connection),
            proxy=connection.proxy,
            timeout=httpx.Timeout(connection.read_timeout, connect=connection.connect_timeout),
            follow_redirects=False,
            trust_env=False,
        )
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"{connection.ca_bundle} holds no certificates that can be read: {error.strerror}",
            hint="check --ca-bundle or SSL_CERT_FILE: a PEM file of authorities",
        ) from None
    except (httpx.InvalidURL, ValueError, ImportError):
        # Not quoted: a proxy's URL may hold a password.
        raise UsageError(
            "the proxy cannot be used", hint="it looks like http://host:port (check HTTPS_PROXY)"
        ) from None
