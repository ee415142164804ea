"""The local Valar's memory: batches, requests, responses and reservations.

Every POST is one transaction, so a kill leaves all of it or none. What becomes of a rehearsed
request is written down at its birth and read against the clock, so no work goes on in between and
a restart changes nothing. An infinite latency means that the answers come from elsewhere: such
requests are unsettled until they are told to `begin` and to `settle`.
"""

# ruff: noqa: S608 - what is put into queries here is our own words
from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.identity import params_hash
from valar_batch.core.wire import Batch
from valar_batch.local.ids import (
    BATCH_PREFIX,
    PREFIXES,
    RESPONSES,
    derived_id,
    item_of,
    item_response_id,
)
from valar_batch.local.refusals import not_found, refuse
from valar_batch.local.rehearsal.fate import QUEUED_SHARE, fate, settling_delay
from valar_batch.local.state.bells import Bells
from valar_batch.local.state.callbacks import owe_for_items, owe_for_single, set_due, webhook_of
from valar_batch.local.state.database import Database
from valar_batch.local.state.idempotency import find_reserved, reserve
from valar_batch.local.state.records import StoredRequest, Unsettled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from valar_batch.local.rehearsal.fate import Odds
    from valar_batch.local.state.idempotency import Arrival
    from valar_batch.local.state.records import NewBatch, Request

NEW_WORK = "new work"
"""The bell that rings when something unsettled was added."""
CALLBACKS = "callbacks"
"""The bell that rings when a webhook is owed, or is due earlier than was known."""

BATCH = "SELECT id, request_counts, CAST(created AS INTEGER), label FROM batches WHERE id = ?"
PAGE = """SELECT id, request_counts, CAST(created AS INTEGER), label FROM batches
WHERE number > ? AND number < ? ORDER BY number DESC LIMIT ?"""
NEWEST = "SELECT created FROM batches ORDER BY number DESC LIMIT 1"
STORED = """params, params_hash, created, due, CASE
WHEN due <= :now THEN fate WHEN begins <= :now THEN 'in_progress' ELSE 'queued' END, answer"""
ITEM = f"""SELECT position - first, {STORED} FROM items
WHERE batch_id = :id AND custom_id = :custom_id"""
ITEM_AT = f"SELECT {STORED} FROM items WHERE batch_id = :id AND position = first + :place"
SINGLE = f"SELECT id, endpoint, {STORED} FROM singles WHERE id = :id"
# SQLite puts this text together several times faster than Python would, and lets go of the
# interpreter lock meanwhile. Custom_ids fit a pattern that needs no escaping.
REQUEST_STATUS = """SELECT '{"' || group_concat(
    custom_id || '":{"status":"' || CASE
        WHEN due <= :now THEN CASE fate
            WHEN 'completed' THEN 'COMPLETED' WHEN 'failed' THEN 'FAILED' ELSE 'CANCELLED'
        END WHEN begins <= :now THEN 'RUNNING' ELSE 'PENDING'
    END, '"},"'
) || '"}}' FROM items WHERE batch_id = :id"""
COUNTS = "SELECT coalesce(sum(times), 0), count(*) FROM executed"
REPEATED = "SELECT * FROM executed WHERE times > 1 ORDER BY custom_id, params_hash"

# 9e999 is how SQL writes infinity; in this very form it is what the indexes of the unsettled hold.
UNSETTLED_SINGLES = """SELECT id, endpoint, params, created FROM responses
WHERE delay = 9e999 AND wait = 9e999 ORDER BY rowid LIMIT ?"""
UNSETTLED_ITEMS = """SELECT id, position - first, params, created
FROM requests JOIN batches ON batch = number
WHERE delay = 9e999 AND wait = 9e999 ORDER BY position LIMIT ?"""
ITEM_PLACE = """SELECT position, created FROM batches JOIN requests ON batch = number
WHERE id = ? AND position = first + ?"""
SINGLE_PLACE = "SELECT rowid, created FROM responses WHERE id = ?"
BEGIN = {
    table: f"UPDATE {table} SET wait = ? WHERE rowid = ? AND delay = 9e999 AND wait = 9e999"
    for table in ("requests", "responses")
}
SETTLE = {
    table: f"UPDATE {table} SET delay = ?1, wait = min(wait, ?1), fails = ?2, answer = ?3 "
    "WHERE rowid = ?4 AND delay = 9e999"
    for table in ("requests", "responses")
}
START_AGAIN = "UPDATE {} SET wait = 9e999 WHERE delay = 9e999 AND wait < 9e999"


