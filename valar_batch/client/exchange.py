"""One HTTP call by httpx: retried while that helps, and every foreign error mapped."""

from __future__ import annotations

import random
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import httpx
import tenacity

from valar_batch.client.answers import UNDECODABLE, Answer, distrust, error_of, unreadable
from valar_batch.client.outgoing import (
    URL_VARIABLE,
    USER_AGENT,
    authorization,
    check_addresses,
    trusted_authorities,
)
from valar_batch.client.wires import Wires
from valar_batch.core.backoff import backoff_delay, parse_retry_after
from valar_batch.errors import ConnectionFailed, RemoteError, UsageError, ValarBatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from valar_batch.client.connection import Connection

Value = TypeVar("Value")

FOREIGN = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""The roots of everything that httpx raises on purpose."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A call failed with `error` and is made again after `delay` seconds.

    `attempt` counts the tries so far, from 1.
    """

    call: str
    attempt: int
    delay: float
    error: RemoteError


class Exchange:
    """Calls to one Valar over kept connections; safe to share between threads.

    `attempts` bounds the tries of one call; `sleep` and `jitter` (in [0, 1)) are seams for tests.
    Raises UsageError where the connection cannot be one.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        on_retry: Callable[[Retry], None] | None = None,
        attempts: int = 8,
        sleep: Callable[[float], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        check_addresses(connection)
        self._ending = threading.Event()
        self._connection = connection
        self._on_retry = on_retry
        self._attempts = attempts
        self._sleep = sleep or tenacity.sleep_using_event(self._ending)
        self._jitter = jitter
        self._client = _client(connection)
        self._wires = Wires()

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
        decode: Callable[[bytes], Value],
        *,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterable[bytes]] | None = None,
    ) -> Value:
        """Make a call until it succeeds, cannot succeed, or the attempts are used up.

        `path` is below the base URL, quoted. `body` is called anew for each try. `decode` turns
        the bytes of a 2xx answer into the value; what it raises for other bytes than Valar's
        becomes UnreadableAnswer. Raises the tree of errors: the last error, as it is.
        """
        answer: Answer | None = None

        def attempt() -> Value:
            nonlocal answer
            answer = None
            answer = self._send(method, path, headers, body)
            return self._read(answer, decode)

        def delay(state: tenacity.RetryCallState) -> float:
            return backoff_delay(
                state.attempt_number,
                jitter=self._jitter(),
                retry_after=answer.retry_after if answer else None,
            )

        def report(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if self._on_retry and isinstance(error, RemoteError):
                call = f"{method} {path.partition('?')[0]}"
                self._on_retry(Retry(call, state.attempt_number, state.upcoming_sleep, error))

        retrying = tenacity.Retrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self._attempts)
            | tenacity.stop_when_event_set(self._ending),
            wait=delay,
            retry=tenacity.retry_if_exception(is_transient),
            before_sleep=report,
            reraise=True,
        )
        return retrying(attempt)

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        body: Callable[[], Iterable[bytes]] | None,
    ) -> Answer:
        try:
            response = self._client.request(
                method,
                self._connection.base_url + path,
                headers=headers,
                content=body() if body else None,
                extensions={"trace": self._wires.trace},
            )
        except FOREIGN as error:
            mapped = error_from_httpx(error, self._client.base_url.host)
            # Without its chain: what h11 says of a header quotes it, and one of them is the key.
            raise mapped from None
        return Answer(
            response.status_code,
            response.content,
            request_id=response.headers.get("x-request-id"),
            retry_after=parse_retry_after(response.headers.get("retry-after"), now=time.time()),
            location=response.headers.get("location"),
        )

    def _read(self, answer: Answer, decode: Callable[[bytes], Value]) -> Value:
        secret = self._connection.api_key
        if not 200 <= answer.status < 300:
            raise error_of(answer, secret=secret)
        try:
            return decode(answer.body)
        except UNDECODABLE as error:
            raise unreadable(answer, str(error), secret=secret) from None


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later: only the error knows."""
    return isinstance(error, ValarBatchError) and error.is_transient


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
    if _is_distrust(error):
        return distrust(host, reason)
    return ConnectionFailed(f"no answer from {host}: {reason}")


def _is_distrust(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _trust(connection: Connection) -> ssl.SSLContext:
    """Trust the authorities; where no certificate will be seen, trust none, which is quick."""
    if urlsplit(connection.base_url).scheme == "http" and connection.proxy is None:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context(cafile=trusted_authorities(connection))


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
            f"{connection.ca_file} holds no certificates that can be read: {error.strerror}",
            hint="check SSL_CERT_FILE",
        ) from None
    except (httpx.InvalidURL, ValueError, ImportError):
        # Not quoted: a proxy's URL may hold a password.
        raise UsageError(
            "the proxy cannot be used", hint="it looks like http://host:port (check HTTPS_PROXY)"
        ) from None
