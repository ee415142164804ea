"""Collects the results of the latest run in the home folder: decoded, and durably in the spool.

VALAR_BATCH_HOME=… python -m benchmarks.ours.fetch CONCURRENCY
"""

from __future__ import annotations

import sys

from benchmarks.timed import timed
from valar_batch.cli.process import ready_for_many_rows
from valar_batch.flow import collect  # noqa: F401 - imported ahead of what is timed
from valar_batch.flow.events import silent
from valar_batch.session import Session, open_home


def main() -> None:
    """Do the work once."""
    ready_for_many_rows()
    run = open_home().lookup(None)
    if run is None:
        raise SystemExit("there is no run in VALAR_BATCH_HOME")
    requests = run.record.totals.requests
    with Session.open(run.record.target, silent, run) as session, timed(requests):
        session.collect(
            run, concurrency=int(sys.argv[1]), wait=True, on_collected=lambda _folder: None
        )


if __name__ == "__main__":
    main()