class Repeated(msgspec.Struct, frozen=True):
    """A request that was executed more than once; single requests have no custom_id."""

    custom_id: str | None
    params_hash: str
    count: int


class Executions(msgspec.Struct, frozen=True):
    """The judge of "paid twice": all executions, how many differ, and which were repeated."""

    total: int
    distinct: int
    repeated: list[Repeated]


class Store(Database):
    """The state in one file. `bells` are rung by the id of what is settled, and for NEW_WORK."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.bells = Bells()
        self.salt: bytes = self.reader.execute("SELECT value FROM salt").fetchone()[0]
        # Whoever had begun these is gone.
        with self.writing() as connection:
            for table in ("requests", "responses"):
                connection.execute(START_AGAIN.format(table))

    def reserved(self, arrival: Arrival) -> str | None:
        """Give the record that a POST made before, if it is a repeat.

        The same idempotency key with another body raises RequestRefused.
        """
        return find_reserved(self.reader, arrival)

    def add_batch(
        self,
        batch: NewBatch,
        arrival: Arrival,
        *,
        now: float,
        latency: float,
        odds: Odds,
    ) -> str:
        """Write a batch down and give its id, or that of the batch which the same POST made.

        With an infinite `latency` its requests are unsettled.
        """
        with self.writing() as connection:
            record = find_reserved(connection, arrival)
            if record is not None:
                return record
            # Clients page by created_at, so that must never go back where the clock does.
            newest = connection.execute(NEWEST).fetchone()
            created = max(now, newest[0]) if newest else now
            query = "SELECT count(*) FROM batches WHERE body_sha256 = ?"
            before = connection.execute(query, (arrival.body_sha256,)).fetchone()[0]
            record = derived_id(BATCH_PREFIX, arrival.body_sha256, before)
            query = "SELECT coalesce(max(position), 0) + 1 FROM requests"
            first = connection.execute(query).fetchone()[0]
            number = connection.execute(
                "INSERT INTO batches (id, label, created, request_counts, body_sha256, first) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (record, batch.label, created, len(batch.requests), arrival.body_sha256, first),
            ).lastrowid
            connection.executemany(
                "INSERT INTO requests "
                "(position, batch, custom_id, wait, delay, fails, params_hash, params) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (first + place, number, request.custom_id, *drawn, request.params)
                    for place, (request, drawn) in enumerate(
                        with_fates(batch.requests, latency, odds)
                    )
                ),
            )
            owe_for_items(
                connection,
                (
                    (item_response_id(record, place), first + place)
                    for place, request in enumerate(batch.requests)
                    if webhook_of(request.params)
                ),
            )
            reserve(connection, arrival, record)
        if math.isinf(latency):
            self.bells.ring(NEW_WORK)
        self.bells.ring(CALLBACKS)
        return record

    def add_single(
        self,
        params: bytes,
        arrival: Arrival,
        *,
        now: float,
        latency: float,
        odds: Odds,
        begun: bool = False,
    ) -> str:
        """Write a single request down and give its id, or that of the same POST before.

        `arrival` says which endpoint it came to. With an infinite `latency` it is unsettled;
        `begun` then keeps it from the others who answer such requests.
        """
        with self.writing() as connection:
            record = find_reserved(connection, arrival)
            if record is not None:
                return record
            digest = params_hash(params)
            query = "SELECT count(*) FROM responses WHERE params_hash = ?"
            before = connection.execute(query, (digest,)).fetchone()[0]
            record = derived_id(PREFIXES[arrival.endpoint], digest, before)
            delay = settling_delay(digest, 0, latency)
            wait = 0.0 if begun else delay * QUEUED_SHARE
            drawn = (wait, delay, fate(digest, odds), digest)
            connection.execute(
                "INSERT INTO responses "
                "(id, endpoint, created, wait, delay, fails, params_hash, params) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (record, arrival.endpoint, now, *drawn, params),
            )
            if arrival.endpoint == RESPONSES and webhook_of(params):
                owe_for_single(connection, record)
            reserve(connection, arrival, record)
        if math.isinf(latency) and not begun:
            self.bells.ring(NEW_WORK)
        self.bells.ring(CALLBACKS)
        return record

    def batch(self, batch_id: str) -> Batch:
        """Give a batch, or raise NotFound."""
        row = self.reader.execute(BATCH, (batch_id,)).fetchone()
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
        return [Batch(*row) for row in self.reader.execute(PAGE, (above, below, limit))]

    def request_status(self, batch_id: str, now: float) -> str:
        """Give the JSON object `request_status` of a batch, words in upper case."""
        query = {"id": batch_id, "now": now}
        joined: str = self.reader.execute(REQUEST_STATUS, query).fetchone()[0]
        return joined

    def item(self, batch_id: str, custom_id: str, now: float) -> StoredRequest:
        """Give a request of a batch, or raise NotFound."""
        query = {"id": batch_id, "custom_id": custom_id, "now": now}
        row = self.reader.execute(ITEM, query).fetchone()
        if row is None:
            raise not_found(f"there is no request {custom_id!r} in a batch {batch_id!r}")
        return StoredRequest(item_response_id(batch_id, row[0]), RESPONSES, *row[1:])

    def single(self, record_id: str, now: float) -> StoredRequest:
        """Give a single request, whatever endpoint it came to, or raise NotFound."""
        row = self.reader.execute(SINGLE, {"id": record_id, "now": now}).fetchone()
        if row is None:
            raise not_found(f"there is no response {record_id!r}")
        return StoredRequest(*row)

    def response(self, response_id: str, now: float) -> StoredRequest:
        """Give the request of a response, single or of a batch, or raise NotFound."""
        if item := item_of(response_id):
            query = {"id": item[0], "place": item[1], "now": now}
            row = self.reader.execute(ITEM_AT, query).fetchone()
            if row is not None:
                return StoredRequest(response_id, RESPONSES, *row)
        request = self.single(response_id, now)
        if request.endpoint != RESPONSES:
            raise not_found(f"there is no response {response_id!r}")
        return request

    def unsettled(self, limit: int) -> list[Unsettled]:
        """Give the oldest requests that wait for an answer and were not begun.

        Single ones come before those of batches: somebody waits for them.
        """
        rows = self.reader.execute(UNSETTLED_SINGLES, (limit,))
        found = [Unsettled(*row) for row in rows]
        for batch_id, place, params, created in self.reader.execute(
            UNSETTLED_ITEMS, (limit - len(found),)
        ):
            response_id = item_response_id(batch_id, place)
            found.append(Unsettled(response_id, RESPONSES, params, created))
        return found

    def begin(self, record_id: str, now: float) -> bool:
        """Mark an unsettled request as in progress; False if another did so before."""
        with self.writing() as connection:
            table, row, created = self._place(record_id)
            wait = max(0.0, now - created)
            return connection.execute(BEGIN[table], (wait, row)).rowcount == 1

    def settle(self, record_id: str, *, failed: bool, answer: bytes, now: float) -> None:
        """Give an unsettled request its answer: the JSON that is given from then on, as it is.

        One that is settled keeps the answer that it has.
        """
        with self.writing() as connection:
            table, row, created = self._place(record_id)
            delay = max(0.0, now - created)
            is_new = connection.execute(SETTLE[table], (delay, failed, answer, row)).rowcount == 1
            if is_new:
                set_due(connection, record_id, created + delay)
        self.bells.ring(record_id)
        self.bells.ring(CALLBACKS)

    def executions(self) -> Executions:
        """Count what was executed by custom_id and params, whatever the idempotency keys."""
        reader = self.reader
        total, distinct = reader.execute(COUNTS).fetchone()
        return Executions(
            total,
            distinct,
            [
                Repeated(name, digest.hex(), times)
                for name, digest, times in reader.execute(REPEATED)
            ],
        )

    def _place(self, record_id: str) -> tuple[str, int, float]:
        """Give the table and the row of a request, and when it was created."""
        item = item_of(record_id)
        row = item and self.reader.execute(ITEM_PLACE, item).fetchone()
        table = "requests"
        if not row:
            table = "responses"
            row = self.reader.execute(SINGLE_PLACE, (record_id,)).fetchone()
        if not row:
            raise not_found(f"there is no response {record_id!r}")
        return table, *row

    def _number(self, batch_id: str, param: str) -> int:
        row = self.reader.execute("SELECT number FROM batches WHERE id = ?", (batch_id,)).fetchone()
        if row is None:
            refuse(f"there is no batch {batch_id!r}", param)
        number: int = row[0]
        return number


def with_fates(
    requests: Iterable[Request], latency: float, odds: Odds
) -> Iterator[tuple[Request, tuple[float, float, int, bytes]]]:
    """Draw when each request begins and settles, and how it ends; and give its hash."""
    for place, request in enumerate(requests):
        digest = params_hash(request.params)
        delay = settling_delay(digest, place, latency)
        yield request, (delay * QUEUED_SHARE, delay, fate(digest, odds), digest)
