"""join FOLDER OUT ROWS: the join of `fetch`, of a run whose results are all here."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.timed import timed
from valar_batch.cli.process import ready_for_many_rows

ready_for_many_rows()

from valar_batch.flow.events import silent  # noqa: E402
from valar_batch.flow.join import Join  # noqa: E402
from valar_batch.formats.layout import Choice  # noqa: E402
from valar_batch.formats.targets import output_target  # noqa: E402
from valar_batch.runs.home import Home  # noqa: E402

folder, out, rows = sys.argv[1:]
(run,) = Home(Path(folder, "home")).runs()
with timed(int(rows)):
    Join(run, output_target(out), Choice(), silent).write()
