"""One pass over the input: read, render, validate, pack. No network, and nothing is spent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valar_batch.core.identity import INVALID_ROW, RunIdentity, params_hash
from valar_batch.core.pack import Limits, Packer
from valar_batch.core.prices import BYTES_PER_TOKEN, shipped_prices
from valar_batch.core.problems import Problem, Tally
from valar_batch.core.recipe import Recipe, Renderer, RowRefused, Source, source_for
from valar_batch.core.rules import WINDOW_FIELD
from valar_batch.core.validate import lookup, model_warning, window_warning
from valar_batch.core.wire import request_bytes
from valar_batch.errors import InputError
from valar_batch.flow.events import Notice, Preparing
from valar_batch.formats.readers import open_input
from valar_batch.runs.draft import PreparedRow
from valar_batch.runs.id_index import IdIndex
from valar_batch.runs.records import InputRecord, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valar_batch.flow.events import Reporter
    from valar_batch.formats.readers import Chunk, Reader
    from valar_batch.runs.draft import BatchDraft, Draft
    from valar_batch.runs.home import Home

MODE = "batch"


@dataclass(frozen=True, slots=True)
class Order:
    """What the user wants prepared. `target` names where it will be sent: it enters the identity.

    With `skip_invalid`, rows with problems stay in the output instead of stopping everything.
    """

    path: str
    recipe: Recipe
    target: str
    input_format: str | None = None
    limits: Limits = field(default_factory=Limits)
    skip_invalid: bool = False
    name: str | None = None


class ProblemsFound(InputError):
    """The input has problems; `tally` counts them, `path` is the file that lists them all."""

    def __init__(self, tally: Tally, totals: Totals, path: Path) -> None:
        super().__init__(
            f"rows with problems: {tally.rows:,} of {totals.rows:,}; nothing was sent",
            hint="mend them, or leave them out of the requests with --on-invalid skip",
        )
        self.tally = tally
        self.totals = totals
        self.path = path


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one pass over the input found; the requests are in the draft."""

    order: Order
    source: Source
    digest: str
    input: InputRecord
    schema: Any
    custom_id_is_input: bool
    optional_columns: tuple[str, ...]
    totals: Totals
    tally: Tally


def prepare(order: Order, draft: Draft, home: Home, report: Reporter) -> Prepared:
    """Turn the input into the batches of `draft`.

    Raises UsageError for a recipe that cannot serve, InputError for an unreadable input, and
    ProblemsFound for rows that cannot be sent, unless they are to be skipped.
    """
    reader = open_input(order.path, input_format=order.input_format)
    columns = reader.columns()
    source = source_for(order.recipe, columns)
    renderer = Renderer(order.recipe, source, nulls_are_absent=reader.format == "parquet")
    if reader.format != "jsonl":
        check_columns(renderer, columns)
    warn(renderer, report)
    preparation = Preparation(order, renderer, draft, report)
    for chunk in reader.chunks(renderer.columns):
        preparation.add(chunk)
    preparation.finish()
    prepared = preparation.result(reader)
    if prepared.tally.rows and not order.skip_invalid:
        path = home.problems_path(order.path)
        draft.keep_problems(path)
        raise ProblemsFound(prepared.tally, prepared.totals, path)
    return prepared


def check_columns(renderer: Renderer, columns: Sequence[str]) -> None:
    """Refuse a recipe that reads columns which the file's header does not have."""
    missing = sorted(renderer.columns - set(columns))
    if missing:
        what = "column" if len(missing) == 1 else "columns"
        raise InputError(
            f"no {what} {', '.join(map(repr, missing))}; the input has: {', '.join(columns[:50])}",
            hint="correct the name in --prompt, --system or --id",
        )


def warn(renderer: Renderer, report: Reporter) -> None:
    """Say what is let through with a doubt."""
    fields = renderer.recipe.fields()
    model, window = fields.get("model"), lookup(fields, WINDOW_FIELD)
    texts = (
        model_warning(model, tuple(shipped_prices().models)) if model else "",
        window_warning(window) if isinstance(window, str) else "",
    )
    for text in filter(None, texts):
        report(Notice(text))


