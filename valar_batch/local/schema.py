"""The tables of the local Valar's state, and the views that its questions are put to."""

from __future__ import annotations

VERSION = 1
"""What `user_version` says of a file with these tables."""

SCHEMA = """
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
