"""Rows beside results, in input order, into one output."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from valar_batch.core.rules import Status
from valar_batch.flow.events import Writing
from valar_batch.flow.outcomes import Prices, RunOutcomes
from valar_batch.formats.writers import open_output

if TYPE_CHECKING:
    from valar_batch.core.outcome import Outcome
    from valar_batch.flow.events import Reporter
    from valar_batch.formats.writers import Target
    from valar_batch.runs.run import Run


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
    record, summary = run.record, Summary()
    found = RunOutcomes(run, Prices(record))
    provenance = {
        "tool_version": record.tool_version,
        "run_id": run.id,
        "recipe": record.recipe_digest,
        "input_digest": record.input.digest,
    }
    with run.writing_output() as mark:
        with open_output(
            target,
            record.schema,
            provenance=provenance,
            custom_id_is_input=record.custom_id_is_input,
            mark=mark,
        ) as writer:
            for batch in run.batches:
                outcomes = found.of_batch(batch)
                for rows in batch.rows():
                    joined = outcomes.join(rows)
                    writer.write(rows["input"], joined)
                    for outcome in joined:
                        summary.add(outcome)
                    report(Writing(record.totals.rows, summary.rows))
        run.add_output(target.path, target.format)
    return summary
