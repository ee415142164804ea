"""The webhooks that are owed: what asks for one, and the rows that outlive a killed server.

Source: API reference, Webhooks. A row is written in the transaction that writes its request.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


class Webhook(NamedTuple):
    """Where a finished request is told, and the token that goes along."""

    url: str
    token: str | None


class Callback(NamedTuple):
    """A webhook that is due: the id of its response, and how often it was tried."""

    response_id: str
    tries: int


class Metadata(msgspec.Struct, frozen=True):
    """The metadata that ask for a webhook."""

    completion_webhook: Any = None
    webhook_token: Any = None


class Params(msgspec.Struct, frozen=True):
    """The params of a request, as far as webhooks go."""

    metadata: Metadata | None = None


PARAMS = msgspec.json.Decoder(Params)


def webhook_of(params: bytes) -> Webhook | None:
    """Give the webhook that a checked request asks for; an unusable one is none.

    A token that no header can carry is left out.
    """
    metadata = PARAMS.decode(params).metadata
    if metadata is None or not is_usable(metadata.completion_webhook):
        return None
    token = metadata.webhook_token
    if not (isinstance(token, str) and token.isascii() and token.isprintable()):
        token = None
    return Webhook(metadata.completion_webhook, token or None)


@lru_cache(maxsize=64)
def is_usable(url: Any) -> bool:
    """Whether a value is an http or https URL with a host."""
    if not isinstance(url, str):
        return False
    import httpx  # only where something is called

    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)


def owe_for_items(connection: sqlite3.Connection, items: Iterable[tuple[str, int]]) -> None:
    """Write callbacks down for batch items, given by response id and position in the table."""
    query = "INSERT INTO callbacks (response, due) SELECT ?, due FROM items WHERE position = ?"
    connection.executemany(query, items)


def owe_for_single(connection: sqlite3.Connection, response_id: str) -> None:
    """Write a callback down for a single response."""
    query = "INSERT INTO callbacks (response, due) SELECT id, due FROM singles WHERE id = ?"
    connection.execute(query, (response_id,))


def due_callbacks(connection: sqlite3.Connection, now: float, limit: int) -> list[Callback]:
    """Give the callbacks that are due, the oldest first."""
    query = "SELECT response, tries FROM callbacks WHERE due <= ? ORDER BY due LIMIT ?"
    return [Callback(*row) for row in connection.execute(query, (now, limit))]


def next_due(connection: sqlite3.Connection, now: float) -> float:
    """Give when the next callback after `now` is due; infinity if none is known."""
    query = "SELECT coalesce(min(due), 9e999) FROM callbacks WHERE due > ?"
    found: float = connection.execute(query, (now,)).fetchone()[0]
    return found


def set_due(connection: sqlite3.Connection, response_id: str, due: float) -> None:
    """Say when a callback is due, now that its request is settled."""
    connection.execute("UPDATE callbacks SET due = ? WHERE response = ?", (due, response_id))


def put_off(connection: sqlite3.Connection, response_id: str, due: float) -> None:
    """Count a try in vain, and say when the next is due."""
    query = "UPDATE callbacks SET due = ?, tries = tries + 1 WHERE response = ?"
    connection.execute(query, (due, response_id))


def strike_off(connection: sqlite3.Connection, response_id: str) -> None:
    """Owe a callback no longer."""
    connection.execute("DELETE FROM callbacks WHERE response = ?", (response_id,))
