"""Repeats of a POST: what tells them, and the reservation that keeps them from running twice.

Source: API reference, Idempotency. A reservation belongs to an API key and is bound to the body;
it is written in the transaction that writes its record, so a kill cannot come between the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valar_batch.local.refusals import IDEMPOTENCY, refused

if TYPE_CHECKING:
    import sqlite3

# A reservation is as old as its record.
FIND = """SELECT endpoint, body_sha256, record FROM reservations
WHERE api_key = ? AND idempotency_key = ? AND ? <= coalesce(
    (SELECT created FROM batches WHERE id = record),
    (SELECT created FROM responses WHERE id = record)
)"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A POST as idempotency sees it: whose it is, where it goes, and its body.

    `api_key` is a fingerprint, never the key; `idempotency_key` is None where none was sent.
    Reservations of records from before `since`, in Unix time, have expired.
    """

    api_key: str
    endpoint: str
    body_sha256: bytes
    idempotency_key: str | None = None
    since: float = -math.inf


def find_reserved(connection: sqlite3.Connection, arrival: Arrival) -> str | None:
    """Give the record under this API key and idempotency key; RequestRefused if it is another's."""
    if arrival.idempotency_key is None:
        return None
    row = connection.execute(
        FIND, (arrival.api_key, arrival.idempotency_key, arrival.since)
    ).fetchone()
    if row is None:
        return None
    endpoint, body_sha256, record = row
    if (endpoint, body_sha256) != (arrival.endpoint, arrival.body_sha256):
        message = "this Idempotency-Key was used with another body"
        raise refused(message, "Idempotency-Key", kind=IDEMPOTENCY)
    found: str = record
    return found


def reserve(connection: sqlite3.Connection, arrival: Arrival, record: str) -> None:
    """Bind a POST's idempotency key, where it has one, to the record that the POST made."""
    if arrival.idempotency_key is not None:
        connection.execute(
            "INSERT OR REPLACE INTO reservations VALUES (?, ?, ?, ?, ?)",  # one that has expired
            (
                arrival.api_key,
                arrival.idempotency_key,
                arrival.endpoint,
                arrival.body_sha256,
                record,
            ),
        )
