"""Rows beside results, in input order, into one output."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from valar_batch.core.answer_schema import AnswerReader
from valar_batch.core.outcome import OutcomeReader
from valar_batch.core.statuses import Status
from valar_batch.flow.events import Writing, in_use
from valar_batch.flow.outcomes import Prices, RunOutcomes
from valar_batch.formats.layout import layout_of
from valar_batch.formats.parts import clear_folder, part_path, place_beside
from valar_batch.formats.typed import AnswerColumn
from valar_batch.formats.writers import open_output, table_writer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from valar_batch.core.answer_schema import AnswerSchema
    from valar_batch.flow.events import Reporter
    from valar_batch.flow.outcomes import BatchOutcomes
    from valar_batch.formats.layout import Choice, Layout
    from valar_batch.formats.targets import Target
    from valar_batch.formats.writers import Writer
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.records import RunRecord
    from valar_batch.runs.run import Run


MOST_ERRORS = 1000
"""Messages that a summary tells apart."""


@dataclass(slots=True)
class Summary:
    """What the output holds: rows by status, tokens, and USD where every price is known.

    `misfits` counts answers that do not fit the schema, `errors` the messages of all rows that have
    one.
    """

    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    misfits: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, held: pa.RecordBatch) -> None:
        """Count rows by their outcomes, as a layout holds them."""
        import pyarrow.compute as pc

        error, cost, tokens = held["error"], held["cost_usd"], held["input_tokens"]
        self.rows += held.num_rows
        self.statuses.update(counted(held["status"]))
        self.input_tokens += pc.sum(tokens).as_py() or 0
        self.cached_tokens += pc.sum(held["cached_tokens"]).as_py() or 0
        self.output_tokens += pc.sum(held["output_tokens"]).as_py() or 0
        self.cost_usd += pc.sum(cost).as_py() or 0.0
        self.unpriced += pc.sum(pc.and_(cost.is_null(), tokens.is_valid())).as_py()
        if error.null_count < len(error):
            completed = pc.equal(held["status"], Status.COMPLETED.value)
            self.misfits += pc.sum(pc.and_(completed, error.is_valid())).as_py()
            for message, count in counted(error.drop_null()).items():
                if message in self.errors or len(self.errors) < MOST_ERRORS:
                    self.errors[message] += count

    @property
    def is_complete(self) -> bool:
        """Whether every row has its answer, and one that fits the schema where there is one."""
        return self.rows == self.statuses[Status.COMPLETED] and not self.misfits


def counted(texts: pa.Array) -> dict[str, int]:
    """Count how often each text is there, in the order in which they come first."""
    return {entry["values"]: entry["counts"] for entry in texts.value_counts().to_pylist()}


def layout_for(record: RunRecord, choice: Choice) -> Layout:
    """Lay out the output of a run. Raises UsageError for a choice that cannot be."""
    schema = record.recipe.answer
    return layout_of(
        record.schema,
        choice,
        optional=record.optional_columns,
        answer=None if schema is None else AnswerColumn(schema.schema),
        custom_id_is_input=record.custom_id_is_input,
    )


def provenance_of(run: Run) -> dict[str, str]:
    """Say where an output comes from."""
    record = run.record
    return {
        "tool_version": record.tool_version,
        "run_id": run.id,
        "recipe": record.recipe_digest,
        "input_digest": record.input.digest,
    }


class Join:
    """Writes the rows of a run, each once and at its place, with what became of it."""

    def __init__(self, run: Run, target: Target, choice: Choice, report: Reporter) -> None:
        self.summary = Summary()
        self._run = run
        self._target = target
        self._report = report
        self._layout = layout_for(run.record, choice)
        self._written: set[int] = set()
        schema = run.record.recipe.answer
        self._reader = OutcomeReader(
            Prices(run.record).of,
            self._layout.optional,
            None if schema is None else TypedAnswers(schema),
        )

    def write(self) -> Summary:
        """Write the whole output, or what is not written of it yet."""
        run, target = self._run, self._target
        with self._writing() as mark:
            collected, found = run.collected(), self._outcomes()
            if target.is_folder:
                self._clear_folder()
                for batch in run.batches:
                    if batch.number not in self._written:
                        self._write_part(batch, mark, found.of_batch(batch))
            else:
                layout = self._with_dictionaries() if target.format == "arrow" else self._layout
                with open_output(
                    target,
                    layout,
                    provenance=provenance_of(run),
                    mark=mark,
                    on_whole=lambda whole: run.expect_output(target.path, target.format, whole),
                ) as writer:
                    for batch in run.batches:
                        self._write_batch(batch, writer, found.of_batch(batch))
            run.add_output(target.path, target.format, collected)
        return self.summary

    def table(self) -> pa.Table:
        """Give the whole output as a table in memory."""
        groups: list[pa.Table] = []
        writer = table_writer(self._with_dictionaries(), provenance_of(self._run), groups.append)
        collected, found = self._run.collected(), self._outcomes()
        for batch in self._run.batches:
            self._write_batch(batch, writer, found.of_batch(batch))
        writer.finish()
        with self._writing():
            self._run.add_output(None, self._target.format, collected)
        return pa.concat_tables(groups)

    def _outcomes(self) -> RunOutcomes:
        hold = partial(self._layout.held, form=self._target.form)
        return RunOutcomes(self._run, self._reader, hold)

    def _writing(self) -> AbstractContextManager[str]:
        return self._run.writing_output(in_use(f"the output of {self._run.id}", self._report))

    def _with_dictionaries(self) -> Layout:
        kept = (rows["input"] for batch in self._run.batches for rows in batch.rows())
        return self._layout.with_one_dictionary_each(kept)

    def on_collected(self, batch: BatchFolder) -> None:
        """In a folder, write the part of a batch whose results are all here.

        Where rows were sent again, parts are written at the end: their answers may still come.
        """
        own = next((mine for mine in self._run.batches if mine.path == batch.path), None)
        if own is None or not self._target.is_folder or self._run.retries:
            return
        with self._writing() as mark:
            self._clear_folder()
            self._write_part(own, mark, self._outcomes().of_batch(own))

    def _clear_folder(self) -> None:
        """Make the folder, and remove the parts of other runs."""
        if self._target.path is not None and not self._written:
            clear_folder(self._target.path, self._run.id)

    def _write_part(self, batch: BatchFolder, mark: str, outcomes: BatchOutcomes) -> None:
        if self._target.path is None:
            return
        part = replace(self._target, path=part_path(self._target.path, batch.number))
        with open_output(
            part,
            self._layout,
            provenance=provenance_of(self._run),
            mark=mark,
            beside=place_beside(self._target.path),
        ) as writer:
            self._write_batch(batch, writer, outcomes)
        self._written.add(batch.number)

    def _write_batch(self, batch: BatchFolder, writer: Writer, outcomes: BatchOutcomes) -> None:
        for rows in batch.rows():
            if not rows.num_rows:
                continue
            joined = outcomes.join(rows)
            writer.write(rows["input"], joined)
            self.summary.add(joined)
            self._report(Writing(self._run.record.totals.rows, self.summary.rows))


class TypedAnswers:
    """Reads answers as values that fit the schema and its Arrow column."""

    def __init__(self, schema: AnswerSchema) -> None:
        self._reader = AnswerReader(schema)
        self._column = AnswerColumn(schema.schema)

    def read(self, text: str) -> tuple[Any, str | None]:
        """Give the value, or None and where the text fails."""
        value, error = self._reader.read(text)
        if error is None:
            error = self._column.check(value)
        return (value, None) if error is None else (None, error)
