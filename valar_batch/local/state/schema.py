"""The tables of the local Valar's state, the views that its questions are put to, and upgrades."""

from __future__ import annotations

VERSION = 3
"""What `user_version` says of a file with these tables."""

TABLES = """
CREATE TABLE salt (value BLOB NOT NULL);
INSERT INTO salt VALUES (randomblob(16));

CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    label TEXT,
    created REAL NOT NULL,
    request_counts INTEGER NOT NULL,
    body_sha256 BLOB NOT NULL,
    first INTEGER NOT NULL DEFAULT 0  -- the position of its first request
);
CREATE INDEX batches_by_body ON batches (body_sha256);

-- `wait` and `delay` are seconds from creation until a request begins and until it settles;
-- infinite where that is not known yet. `answer` is what is given as it is, once settled; without
-- one, the answer is a rehearsal. `fails` is 0, 1 for what fails, or 2 for what is cancelled.
CREATE TABLE requests (
    position INTEGER PRIMARY KEY,  -- over all batches; without gaps within one
    batch INTEGER NOT NULL,
    custom_id TEXT NOT NULL,
    delay REAL NOT NULL,
    fails INTEGER NOT NULL,
    params_hash BLOB NOT NULL,
    params BLOB NOT NULL,
    wait REAL NOT NULL DEFAULT 0,
    answer BLOB
);

CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    delay REAL NOT NULL,
    fails INTEGER NOT NULL,
    params_hash BLOB NOT NULL,
    params BLOB NOT NULL,
    endpoint TEXT NOT NULL DEFAULT '/v1/responses',
    wait REAL NOT NULL DEFAULT 0,
    answer BLOB
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
"""

ADDITIONS = """
-- Holds all but the params, so that a batch's status and the judge never read those.
CREATE INDEX requests_by_id ON requests (batch, custom_id, wait, delay, fails, params_hash);
-- What waits for an answer from elsewhere: empty in a rehearsal.
CREATE INDEX unsettled_requests ON requests (wait) WHERE delay = 9e999;
CREATE INDEX unsettled_responses ON responses (wait) WHERE delay = 9e999;

-- Webhooks that are still to be called. `due` is when to try next, `tries` how often it was tried.
CREATE TABLE callbacks (
    response TEXT PRIMARY KEY,
    due REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX callbacks_by_due ON callbacks (due);
"""

VIEWS = """
-- `begins` and `due` are when a request begins and settles, and `fate` what it then is.
CREATE VIEW items AS
SELECT id AS batch_id, position, first, custom_id, params, params_hash, created, answer,
       created + wait AS begins, created + delay AS due,
       CASE fails WHEN 0 THEN 'completed' WHEN 1 THEN 'failed' ELSE 'cancelled' END AS fate
FROM batches JOIN requests ON batch = number;
CREATE VIEW singles AS
SELECT id, endpoint, params, params_hash, created, answer,
       created + wait AS begins, created + delay AS due,
       CASE fails WHEN 0 THEN 'completed' WHEN 1 THEN 'failed' ELSE 'cancelled' END AS fate
FROM responses;

-- A single request has no custom_id.
CREATE VIEW executed AS
SELECT custom_id, params_hash, count(*) AS times
FROM (
    SELECT custom_id, params_hash FROM requests
    UNION ALL
    SELECT NULL, params_hash FROM responses
)
GROUP BY custom_id, params_hash;

PRAGMA user_version = 3;
"""

CHANGES = """
ALTER TABLE batches ADD COLUMN first INTEGER NOT NULL DEFAULT 0;
UPDATE batches SET first = (SELECT min(position) FROM requests WHERE batch = number);
ALTER TABLE requests ADD COLUMN wait REAL NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN answer BLOB;
ALTER TABLE responses ADD COLUMN endpoint TEXT NOT NULL DEFAULT '/v1/responses';
ALTER TABLE responses ADD COLUMN wait REAL NOT NULL DEFAULT 0;
ALTER TABLE responses ADD COLUMN answer BLOB;
DROP INDEX requests_by_id;
"""
DROP_VIEWS = """
DROP VIEW items;
DROP VIEW singles;
DROP VIEW executed;
"""

SCHEMA = f"BEGIN IMMEDIATE;{TABLES}{ADDITIONS}{VIEWS}COMMIT;"
"""Makes the tables of a new file."""
UPGRADES = {
    1: f"BEGIN IMMEDIATE;{CHANGES}{DROP_VIEWS}{ADDITIONS}{VIEWS}COMMIT;",
    2: f"BEGIN IMMEDIATE;{DROP_VIEWS}{VIEWS}COMMIT;",
}
"""By the version of a file, what brings it to the next."""
