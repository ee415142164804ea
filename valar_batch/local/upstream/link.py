"""The way to the upstream: one call, its JSON, or an error of the tree. It never tries again."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import msgspec

from valar_batch import __version__
from valar_batch.core.backoff import parse_retry_after
from valar_batch.errors import (
    ApiError,
    BillingRefused,
    ConnectionFailed,
    KeyRefused,
    NotFound,
    RateLimited,
    RequestRefused,
    ServerFault,
    UnreadableAnswer,
)
from valar_batch.local.upstream.outlook import Unreached

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from valar_batch.local.upstream.settings import UpstreamSettings

CONNECT_TIMEOUT = 15.0
READ_TIMEOUT = 3600.0
"""Seconds without a byte. A laptop answers one request after the other, and thinks for long."""
QUESTION_TIMEOUT = 15.0
"""The same for what needs no thought."""
EXCERPT = 500
"""Characters at most that an error repeats of an answer which is not JSON."""

KINDS: dict[int, type[ApiError]] = {
    401: KeyRefused,
    402: BillingRefused,
    403: KeyRefused,
    404: NotFound,
    408: ServerFault,
    429: RateLimited,
}
TELL_NOTHING = frozenset({401, 402, 429, 502, 503})
"""Statuses that a server, or the proxy before it, gives whatever it was asked."""
ANY = msgspec.json.Decoder()


class Link:
    """The connections to the upstream, with its key if it wants one.

    Proxies come from the usual variables; to this machine there is none.
    """

    def __init__(self, settings: UpstreamSettings) -> None:
        self._base_url = settings.base_url
        self._api_key = settings.api_key
        headers = {"User-Agent": f"valar-batch/{__version__}"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT, pool=None),
            limits=httpx.Limits(max_connections=None),
            trust_env=not settings.is_loopback,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def get(self, path: str) -> Any:
        """Ask for something that is there at once."""
        with self._foreign_errors():
            answer = await self._http.get(self._base_url + path, timeout=QUESTION_TIMEOUT)
        return self._value(answer)

    async def probe(self, path: str) -> int:
        """Give the status for a POST that no endpoint takes, and that costs nothing.

        One that says nothing of the endpoint is raised: the key, the pace, a server that is away.
        """
        with self._foreign_errors():
            answer = await self._http.post(self._base_url + path, json={}, timeout=QUESTION_TIMEOUT)
        if answer.status_code in TELL_NOTHING:
            self._refuse(answer)
        return answer.status_code

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Ask for an answer, and give its JSON."""
        with self._foreign_errors():
            answer = await self._http.post(
                self._base_url + path,
                content=msgspec.json.encode(body),
                headers={"Content-Type": "application/json"},
            )
        return self._value(answer)

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[Any, None]:
        """Ask for an answer bit by bit, and give the JSON of each event up to `[DONE]`."""
        with self._foreign_errors():
            async with self._http.stream(
                "POST",
                self._base_url + path,
                content=msgspec.json.encode(body),
                headers={"Content-Type": "application/json"},
            ) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    self._refuse(answer)
                async for line in answer.aiter_lines():
                    name, _, data = line.partition(":")
                    if name == "data" and data.strip() == "[DONE]":
                        return
                    if name == "data":
                        yield self._decode(data.encode())

    def _value(self, answer: httpx.Response) -> Any:
        if answer.status_code != 200:
            self._refuse(answer)
        return self._decode(answer.content)

    def _decode(self, content: bytes) -> Any:
        try:
            return ANY.decode(content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            text = self._conceal(excerpt(content))
            raise UnreadableAnswer(f"the upstream answered without JSON: {text}") from None

    def _refuse(self, answer: httpx.Response) -> NoReturn:
        """Raise the error that an answer stands for."""
        status = answer.status_code
        kind = KINDS.get(status, ServerFault if status >= 500 else RequestRefused)
        message, param, code = told_in(answer.content)
        error = kind(
            self._conceal(f"the upstream answered {status}: {message}"),
            status=status,
            param=param,
            code=code,
        )
        if isinstance(error, RateLimited):
            error.retry_after = parse_retry_after(
                answer.headers.get("Retry-After"),
                date=answer.headers.get("Date"),
                now=time.time(),
            )
        raise error

    def _conceal(self, text: str) -> str:
        """Strike the key out, should an answer repeat it."""
        return text.replace(self._api_key, "[key]") if self._api_key else text

    @contextlib.contextmanager
    def _foreign_errors(self) -> Iterator[None]:
        """Turn what httpx raises into the tree's errors, in this one place."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreached(f"the upstream cannot be reached: {error}") from error
        except httpx.TransportError as error:
            name = type(error).__name__
            raise ConnectionFailed(f"the upstream did not answer to the end ({name})") from error
        except httpx.DecodingError as error:
            raise UnreadableAnswer("the upstream's answer cannot be decompressed") from error


def told_in(content: bytes) -> tuple[str, str | None, str | None]:
    """Give the message, param and code in the body of an error, in any of the usual shapes.

    OpenAI has `{"error": {"message", …}}`, others `{"error": "…"}`, `{"message": "…"}` or
    `{"detail": …}`.
    """
    try:
        body = ANY.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return excerpt(content), None, None
    error = body.get("error")
    error = error if isinstance(error, dict) else body
    for told in (error.get("message"), body.get("error"), body.get("detail")):
        if told:
            message = told if isinstance(told, str) else msgspec.json.encode(told).decode()
            break
    else:
        message = excerpt(content)
    param, code = error.get("param"), error.get("code")
    return message, param and str(param), code and str(code)


def excerpt(content: bytes) -> str:
    """Give the beginning of a body on one line."""
    text = " ".join(content[: EXCERPT * 4].decode("utf-8", "replace").split())
    return (text[:EXCERPT] + "…" if len(text) > EXCERPT else text) or "nothing"
