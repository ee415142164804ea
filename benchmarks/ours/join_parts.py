"""join_parts FOLDER OUT ROWS PROCESSES: the batches of a run, each a part, shared by processes."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.timed import timed
from valar_batch.cli.process import ready_for_many_rows

ready_for_many_rows()

from valar_batch.flow.events import silent  # noqa: E402
from valar_batch.flow.join import Join  # noqa: E402
from valar_batch.formats.layout import Choice  # noqa: E402
from valar_batch.formats.targets import output_target  # noqa: E402
from valar_batch.runs.home import Home  # noqa: E402
from valar_batch.runs.run import Run  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable


class Shared(Run):
    """A run whose outputs several processes write, as if one had taken the lock for all."""

    def writing_output(self, _: Callable[[str], None]) -> contextlib.AbstractContextManager[str]:
        """Give the mark without the lock."""
        return contextlib.nullcontext("shared")


def write(path: Path, out: str, share: int, of: int) -> None:
    """Write the parts of one share of the batches."""
    run = Shared(path)
    join = Join(run, output_target(out), Choice(), silent)
    for batch in run.batches[share::of]:
        join.on_collected(batch)


if __name__ == "__main__":
    folder, target, rows, processes = sys.argv[1:]
    (found,) = Home(Path(folder, "home")).runs()
    count = int(processes)
    Path(target).mkdir(exist_ok=True)
    with ProcessPoolExecutor(count, get_context("spawn")) as pool:
        list(pool.map(abs, range(count * 8)))  # they are up, and have imported this module
        with timed(int(rows)):
            shares = [pool.submit(write, found.path, target, n, count) for n in range(count)]
            for share in shares:
                share.result()
            pool.shutdown()
