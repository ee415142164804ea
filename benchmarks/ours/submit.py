"""Sends the body of a prepared batch: `script BATCH_FOLDER BASE_URL AUTHORITY`."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.timed import timed
from valar_batch.client.api import Valar
from valar_batch.client.connection import Connection
from valar_batch.runs.batch import BatchFolder


def main() -> None:
    """Read, decompress, check and send it, as `submit` does."""
    folder, base_url, authority = sys.argv[1:]
    batch = BatchFolder(Path(folder))
    record = batch.read()
    with (
        Valar(Connection(base_url, "the-key", ca_bundle=authority)) as valar,
        timed(record.bytes // 1_000_000) as facts,
    ):
        created = valar.create_batch(batch.checked_body, record.bytes, record.idempotency_key)
        facts["id"] = created.id


if __name__ == "__main__":
    main()
