"""State files of earlier versions are upgraded in place, and lose nothing."""

import json
import sqlite3
from contextlib import closing

import pytest

from valar_batch.core.identity import params_hash
from valar_batch.core.wire import Batch
from valar_batch.local.ids import item_response_id
from valar_batch.local.state.idempotency import Arrival
from valar_batch.local.state.store import Executions, Store

VERSION_1 = """
BEGIN IMMEDIATE;

CREATE TABLE salt (value BLOB NOT NULL);
INSERT INTO salt VALUES (randomblob(16));

CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    label TEXT,
    created REAL NOT NULL,
    request_counts INTEGER NOT NULL,
    body_sha256 BLOB NOT NULL
);
CREATE INDEX batches_by_body ON batches (body_sha256);

CREATE TABLE requests (
    position INTEGER PRIMARY KEY,  -- over all batches; within one, the order of its requests
    batch INTEGER NOT NULL,
    custom_id TEXT NOT NULL,
    delay REAL NOT NULL,
    fails INTEGER NOT NULL,
    params_hash BLOB NOT NULL,
    params BLOB NOT NULL
);
-- Holds all but the params, so that a batch's status and the judge never read those.
CREATE INDEX requests_by_id ON requests (batch, custom_id, delay, fails, params_hash);

CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    delay REAL NOT NULL,
    fails INTEGER NOT NULL,
    params_hash BLOB NOT NULL,
    params BLOB NOT NULL
);
CREATE INDEX responses_by_params ON responses (params_hash);

CREATE TABLE reservations (
    api_key TEXT NOT NULL,  -- a salted fingerprint
    idempotency_key TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    body_sha256 BLOB NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (api_key, idempotency_key)
) WITHOUT ROWID;

-- `due` is when a request settles, and `fate` what it then is.
CREATE VIEW items AS
SELECT id AS batch_id, custom_id, params, params_hash, created,
       created + delay AS due, iif(fails, 'failed', 'completed') AS fate
FROM batches JOIN requests ON batch = number;
CREATE VIEW singles AS
SELECT id, params, params_hash, created,
       created + delay AS due, iif(fails, 'failed', 'completed') AS fate
FROM responses;

-- A single response has no custom_id.
CREATE VIEW executed AS
SELECT custom_id, params_hash, count(*) AS times
FROM (
    SELECT custom_id, params_hash FROM requests
    UNION ALL
    SELECT NULL, params_hash FROM responses
)
GROUP BY custom_id, params_hash;

PRAGMA user_version = 1;
COMMIT;
"""
BATCH_A, BATCH_B = "batch_" + "a" * 24, "batch_" + "b" * 24
PARAMS = [b'{"model":"openai/gpt-oss-120b","input":"%d"}' % n for n in range(4)]


@pytest.fixture
def path(tmp_path):
    """A file as version 1 left it: two batches, and a single response with a reservation."""
    path = tmp_path / "state.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
        batches = [(1, BATCH_A, "l", 1000.5, 2, b"1"), (2, BATCH_B, None, 1001.5, 1, b"2")]
        connection.executemany("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", batches)
        digests = [params_hash(params) for params in PARAMS]
        requests = [
            (7, 1, "x", 0.0, 0, digests[0], PARAMS[0]),
            (8, 1, "y", 60.0, 1, digests[1], PARAMS[1]),
            (9, 2, "x", 60.0, 0, digests[2], PARAMS[2]),
        ]
        connection.executemany("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?)", requests)
        single = ("resp_s", 1002.5, 60.0, 0, digests[3], PARAMS[3])
        connection.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?)", single)
        reservation = ("fingerprint", "k", "/v1/responses", b"body", "resp_s")
        connection.execute("INSERT INTO reservations VALUES (?, ?, ?, ?, ?)", reservation)
        connection.commit()
    return path


def test_a_file_of_version_1_goes_on(path):
    """Batches, requests, responses, reservations and counts are there, and time goes on."""
    with closing(Store(path)) as store:
        assert store.batches(9) == [
            Batch(BATCH_B, 1, 1001, None),
            Batch(BATCH_A, 2, 1000, "l"),
        ]
        status = {"x": {"status": "COMPLETED"}, "y": {"status": "RUNNING"}}
        assert json.loads(store.request_status(BATCH_A, 1001.0)) == status
        items = [
            store.item(batch_id, name, 2000.0)
            for batch_id, name in ((BATCH_A, "x"), (BATCH_A, "y"), (BATCH_B, "x"))
        ]
        assert [(item.id, item.params, item.status) for item in items] == [
            (item_response_id(BATCH_A, 0), PARAMS[0], "completed"),
            (item_response_id(BATCH_A, 1), PARAMS[1], "failed"),
            (item_response_id(BATCH_B, 0), PARAMS[2], "completed"),
        ]
        assert [store.response(item.id, 2000.0) for item in items] == items
        single = store.response("resp_s", 1003.0)
        assert (single.params, single.status, single.due) == (PARAMS[3], "in_progress", 1062.5)
        assert single.endpoint == "/v1/responses"
        arrival = Arrival("fingerprint", "/v1/responses", b"body", "k")
        assert store.reserved(arrival) == "resp_s"
        assert store.executions() == Executions(4, 4, [])
        assert store.unsettled(9) == []


VIEWS_OF_2 = """
DROP VIEW items;
DROP VIEW singles;
CREATE VIEW items AS
SELECT id AS batch_id, position, first, custom_id, params, params_hash, created, answer,
       created + wait AS begins, created + delay AS due,
       iif(fails, 'failed', 'completed') AS fate
FROM batches JOIN requests ON batch = number;
CREATE VIEW singles AS
SELECT id, endpoint, params, params_hash, created, answer,
       created + wait AS begins, created + delay AS due,
       iif(fails, 'failed', 'completed') AS fate
FROM responses;
PRAGMA user_version = 2;
"""
"""What version 2 had where version 3, which has the same tables, has other views."""


@pytest.fixture(params=[1, 2])
def older(request, path):
    """A file as an older version left it."""
    if request.param == 2:
        with closing(Store(path)):
            pass
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(VIEWS_OF_2)
    return path


def test_an_upgraded_file_is_like_a_new_one(older, tmp_path):
    """Tables have the same columns, and indexes and views the same text; salt and version stay."""
    path = older

    def described(file):
        with closing(sqlite3.connect(file)) as connection:
            tables = {
                name: connection.execute(f"PRAGMA table_info({name})").fetchall()
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                ).fetchall()
            }
            others = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type != 'table' ORDER BY name"
            ).fetchall()
            version = connection.execute("PRAGMA user_version").fetchone()
        return tables, others, version

    with closing(sqlite3.connect(path)) as connection:
        salt = connection.execute("SELECT value FROM salt").fetchone()[0]
    with closing(Store(path)) as store:
        assert store.salt == salt
    with closing(Store(tmp_path / "new.sqlite")):
        pass
    assert described(path) == described(tmp_path / "new.sqlite")
    with closing(Store(path)) as store:
        assert store.salt == salt
