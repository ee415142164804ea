"""Rows beside results, in input order, into one output."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch.core.lifecycle import BatchState
from valar_batch.core.outcome import Outcome, outcome_of
from valar_batch.core.prices import Price
from valar_batch.core.rules import Status
from valar_batch.core.wire import Result
from valar_batch.flow.events import Writing
from valar_batch.formats.writers import TableWriter, open_output
from valar_batch.runs.run import UNSENT
from valar_batch.runs.spool import read_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from valar_batch.flow.events import Reporter
    from valar_batch.formats.writers import Target, Writer
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.records import RunRecord
    from valar_batch.runs.run import Run

decode_result = msgspec.json.Decoder(Result).decode


@dataclass(slots=True)
class Summary:
    """What the output holds: rows by status, tokens, and USD where every price is known.

    `errors` counts the messages of rows that did not complete.
    """

    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count a row."""
        self.rows += 1
        self.statuses[outcome.status] += 1
        self.input_tokens += outcome.input_tokens or 0
        self.cached_tokens += outcome.cached_tokens or 0
        self.output_tokens += outcome.output_tokens or 0
        self.cost_usd += outcome.cost_usd or 0.0
        if outcome.cost_usd is None and outcome.input_tokens is not None:
            self.unpriced += 1
        if outcome.error is not None and (outcome.error in self.errors or len(self.errors) < 1000):
            self.errors[outcome.error] += 1

    @property
    def is_complete(self) -> bool:
        """Whether every row has its answer."""
        return self.rows == self.statuses[Status.COMPLETED]


def write_output(run: Run, target: Target, report: Reporter) -> Summary:
    """Write every row of the run once, at its place, with what became of it."""
    with run.writing_output() as mark:
        with open_output(target, **layout(run), mark=mark) as writer:
            summary = join(run, writer, report)
        run.add_output(target.path, target.format)
    return summary


def make_table(run: Run, report: Reporter) -> tuple[pa.Table, Summary]:
    """Give what `write_output` writes as a table in memory."""
    writer = TableWriter(**layout(run))
    summary = join(run, writer, report)
    with run.writing_output():
        run.add_output(None, "table")
    return writer.table(), summary


def layout(run: Run) -> dict[str, Any]:
    """Say which columns an output has, and what its metadata tells."""
    record = run.record
    return {
        "schema": record.schema,
        "custom_id_is_input": record.custom_id_is_input,
        "provenance": {
            "tool_version": record.tool_version,
            "run_id": run.id,
            "recipe": record.recipe_digest,
            "input_digest": record.input.digest,
        },
    }


def join(run: Run, writer: Writer, report: Reporter) -> Summary:
    """Give a writer the rows beside their outcomes, batch by batch."""
    summary, prices = Summary(), Prices(run.record)
    for batch in run.batches:
        outcomes = BatchOutcomes(batch, prices)
        for rows in batch.rows():
            joined = outcomes.join(rows)
            writer.write(rows["input"], joined)
            for outcome in joined:
                summary.add(outcome)
            report(Writing(run.record.totals.rows, summary.rows))
    return summary


class Prices:
    """The prices that were frozen when the run was prepared."""

    def __init__(self, record: RunRecord) -> None:
        self._prices: Mapping[str, Mapping[str, Price]] = {
            model: {window: Price(*price) for window, price in windows.items()}
            for model, windows in record.prices.items()
        }
        self._model = record.recipe.model
        self._window = record.recipe.window

    def of(self, result: Result) -> Price | None:
        """Give the price of an answer, by its own model and window where it names them."""
        response = result.response
        windows = self._prices.get(response.model or self._model or "")
        metadata = response.metadata
        window = (metadata.completion_window if metadata else None) or self._window or "standard"
        return windows.get(window) if windows else None


class BatchOutcomes:
    """The outcomes of one batch by custom_id; of two results for one id, the later counts."""

    def __init__(self, batch: BatchFolder, prices: Prices) -> None:
        record = batch.read()
        self._outcomes: dict[str, Outcome] = {}
        for line in read_lines(batch.spool_path):
            result = decode_result(line)
            self._outcomes[result.custom_id] = outcome_of(result, prices.of(result), record.attempt)
        sent = record.state not in UNSENT
        ended = record.state in (BatchState.SETTLED, BatchState.COLLECTED)
        self._absent = Status.MISSING if ended else Status.PENDING
        self._attempts = record.attempt if sent else 0
        self._reason = ABSENT_REASONS[self._absent] if sent else "not sent yet"

    def join(self, rows: pa.RecordBatch) -> list[Outcome]:
        """Give the outcome of each row."""
        ids, problems = rows["custom_id"].to_pylist(), rows["problem"].to_pylist()
        return [
            self._of(custom_id, problem) for custom_id, problem in zip(ids, problems, strict=True)
        ]

    def _of(self, custom_id: str | None, problem: str | None) -> Outcome:
        if problem is not None:
            return Outcome(custom_id, Status.INVALID, error=problem)
        outcome = self._outcomes.get(custom_id or "")
        if outcome is not None:
            return outcome
        return Outcome(custom_id, self._absent, error=self._reason, attempts=self._attempts)


ABSENT_REASONS: Mapping[Status, str] = {
    Status.PENDING: "not settled yet",
    Status.MISSING: "Valar has no result for it; fetching again asks for it again",
}
