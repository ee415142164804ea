"""One pass over the input: read, render, validate, pack. No network, and nothing is spent."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valar_batch.core.identity import INVALID_ROW, RunIdentity
from valar_batch.core.images import images_in
from valar_batch.core.pack import Packer
from valar_batch.core.problems import FileRows, Problem, Tally, place_of, row_name
from valar_batch.core.recipe import FINISHED
from valar_batch.errors import InputError
from valar_batch.flow.events import Notice, Preparing
from valar_batch.flow.requests import Requests
from valar_batch.formats.readers import open_input
from valar_batch.runs.draft import PreparedRows
from valar_batch.runs.id_index import IdIndex
from valar_batch.runs.records import InputRecord, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valar_batch.core.recipe import Source
    from valar_batch.flow.events import Reporter
    from valar_batch.flow.requests import Order, Portion
    from valar_batch.formats.readers import Chunk, Reader
    from valar_batch.runs.draft import BatchDraft, Draft
    from valar_batch.runs.home import Home

MODE = "batch"
SHOWN_PROBLEMS = 10


class ProblemsFound(InputError):
    """The input has problems; `tally` counts them, `path` is the file that lists them all.

    As text it has the first of them, for whoever sees no more than the exception.
    """

    def __init__(self, tally: Tally, totals: Totals, path: Path) -> None:
        super().__init__(
            f"rows with problems: {tally.rows:,} of {totals.rows:,}; nothing was sent",
            hint="mend them, or leave them out of the requests with --on-invalid skip",
        )
        self.tally = tally
        self.totals = totals
        self.path = path

    def __str__(self) -> str:
        first = self.tally.first[:SHOWN_PROBLEMS]
        return "\n".join(
            [self.message, *(f"  {problem}" for problem in first), f"all: {self.path}"]
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one pass over the input found; the requests are in the draft.

    `fixed` counts rows by what was changed in them, `translated` by the API they were written for.
    """

    order: Order
    source: Source
    digest: str
    input: InputRecord
    schema: Any
    custom_id_is_input: bool
    optional_columns: tuple[str, ...]
    totals: Totals
    tally: Tally
    fixed: Mapping[str, int]
    translated: Mapping[str, int]


def prepare(order: Order, draft: Draft, home: Home, report: Reporter) -> Prepared:
    """Turn the input into the batches of `draft`.

    Raises UsageError for a recipe that cannot serve, InputError for an unreadable input, and
    ProblemsFound for rows that cannot be sent, unless they are to be skipped.
    """
    with closing(open_input(order.input, order.reading)) as reader:
        requests = Requests(order, reader, report)
        preparation = Preparation(requests, draft, report)
        for chunk in requests.chunks():
            preparation.add(chunk)
        preparation.finish()
        for text in requests.findings():
            report(Notice(text))
        prepared = preparation.result()
        if prepared.tally.rows and not order.skip_invalid:
            path = home.problems_path(named(order, reader))
            draft.keep_problems(path)
            raise ProblemsFound(prepared.tally, prepared.totals, path)
        return prepared


def named(order: Order, reader: Reader) -> str:
    """Give the path of an input as the user wrote it, or what rows in memory are called."""
    return os.fspath(order.input) if isinstance(order.input, str | os.PathLike) else reader.name


