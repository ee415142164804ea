"""libcurl's multi interface, plain: start GETs, take what has finished."""

from __future__ import annotations

import ipaddress
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import pycurl

from valar_batch.client.answers import Answer, distrust, proxy_failed
from valar_batch.client.outgoing import (
    UNREACHABLE_HINT,
    USER_AGENT,
    authorization,
    check_addresses,
    trusted_authorities,
)
from valar_batch.core.backoff import parse_retry_after
from valar_batch.errors import ConnectionFailed, RemoteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valar_batch.client.connection import Connection

Ticket = TypeVar("Ticket")

DISTRUST = frozenset({pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_ISSUER_ERROR})
UNUSABLE = frozenset(
    {
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_CRL_BADFILE,
        pycurl.E_URL_MALFORMAT,
        pycurl.E_UNSUPPORTED_PROTOCOL,
    }
)
"""Errors of the settings, which no repetition mends."""


class Finished(NamedTuple, Generic[Ticket]):
    """A GET that ended: with an answer, or with `error` and status 0."""

    ticket: Ticket
    status: int
    body: bytes
    headers: list[bytes]
    error: RemoteError | None


class Transfers(Generic[Ticket]):
    """GETs under way, at most `most` at once; a context manager for one thread.

    Measured with 200 connections against nginx on loopback: perform() and select() move 77,000
    GETs a second, socket_action() under epoll 53,000, for it comes back to Python five times per
    GET. Only with many idle connections is it the cheaper one.
    """

    def __init__(self, connection: Connection, most: int) -> None:
        check_addresses(connection)
        self._connection = connection
        self._options = _options(connection)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, most)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, most)
        self._idle: list[_Slot[Ticket]] = [self._slot()]
        self._busy: dict[pycurl.Curl, _Slot[Ticket]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._busy:
            self._multi.remove_handle(handle)
        for handle in [*self._busy, *(slot.handle for slot in self._idle)]:
            handle.close()
        self._multi.close()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._busy)

    def start(self, path: str, ticket: Ticket) -> None:
        """Begin the GET of a path below the base URL, quoted. `ticket` comes back with it."""
        slot = self._idle.pop() if self._idle else self._slot()
        slot.ticket = ticket
        slot.handle.setopt(pycurl.URL, self._connection.base_url + path)
        self._busy[slot.handle] = slot
        self._multi.add_handle(slot.handle)

    def finished(self, timeout: float) -> Iterator[Finished[Ticket]]:
        """Move the transfers and give those that ended, after at most about `timeout` seconds.

        What was started since the last call is sent before anything is waited for.
        """
        self._multi.perform()
        _, good, bad = self._multi.info_read()
        if not (good or bad):
            self._multi.select(timeout)
            return
        for handle in good:
            yield self._end(handle, None)
        for handle, code, text in bad:
            yield self._end(handle, self._mapped(handle, code, text))

    def answer(self, finished: Finished[Ticket]) -> Answer:
        """The whole answer, for the few that are not a result."""
        values: dict[str, str] = {}
        for line in finished.headers:
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                values[name.strip().lower()] = value.strip()
        return Answer(
            finished.status,
            finished.body,
            request_id=values.get("x-request-id"),
            retry_after=parse_retry_after(
                values.get("retry-after"), date=values.get("date"), now=time.time()
            ),
            location=values.get("location"),
        )

    def _slot(self) -> _Slot[Ticket]:
        try:
            return _Slot(self._options)
        except (pycurl.error, UnicodeError):
            # Not quoted: a proxy's URL may hold a password.
            raise UsageError(
                "libcurl cannot use these settings", hint="check the base URL and the proxy"
            ) from None

    def _end(self, handle: pycurl.Curl, error: RemoteError | None) -> Finished[Ticket]:
        slot = self._busy.pop(handle)
        self._multi.remove_handle(handle)
        self._idle.append(slot)
        status = 0 if error else handle.getinfo(pycurl.RESPONSE_CODE)
        return slot.empty(status, error)

    def _mapped(self, handle: pycurl.Curl, code: int, text: str) -> RemoteError:
        host = urlsplit(self._connection.base_url).hostname or ""
        if code in UNUSABLE:
            return RemoteError(f"{host} cannot be called: {text}", hint="check the settings")
        if code in DISTRUST:
            return distrust(host, text)
        proxy_status = handle.getinfo(pycurl.HTTP_CONNECTCODE)
        if proxy_status >= 300:
            return proxy_failed(text, wants_password=proxy_status == 407)
        return ConnectionFailed(f"no answer from {host}: {text}", hint=UNREACHABLE_HINT)


class _Slot(Generic[Ticket]):
    """An easy handle with what it has received; set up once, then only its URL changes."""

    __slots__ = ("chunks", "handle", "headers", "ticket")

    ticket: Ticket

    def __init__(self, options: dict[int, object]) -> None:
        self.handle = pycurl.Curl()
        self.chunks: list[bytes] = []
        self.headers: list[bytes] = []
        for option, value in options.items():
            self.handle.setopt(option, value)
        self.handle.setopt(pycurl.WRITEFUNCTION, self.chunks.append)
        self.handle.setopt(pycurl.HEADERFUNCTION, self.headers.append)

    def empty(self, status: int, error: RemoteError | None) -> Finished[Ticket]:
        """What was received; the slot is free for the next."""
        chunks = self.chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        # libcurl's callback is bound to this very list, so it is emptied and not replaced.
        headers = [] if status == 200 else self.headers.copy()
        self.headers.clear()
        ticket = self.ticket
        del self.ticket
        return Finished(ticket, status, body, headers, error)


def _options(connection: Connection) -> dict[int, object]:
    options: dict[int, object] = {
        pycurl.NOSIGNAL: 1,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
        pycurl.HTTPHEADER: [
            f"Authorization: {authorization(connection)}",
            "Accept: application/json",
        ],
        pycurl.USERAGENT: USER_AGENT,
        pycurl.TCP_NODELAY: 1,
        pycurl.TCP_KEEPALIVE: 1,
        pycurl.CONNECTTIMEOUT_MS: max(1, round(connection.connect_timeout * 1000)),
        pycurl.LOW_SPEED_LIMIT: 1,
        pycurl.LOW_SPEED_TIME: max(1, math.ceil(connection.read_timeout)),
        **_trust(connection),
        # Empty, not left out: libcurl would read http_proxy and no_proxy by itself.
        pycurl.PROXY: connection.proxy or "",
        pycurl.NOPROXY: "",
    }
    if not _is_loopback(connection.base_url):
        options[pycurl.ACCEPT_ENCODING] = "gzip"
    return options


def _trust(connection: Connection) -> dict[int, object]:
    place = trusted_authorities(connection)
    if Path(place).is_dir():
        # The file is taken away, for libcurl would trust that of its build as well.
        return {
            pycurl.CAINFO: None,
            pycurl.CAPATH: place,
            pycurl.PROXY_CAINFO: None,
            pycurl.PROXY_CAPATH: place,
        }
    return {pycurl.CAINFO: place, pycurl.PROXY_CAINFO: place}


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
