"""The local Valar's memory: batches, requests, responses and reservations, in SQLite.

Every POST is one transaction, so a kill leaves all of it or none. What becomes of a request is
written down at its birth and read against the clock, so no work goes on in between and a restart
changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from valar_batch.core.identity import params_hash
from valar_batch.core.wire import Batch
from valar_batch.errors import StateError
from valar_batch.local.fate import fails, settling_delay
from valar_batch.local.idempotency import find_reserved, reserve
from valar_batch.local.refusals import not_found, refuse
from valar_batch.local.schema import SCHEMA, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from valar_batch.local.idempotency import Arrival
    from valar_batch.local.intake import NewBatch

RUNNING = "running"

BATCH = "SELECT id, request_counts, CAST(created AS INTEGER), label FROM batches WHERE id = ?"
PAGE = """SELECT id, request_counts, CAST(created AS INTEGER), label FROM batches
WHERE number > ? AND number < ? ORDER BY number DESC LIMIT ?"""
NEWEST = "SELECT created FROM batches ORDER BY number DESC LIMIT 1"
ITEM = """SELECT params, params_hash, created, due, iif(due > :now, 'running', fate)
FROM items WHERE batch_id = :id AND custom_id = :custom_id"""
RESPONSE = """SELECT params, params_hash, created, due, iif(due > :now, 'running', fate)
FROM singles WHERE id = :id"""
# SQLite puts this text together several times faster than Python would, and lets go of the
# interpreter lock meanwhile. Custom_ids fit a pattern that needs no escaping.
REQUEST_STATUS = """SELECT '{' || group_concat(
    '"' || custom_id || '":{"status":"' || upper(iif(due > :now, 'running', fate)) || '"}', ','
) || '}' FROM items WHERE batch_id = :id"""
COUNTS = "SELECT coalesce(sum(times), 0), count(*) FROM executed"
REPEATED = "SELECT * FROM executed WHERE times > 1 ORDER BY custom_id, params_hash"


class StoredRequest(NamedTuple):
    """A request, with its status (running, completed, failed) at the time of asking.

    `created` and `due`, when it settles, are Unix time in seconds.
    """

    params: bytes
    params_hash: bytes
    created: float
    due: float
    status: str


class Repeated(msgspec.Struct, frozen=True):
    """A request that was executed more than once; single responses have no custom_id."""

    custom_id: str | None
    params_hash: str
    count: int


class Executions(msgspec.Struct, frozen=True):
    """The judge of "paid twice": all executions, how many differ, and which were repeated."""

    total: int
    distinct: int
    repeated: list[Repeated]


class Store:
    """The state in one file. One writer at a time; every thread reads on its own connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        self._writer = self._connect()
        self._writer.execute("PRAGMA journal_mode = WAL")
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            self.close()
            message = f"{path} was written by a newer version"
            raise StateError(message, hint="upgrade valar-batch, or move the file away")
        if version == 0:
            self._writer.executescript(SCHEMA)
        self.salt: bytes = self._writer.execute("SELECT value FROM salt").fetchone()[0]

    def close(self) -> None:
        """Close every connection; no other thread may be using the store."""
        for connection in self._connections:
            connection.close()

    def reserved(self, arrival: Arrival) -> str | None:
        """Give the record that a POST made before, if it is a repeat.

        The same idempotency key with another body raises RequestRefused.
        """
        return find_reserved(self._reader, arrival)

    def add_batch(
        self,
        batch: NewBatch,
        arrival: Arrival,
        *,
        now: float,
        latency: float,
        failure_share: float,
    ) -> str:
        """Write a batch down and give its id, or that of the batch which the same POST made."""
        with self._writing() as connection:
            record = find_reserved(connection, arrival)
            if record is not None:
                return record
            # Clients page by created_at, so that must never go back where the clock does.
            newest = connection.execute(NEWEST).fetchone()
            created = max(now, newest[0]) if newest else now
            query = "SELECT count(*) FROM batches WHERE body_sha256 = ?"
            before = connection.execute(query, (arrival.body_sha256,)).fetchone()[0]
            record = derived_id("batch", arrival.body_sha256, before)
            number = connection.execute(
                "INSERT INTO batches (id, label, created, request_counts, body_sha256) "
                "VALUES (?, ?, ?, ?, ?)",
                (record, batch.label, created, len(batch.requests), arrival.body_sha256),
            ).lastrowid
            hashed = ((request, params_hash(request.params)) for request in batch.requests)
            connection.executemany(
                "INSERT INTO requests (batch, custom_id, delay, fails, params_hash, params) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (
                        number,
                        request.custom_id,
                        settling_delay(digest, position, latency),
                        fails(digest, failure_share),
                        digest,
                        request.params,
                    )
                    for position, (request, digest) in enumerate(hashed)
                ),
            )
            reserve(connection, arrival, record)
            return record

    def add_response(
        self, params: bytes, arrival: Arrival, *, now: float, latency: float, failure_share: float
    ) -> str:
        """Write a single response down and give its id, or that of the same POST before."""
        with self._writing() as connection:
            record = find_reserved(connection, arrival)
            if record is not None:
                return record
            digest = params_hash(params)
            query = "SELECT count(*) FROM responses WHERE params_hash = ?"
            before = connection.execute(query, (digest,)).fetchone()[0]
            record = derived_id("resp", digest, before)
            delay = settling_delay(digest, 0, latency)
            connection.execute(
                "INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?)",
                (record, now, delay, fails(digest, failure_share), digest, params),
            )
            reserve(connection, arrival, record)
            return record

    def batch(self, batch_id: str) -> Batch:
        """Give a batch, or raise NotFound."""
        row = self._reader.execute(BATCH, (batch_id,)).fetchone()
        if row is None:
            raise not_found(f"there is no batch {batch_id!r}")
        return Batch(*row)

    def batches(
        self, limit: int, *, after_id: str | None = None, before_id: str | None = None
    ) -> list[Batch]:
        """Give a page of batches, newest first.

        Only those created after or before the named batches, if named; an unknown name raises
        RequestRefused.
        """
        above = 0 if after_id is None else self._number(after_id, "after_id")
        below = 2**62 if before_id is None else self._number(before_id, "before_id")
        return [Batch(*row) for row in self._reader.execute(PAGE, (above, below, limit))]

    def request_status(self, batch_id: str, now: float) -> str:
        """Give the JSON object `request_status` of a batch, words in upper case."""
        query = {"id": batch_id, "now": now}
        joined: str = self._reader.execute(REQUEST_STATUS, query).fetchone()[0]
        return joined

    def item(self, batch_id: str, custom_id: str, now: float) -> StoredRequest:
        """Give a request of a batch, or raise NotFound."""
        query = {"id": batch_id, "custom_id": custom_id, "now": now}
        row = self._reader.execute(ITEM, query).fetchone()
        if row is None:
            raise not_found(f"there is no request {custom_id!r} in a batch {batch_id!r}")
        return StoredRequest(*row)

    def response(self, response_id: str, now: float) -> StoredRequest:
        """Give a single response's request, or raise NotFound."""
        row = self._reader.execute(RESPONSE, {"id": response_id, "now": now}).fetchone()
        if row is None:
            raise not_found(f"there is no response {response_id!r}")
        return StoredRequest(*row)

    def executions(self) -> Executions:
        """Count what was executed by custom_id and params, whatever the idempotency keys."""
        reader = self._reader
        total, distinct = reader.execute(COUNTS).fetchone()
        return Executions(
            total,
            distinct,
            [
                Repeated(name, digest.hex(), times)
                for name, digest, times in reader.execute(REPEATED)
            ],
        )

    def _number(self, batch_id: str, param: str) -> int:
        row = self._reader.execute(
            "SELECT number FROM batches WHERE id = ?", (batch_id,)
        ).fetchone()
        if row is None:
            refuse(f"there is no batch {batch_id!r}", param)
        number: int = row[0]
        return number

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=60, isolation_level=None, check_same_thread=False
        )
        # In WAL mode this survives a killed process; a power cut may take back the last POST, but
        # then its record and its reservation together.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        self._connections.append(connection)
        return connection

    @property
    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._thread, "connection", None)
        if connection is None:
            connection = self._thread.connection = self._connect()
        return connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")


def derived_id(kind: str, digest: bytes, before: int) -> str:
    """Give a record's id: from what was sent, and how often the same was sent before."""
    place = digest + before.to_bytes(8)
    return f"{kind}_{hashlib.blake2b(place, digest_size=12).hexdigest()}"
