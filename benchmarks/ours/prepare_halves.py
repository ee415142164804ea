"""Prepare the halves of an input in two processes at once: what whole batches side by side bring.

python -m benchmarks.ours.prepare_halves FIRST SECOND ROWS HOME
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.ours.prepare import prepared
from benchmarks.timed import timed
from valar_batch.cli.process import ready_for_many_rows


def requests_of(path: str, home: str) -> int:
    """Prepare one half; gives the number of its requests."""
    return prepared(path, Path(home), "template").record.totals.requests


def main(first: str, second: str, rows: str, home: str) -> None:
    """Start both processes, then let them work."""
    spawning = get_context("spawn")
    with ProcessPoolExecutor(2, spawning, initializer=ready_for_many_rows) as pool:
        list(pool.map(Path, [first, second]))
        with timed(int(rows)):
            homes = [f"{home}/first", f"{home}/second"]
            requests = sum(pool.map(requests_of, [first, second], homes))
            pool.shutdown()  # so that their CPU time is known; that of their start is in it
    if requests != int(rows):
        raise SystemExit(f"{requests} requests of {rows} rows")


if __name__ == "__main__":
    main(*sys.argv[1:])
