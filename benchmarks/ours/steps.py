"""What one row and one result cost, step by step, by the functions that do it: steps FOLDER ROWS.

FOLDER has a run with all its results, as join_prepared makes it. Prints JSON: a list for each path
of `[step, µs of CPU]`, each step by itself and in the best of several goes.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valar_batch.cli.process import ready_for_many_rows

ready_for_many_rows()

import pyarrow as pa  # noqa: E402
import zstandard  # noqa: E402

from benchmarks.ours.prepare import recipe_of  # noqa: E402
from valar_batch.client.api import result_path  # noqa: E402
from valar_batch.core.identity import RunIdentity  # noqa: E402
from valar_batch.core.outcome import OutcomeReader, decode_result  # noqa: E402
from valar_batch.core.wire import decode_response, result_line  # noqa: E402
from valar_batch.flow.events import silent  # noqa: E402
from valar_batch.flow.join import Summary, layout_for  # noqa: E402
from valar_batch.flow.outcomes import Attempt, BatchOutcomes, Prices  # noqa: E402
from valar_batch.flow.requests import Order, Requests  # noqa: E402
from valar_batch.formats.json_lines import decode_plain  # noqa: E402
from valar_batch.formats.layout import Choice  # noqa: E402
from valar_batch.formats.readers import open_input  # noqa: E402
from valar_batch.formats.schema import Settling  # noqa: E402
from valar_batch.formats.targets import output_target  # noqa: E402
from valar_batch.formats.writers import open_output  # noqa: E402
from valar_batch.runs.batch import rows_writer  # noqa: E402
from valar_batch.runs.draft import COMPRESSION_LEVEL as BODY_LEVEL  # noqa: E402
from valar_batch.runs.home import Home  # noqa: E402
from valar_batch.runs.spool import COMPRESSION_LEVEL as SPOOL_LEVEL  # noqa: E402
from valar_batch.runs.spool import read_frames  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from valar_batch.core.outcome import Outcome

GOES = 5
FRAME = 1000


class Steps:
    """Measures steps over so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.found: list[tuple[str, float]] = []

    def take(self, step: str, work: Callable[[], Any]) -> Any:
        """Do the work of a step several times over; gives what the last go gave."""
        best, made = float("inf"), None
        for _ in range(GOES):
            began = time.process_time()
            made = work()
            best = min(best, time.process_time() - began)
        self.found.append((step, 1e6 * best / self.rows))
        return made


def preparing(folder: Path, rows: int) -> list[tuple[str, float]]:
    """A row of JSONL under a template."""
    steps, path = Steps(rows), str(folder / "in.jsonl")
    lines = Path(path).read_bytes().splitlines()
    order = Order(path, recipe_of("template"), "bench")
    wanted = Requests(order, open_input(path), silent).renderer.columns
    chunks = steps.take("read, in all", lambda: list(open_input(path).chunks(wanted)))
    decoded = steps.take("of it: decode", lambda: list(map(decode_plain, lines)))
    steps.take("of it: settle the schema", lambda: Settling().add(decoded))
    requests = Requests(order, open_input(path), silent)
    portions = steps.take(
        "render, validate, splice", lambda: [p for c in chunks for p in requests.portions(c)]
    )
    made = [[r for r in portion.requests if r] for portion in portions]
    identity = RunIdentity("bench", "batch")
    steps.take("identity (SHA-256)", lambda: [identity.add(some) for some in made])
    bodies = [b",\n".join(some) for some in made]
    steps.take("body: SHA-256", lambda: [hashlib.sha256().update(body) for body in bodies])
    steps.take("body: zstd", lambda: packed(bodies, BODY_LEVEL))
    kept = pa.Table.from_batches(
        [pa.RecordBatch.from_arrays([chunk.kept], ["input"]) for chunk in chunks]
    )
    steps.take("kept rows: Arrow, zstd", lambda: write_rows(folder / "rows.arrow", kept))
    return steps.found


def each(work: Callable[[bytes], object], pieces: Iterable[bytes]) -> None:
    """Do the work on each piece, and hold nothing of what it gives."""
    for piece in pieces:
        work(piece)


def packed(pieces: list[bytes], level: int) -> None:
    """Compress pieces into one frame."""
    with zstandard.ZstdCompressor(level=level).stream_writer(io.BytesIO()) as writer:
        for piece in pieces:
            writer.write(piece)


def write_rows(path: Path, table: pa.Table) -> None:
    """Write rows as a draft keeps them."""
    with rows_writer(path, table.schema) as writer:
        writer.write_table(table)


def fetching(folder: Path, rows: int) -> list[tuple[str, float]]:
    """A result of 1.8 KB, on this side of libcurl."""
    steps = Steps(rows)
    lines = (folder / "results.jsonl").read_bytes().splitlines()[:rows]
    ids = [json.loads(line)["custom_id"] for line in lines]
    bodies = [line[line.index(b'"response":') + len(b'"response":') : -1] for line in lines]
    steps.take("path of the GET", lambda: [result_path("batch_1", one) for one in ids])
    steps.take("decode, with UTF-8 and depth", lambda: each(decode_response, bodies))
    spooled = steps.take(
        "line of the spool", lambda: [*map(result_line, ids, repeat("completed"), bodies)]
    )
    frames = [b"".join(spooled[at : at + FRAME]) for at in range(0, rows, FRAME)]
    compress = zstandard.ZstdCompressor(level=SPOOL_LEVEL, write_checksum=True).compress
    steps.take("zstd of the frames", lambda: [compress(frame) for frame in frames])
    return steps.found


def joining(folder: Path, rows: int) -> list[tuple[str, float]]:
    """A row with its result, to Parquet."""
    steps = Steps(rows)
    (run,) = Home(folder / "home").runs()
    (batch,) = run.batches
    layout = layout_for(run.record, Choice())
    reader = OutcomeReader(Prices(run.record).of, ())

    frames = steps.take("frames: unzstd", lambda: [c for c, _ in read_frames(batch.spool_path)])

    def read(frame: bytes) -> list[Outcome]:
        return [reader.read(line, 1) for line in io.BytesIO(frame)]

    steps.take("result: decode", lambda: [each(decode_result, io.BytesIO(f)) for f in frames])
    steps.take("result: decode, outcome", lambda: each(read, frames))
    outcomes = list(map(read, frames))
    held = steps.take("outcomes as columns", lambda: [layout.held(some) for some in outcomes])
    kept = steps.take("kept rows: read", lambda: list(batch.rows()))
    attempt = Attempt(batch, batch.read(), reader, layout.held)
    found = BatchOutcomes([attempt], layout.held)
    joined = steps.take("put beside their rows", lambda: [found.join(some) for some in kept])
    summary = Summary()
    steps.take("summary", lambda: [summary.add(some) for some in held])

    def written() -> None:
        target = output_target(str(folder / "steps.parquet"))
        with open_output(target, layout, provenance={}, mark="steps") as writer:
            for some, those in zip(kept, joined, strict=True):
                writer.write(some["input"], those)

    steps.take("input lines to columns, Parquet", written)
    return steps.found


def main(folder: Path, rows: int) -> None:
    """Measure the three paths."""
    found = {
        "Preparing: one row of JSONL": preparing(folder, rows),
        "Fetching: one result, without libcurl and TLS": fetching(folder, rows),
        "Joining: one row to Parquet": joining(folder, rows),
    }
    print(json.dumps(found))


main(Path(sys.argv[1]), int(sys.argv[2]))
