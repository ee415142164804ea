"""The control calls of Valar's API: create, watch and list batches, one result, the models."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import quote

import msgspec

from valar_batch.client.answers import NOT_MODIFIED
from valar_batch.client.clocks import awake
from valar_batch.client.exchange import Exchange, Retry
from valar_batch.core.backoff import UNREACHED_SECONDS
from valar_batch.core.rules import MAX_LIST_LIMIT
from valar_batch.core.wire import Batch, BatchStatus, Model, ModelList
from valar_batch.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from valar_batch.client.answers import Answer
    from valar_batch.client.connection import Connection
    from valar_batch.errors import RemoteError

__all__ = ["Retry", "Seen", "Valar", "batch_path", "result_path"]

Value = TypeVar("Value")

TRUSTED_TIMES = 10
"""So often in a row a server is believed that nothing changed, before the whole is asked for."""


def reading(shape: type[Value]) -> Callable[[Answer], Value]:
    """Give what reads an answer's JSON in that shape."""
    decode = msgspec.json.Decoder(shape).decode
    return lambda answer: decode(answer.body)


read_batch = reading(Batch)
read_page = reading(list[Batch])
read_status = reading(BatchStatus)
read_models = reading(ModelList)


def batch_path(batch_id: str) -> str:
    """Where a batch is, below the base URL."""
    return f"/batches/{quote(batch_id, safe='')}"


def result_path(batch_id: str, custom_id: str) -> str:
    """Where the result of one request is, below the base URL."""
    return f"{batch_path(batch_id)}/{quote(custom_id, safe='')}"


class Seen:
    """What was last seen of a batch's status, by which the same status is known again.

    An answer with the same bytes is not decoded. One that came with an ETag is not even sent again,
    if the server so wishes; Last-Modified would not do, since requests settle within its second.
    """

    def __init__(self) -> None:
        self._digest = b""
        self._etag: str | None = None
        self._times = 0

    def conditions(self) -> dict[str, str]:
        """Give the headers that ask for the status only where it changed."""
        if self._etag is None or self._times >= TRUSTED_TIMES:
            return {}
        return {"If-None-Match": self._etag}

    def read(self, answer: Answer) -> BatchStatus | None:
        """Read a status, and remember it; None where it is the same as before."""
        if answer.status == NOT_MODIFIED:
            self._times += 1
            return None
        digest = hashlib.sha256(answer.body).digest()
        status = read_status(answer) if digest != self._digest else None
        is_tag = answer.etag is not None and answer.etag.isascii()
        self._digest, self._etag, self._times = digest, answer.etag if is_tag else None, 0
        return status


class Valar:
    """Valar's control calls; a context manager, safe to share between threads.

    Each call is repeated while its error is transient, as Exchange says; `patience` is in seconds.
    Raises the RemoteError branch of the tree in errors.py, and no exception of the libraries
    below. `sleep`, `clock` and `jitter` are seams for tests.
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
        self._exchange = Exchange(
            connection,
            on_retry=on_retry,
            on_return=on_return,
            patience=patience,
            sleep=sleep,
            clock=clock,
            jitter=jitter,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def took(self) -> float:
        """Seconds of the last call, without the tries that failed before."""
        return self._exchange.took

    def stop_retrying(self) -> None:
        """Let every call under way end with its next error."""
        self._exchange.stop_retrying()

    def drop(self) -> None:
        """Let every call under way fail at once: the user wants to stop."""
        self._exchange.drop()

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def create_batch(
        self,
        body: Callable[[], Iterable[bytes]],
        size: int,
        idempotency_key: str,
        may_repeat: Callable[[RemoteError], bool] = lambda _: True,
    ) -> Batch:
        """Send a batch of `size` bytes (API reference: POST /batches).

        `body` gives the bytes piece by piece, anew for each try; every try carries the same
        idempotency key, so a try that arrived unheard is answered and not run again. A refusal
        that comes while the upload is under way is raised as that refusal. `may_repeat` hears
        each transient error, and may forbid the next try: then that error is raised.
        """
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(size),
            "Idempotency-Key": idempotency_key,
        }
        return self._exchange.call(
            "POST",
            "/batches",
            read_batch,
            headers=headers,
            body=lambda: exactly(size, body()),
            may_repeat=may_repeat,
        )

    def batch_status(self, batch_id: str) -> BatchStatus:
        """A batch with the status of each of its requests: some 5 MB for 100,000."""
        return self._exchange.call("GET", batch_path(batch_id), read_status)

    def changed_status(self, batch_id: str, seen: Seen) -> BatchStatus | None:
        """The same, or None where nothing changed since it was last read with `seen`."""
        return self._exchange.call(
            "GET", batch_path(batch_id), seen.read, headers=seen.conditions()
        )

    def list_batches(self) -> Iterator[Batch]:
        """Every batch of this key, each once, in no promised order.

        Ends at a page that is short or has nothing new, so a server that repeats itself cannot
        hold it.
        """
        seen: set[str] = set()
        path = f"/batches?limit={MAX_LIST_LIMIT}"
        cursor = ""
        while True:
            page = self._exchange.call("GET", path + cursor, read_page)
            fresh = {batch.id: batch for batch in page if batch.id not in seen}
            seen.update(fresh)
            yield from fresh.values()
            if len(page) < MAX_LIST_LIMIT or not fresh:
                return
            cursor = f"&before_id={quote(oldest_of(page).id, safe='')}"

    def models(self) -> list[Model]:
        """The models that Valar offers."""
        return self._exchange.call("GET", "/models", read_models).data


def oldest_of(page: Sequence[Batch]) -> Batch:
    """The batch before which the next page begins.

    Several batches can share the page's oldest second, with more of that second on the next page,
    and what "before" means among them is unpublished. So the page is continued before its
    second-oldest time: the oldest second comes again whole, and nothing is skipped.
    """
    oldest = min(batch.created_at for batch in page)
    later: Sequence[Batch] = [batch for batch in page if batch.created_at > oldest]
    return min(reversed(later or page), key=lambda batch: batch.created_at)


def exactly(size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Give the pieces on; raise StateError where they are not `size` bytes together.

    Each piece waits for the next to be known, so a wrong body never reaches the server whole.
    """
    left, held = size, b""
    for piece in filter(None, pieces):
        left -= len(piece)
        if left < 0:
            break
        yield held
        held = piece
    if left:
        raise StateError(
            f"a batch's body is not the {size:,} bytes that were prepared",
            hint="its file was changed or damaged; nothing of it was accepted",
        )
    yield held