class Preparation:
    """The state of one pass: the open batch, the identity so far, the counts."""

    def __init__(self, requests: Requests, draft: Draft, report: Reporter) -> None:
        order = self._order = requests.order
        self._requests = requests
        self._renderer = requests.renderer
        self._draft = draft
        self._report = report
        self._packer = Packer(order.limits)
        self._identity = RunIdentity(order.target, MODE)
        self._has_ids = self._renderer.id_column is not None
        self._ids = IdIndex(draft.path / "ids")
        self._open: BatchDraft | None = None
        self._tally = Tally()
        self._rows = 0
        self._params_bytes = self._images = self._image_bytes = 0
        self._ids_kept = self._renderer.source in FINISHED

    def add(self, chunk: Chunk) -> None:
        """Take in the next rows: slices of the chunk go to the batches that they fit in."""
        for portion in self._requests.portions(chunk):
            rows = self._taken(chunk, portion)
            sizes = [len(request) if request else 0 for request in rows.requests]
            at = 0
            while at < len(rows):
                count = self._packer.take(sizes[at:]) if self._open is not None else 0
                self._write(chunk, portion.start + at, rows.slice(at, at + count))
                at += count
                if at < len(rows):
                    self._next_batch(chunk.first_row + portion.start + at, chunk.kept.type)

    def _taken(self, chunk: Chunk, portion: Portion) -> PreparedRows:
        """Count what was made of rows, and list their problems."""
        first = chunk.first_row + portion.start
        if self._has_ids:
            self._ids.add_all(
                (custom_id, first + index)
                for index, custom_id in enumerate(portion.custom_ids)
                if custom_id is not None and index not in portion.problems
            )
        if self._has_ids and self._ids_kept:
            rows = chunk.rows[portion.start : portion.start + len(portion.custom_ids)]
            self._ids_kept = all(
                index in portion.problems or custom_id is None or is_kept(row, custom_id)
                for index, (row, custom_id) in enumerate(zip(rows, portion.custom_ids, strict=True))
            )
        problems: list[str | None] = [None] * len(portion.requests)
        for index, found in portion.problems.items():
            self._tally.add(found)
            self._draft.add_problems(found)
            problems[index] = "; ".join(map(str, found))
        self._params_bytes += portion.params_bytes
        self._images += portion.images
        self._image_bytes += portion.image_bytes
        return PreparedRows(portion.custom_ids, portion.requests, problems)

    def _write(self, chunk: Chunk, start: int, rows: PreparedRows) -> None:
        """Write rows of the chunk, from `start` on, into the open batch."""
        if self._open is None or not len(rows):
            return
        self._identity.add(request or INVALID_ROW for request in rows.requests)
        self._open.add(chunk.kept.slice(start, len(rows)), rows)
        self._rows += len(rows)
        requests = sum(batch.requests for batch in self._draft.batches)
        self._report(Preparing(self._rows, requests, self._tally.rows))

    def _next_batch(self, first_row: int, kept: Any) -> None:
        if self._open is not None:
            self._open.close()
        self._packer.close()
        self._open = self._draft.new_batch(first_row, kept)

    def finish(self) -> None:
        """End the pass: look for ids that occur twice, and columns that never occurred."""
        if self._open is not None:
            self._open.close()
        self._draft.wait()
        self._requests.check_seen()
        if self._has_ids:
            self._withdraw_duplicates(self._requests.reader.files())
            self._ids.remove()

    def _withdraw_duplicates(self, files: Sequence[FileRows]) -> None:
        """Find the ids that occur twice; of rows to be skipped, the first keeps its request."""
        first: dict[int, int] = {}
        for row, earlier in self._ids.duplicates():
            problem = self._duplicate(row, earlier, files)
            self._tally.add([problem])
            self._draft.add_problems([problem])
            if self._order.skip_invalid:
                first[row] = earlier
        for batch in self._draft.batches if first else ():
            span = range(batch.first_row, batch.first_row + batch.rows)
            found = {row: self._duplicate(row, first[row], files) for row in span if row in first}
            if found:
                batch.withdraw(found, self._uncount)

    def _uncount(self, params: bytes) -> None:
        images, image_bytes = images_in(params)
        self._params_bytes -= len(params)
        self._images -= images
        self._image_bytes -= image_bytes

    def _duplicate(self, row: int, earlier: int, files: Sequence[FileRows]) -> Problem:
        number, file = place_of(row, files)
        return Problem(
            "duplicate id",
            self._renderer.id_column or "",
            f"{row_name(*place_of(earlier, files))} has the same id",
            self._renderer.id_hint,
        ).at(number, file=file)

    def result(self) -> Prepared:
        """Sum up. The input has been read to its end."""
        order, batches, reader = self._order, self._draft.batches, self._requests.reader
        path = named(order, reader)
        if isinstance(order.input, str | os.PathLike) and path != "-":
            path = str(Path(path).absolute())
        reading = replace(order.reading, format=None)
        requests = sum(batch.requests for batch in batches)
        return Prepared(
            order=order,
            source=self._renderer.source,
            digest=self._identity.hexdigest(),
            input=InputRecord(path, reader.format, reader.digest(), reader.files(), reading),
            schema=reader.schema(),
            custom_id_is_input=self._ids_kept,
            optional_columns=self._renderer.optional_columns(),
            totals=Totals(
                rows=self._rows,
                requests=requests,
                invalid=self._rows - requests,
                batches=sum(1 for batch in batches if batch.requests),
                bytes=sum(batch.bytes for batch in batches),
                params_bytes=self._params_bytes,
                images=self._images,
                image_bytes=self._image_bytes,
            ),
            tally=self._tally,
            fixed=dict(self._renderer.fixed),
            translated=dict(self._renderer.translated),
        )


def is_kept(row: Any, custom_id: str) -> bool:
    """Whether a row's own column custom_id is the custom_id of its request."""
    return isinstance(row, dict) and row.get("custom_id") == custom_id