class Preparation:
    """The state of one pass: the open batch, the identity so far, the counts."""

    def __init__(self, order: Order, renderer: Renderer, draft: Draft, report: Reporter) -> None:
        self._order = order
        self._renderer = renderer
        self._draft = draft
        self._report = report
        self._packer = Packer(order.limits)
        self._identity = RunIdentity(order.target, MODE)
        self._has_ids = renderer.id_column is not None
        self._ids = IdIndex(draft.path / "ids")
        self._open: BatchDraft | None = None
        self._tally = Tally()
        self._rows = 0
        self._params_bytes = 0
        self._ids_kept = True

    def add(self, chunk: Chunk) -> None:
        """Take in the next rows: slices of the chunk go to the batches that they fit in."""
        rows = [self._row(chunk, index) for index in range(len(chunk.rows))]
        self._identity.add(row.request or INVALID_ROW for row in rows)
        start = 0
        for index, row in enumerate(rows):
            size = len(row.request) if row.request else 0
            if self._open is None or (size and not self._packer.fits(size)):
                self._append(chunk, rows, start, index)
                start = index
                self._next_batch(chunk.first_row + index, chunk.kept.type)
            if size:
                self._packer.add(size)
        self._append(chunk, rows, start, len(rows))
        self._rows += len(rows)
        requests = sum(batch.requests for batch in self._draft.batches)
        self._report(Preparing(self._rows, requests, self._tally.rows))

    def _append(self, chunk: Chunk, rows: list[PreparedRow], start: int, stop: int) -> None:
        if self._open is not None and stop > start:
            self._open.add(chunk.kept.slice(start, stop - start), rows[start:stop])

    def _next_batch(self, first_row: int, kept: Any) -> None:
        if self._open is not None:
            self._open.close()
        self._packer.close()
        self._open = self._draft.new_batch(first_row, kept)

    def _row(self, chunk: Chunk, index: int) -> PreparedRow:
        number, row = chunk.first_row + index, chunk.rows[index]
        line = chunk.lines[index] if chunk.lines is not None else None
        if isinstance(row, Problem):
            return self._refuse([row.at(number, line)], None)
        problems: list[Problem] = []
        custom_id = request = params = None
        try:
            custom_id = self._renderer.custom_id(row, number)
        except RowRefused as refused:
            problems += refused.problems
        try:
            params = self._renderer.params(row)
        except RowRefused as refused:
            problems += refused.problems
        if custom_id is not None and params is not None:
            request = request_bytes(custom_id, params)
            problems += self._too_large(len(request))
        if problems or params is None:
            return self._refuse([problem.at(number, line) for problem in problems], custom_id)
        if custom_id is not None and self._has_ids:
            self._ids.add(custom_id, number)
            self._ids_kept = self._ids_kept and self._is_kept(row, custom_id)
        self._params_bytes += len(params)
        return PreparedRow(custom_id, request, params_hash(params))

    def _is_kept(self, row: Mapping[str, Any], custom_id: str) -> bool:
        return row.get("custom_id") == custom_id

    def _too_large(self, size: int) -> list[Problem]:
        most = self._order.limits.largest_request
        if size <= most:
            return []
        return [
            Problem(
                "too large",
                "request",
                f"the request has {size:,} bytes; a batch takes at most {most:,}",
                "shorten the text, or raise --batch-bytes if you lowered it",
            )
        ]

    def _refuse(self, problems: list[Problem], custom_id: str | None) -> PreparedRow:
        self._tally.add(problems)
        self._draft.add_problems(problems)
        return PreparedRow(custom_id, problem="; ".join(map(str, problems)))

    def finish(self) -> None:
        """End the pass: look for ids that occur twice, and columns that never occurred."""
        if self._open is not None:
            self._open.close()
        unseen = self._renderer.unseen()
        if unseen:
            raise InputError(
                f"no row has a column {', '.join(map(repr, unseen))}",
                hint="correct the name in --prompt or --system",
            )
        if self._has_ids:
            self._withdraw_duplicates()
            self._ids.remove()

    def _withdraw_duplicates(self) -> None:
        """Find the ids that occur twice; of rows to be skipped, the first keeps its request."""
        first: dict[int, int] = {}
        for row, earlier in self._ids.duplicates():
            problem = self._duplicate(row, earlier)
            self._tally.add([problem])
            self._draft.add_problems([problem])
            if self._order.skip_invalid:
                first[row] = earlier
        for batch in self._draft.batches if first else ():
            span = range(batch.first_row, batch.first_row + batch.rows)
            found = {row: self._duplicate(row, first[row]) for row in span if row in first}
            if found:
                self._params_bytes -= batch.withdraw(found)

    def _duplicate(self, row: int, earlier: int) -> Problem:
        return Problem(
            "duplicate id",
            self._renderer.id_column or "",
            f"row {earlier} has the same id",
            "give each row its own id, or drop --id to number the rows",
            row,
        )

    def result(self, reader: Reader) -> Prepared:
        """Sum up. The input has been read to its end."""
        order, batches = self._order, self._draft.batches
        path = order.path if order.path == "-" else str(Path(order.path).absolute())
        requests = sum(batch.requests for batch in batches)
        return Prepared(
            order=order,
            source=self._renderer.source,
            digest=self._identity.hexdigest(),
            input=InputRecord(path, reader.format, reader.digest()),
            schema=reader.schema(),
            custom_id_is_input=self._renderer.source is Source.ITEM and self._ids_kept,
            optional_columns=self._renderer.optional_columns(),
            totals=Totals(
                rows=self._rows,
                requests=requests,
                invalid=self._rows - requests,
                batches=sum(1 for batch in batches if batch.requests),
                bytes=sum(batch.bytes for batch in batches),
                params_bytes=self._params_bytes,
            ),
            tally=self._tally,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run may cost before it is sent, in tokens and USD; None where it cannot be known.

    Input tokens are a rule of thumb: bytes of the params over four. The output's cost is a bound,
    and only known with a `max_output_tokens`.
    """

    input_tokens: int
    input_cost_usd: float | None
    output_cost_limit_usd: float | None


def estimate(prepared: Prepared) -> Estimate:
    """Estimate from the sizes of what was prepared."""
    recipe, totals = prepared.order.recipe, prepared.totals
    tokens = totals.params_bytes // BYTES_PER_TOKEN
    price = shipped_prices().price(recipe.model or "", recipe.window or "standard")
    if price is None:
        return Estimate(tokens, None, None)
    most = recipe.max_output_tokens
    return Estimate(
        tokens,
        price.cost(tokens, 0, 0),
        None if most is None else price.cost(0, 0, most * totals.requests),
    )
