"""What became of a run's rows: the results of a batch by custom_id, with the retries over them."""

from __future__ import annotations

from functools import cached_property
from io import BytesIO
from itertools import accumulate, count
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pyarrow as pa

from valar_batch.core.attempts import winner
from valar_batch.core.lifecycle import BatchState
from valar_batch.core.outcome import Outcome
from valar_batch.core.prices import Price
from valar_batch.core.statuses import Status
from valar_batch.flow.damage import DamagedResults
from valar_batch.flow.overlay import Overlay
from valar_batch.formats.held import HeldRows, rows_at
from valar_batch.runs.run import UNSENT
from valar_batch.runs.spool import ends_at, read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from valar_batch.core.outcome import OutcomeReader
    from valar_batch.core.wire import Result
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.records import BatchRecord, RunRecord
    from valar_batch.runs.run import Run

Hold: TypeAlias = "Callable[[Sequence[Outcome]], pa.RecordBatch]"
"""Makes columns of outcomes, in the form in which an output takes them."""

NOT_IN_BATCH = "not in this batch"


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


class RunOutcomes:
    """The outcomes of a run's rows, a batch at a time, in input order."""

    def __init__(self, run: Run, reader: OutcomeReader, hold: Hold) -> None:
        self._reader = reader
        self._hold = hold
        self._overlay = Overlay(run, self._load)

    def of_batch(self, batch: BatchFolder) -> BatchOutcomes:
        """Give the outcomes of a batch of the first attempt, with the retries over them."""
        record = batch.read()
        attempts = [self._load(batch, record), *self._overlay.over(record)]
        return BatchOutcomes(attempts, self._hold)

    def _load(self, batch: BatchFolder, record: BatchRecord) -> Attempt:
        return Attempt(batch, record, self._reader, self._hold)


class Attempt:
    """What is known of the requests of one batch; of two results for one id, the later counts.

    Raises DamagedResults where a collected batch has not all of its results.
    """

    def __init__(
        self, batch: BatchFolder, record: BatchRecord, reader: OutcomeReader, hold: Hold
    ) -> None:
        rows, end = HeldRows(), 0
        self._batch = batch
        self._statuses: list[str] = []
        self._places: dict[str | None, int] = {}
        for content, end in read_ahead(batch.spool_path):  # noqa: B007 - the last one counts
            outcomes = [reader.read(line, 1) for line in BytesIO(content)]
            ids = [outcome.custom_id for outcome in outcomes]
            self._places.update(zip(ids, count(len(self._statuses)), strict=False))
            self._statuses += [outcome.status for outcome in outcomes]
            rows.add(hold(outcomes))
        if record.state is BatchState.COLLECTED and (
            len(self._places) < record.requests or not ends_at(batch.spool_path, end)
        ):
            raise DamagedResults(record.title, batch.spool_path)
        self.pieces = rows.pieces()
        self._is_sent = record.state not in UNSENT
        ended = record.state in (BatchState.SETTLED, BatchState.COLLECTED)
        self._absent = Status.MISSING if ended else Status.PENDING

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self._batch.custom_ids())

    def __len__(self) -> int:
        return len(self._statuses)

    def __contains__(self, custom_id: str) -> bool:
        return custom_id in self._ids

    def place(self, custom_id: str | None) -> int | None:
        """Give the place of a result among the pieces."""
        return self._places.get(custom_id)

    def status(self, custom_id: str) -> str:
        """Give the status of a request."""
        place = self._places.get(custom_id)
        return self._absent if place is None else self._statuses[place]

    def sent(self, custom_id: str) -> int:
        """Count how often a request was sent in it: once, or not at all yet."""
        return int(self._is_sent or custom_id in self._places)

    def without_result(self, custom_id: str) -> Outcome:
        """Give the outcome of a request that has no result here."""
        reason = ABSENT_REASONS[self._absent] if self._is_sent else "not sent yet"
        return Outcome(custom_id, self._absent, error=reason, attempts=int(self._is_sent))


class Place(NamedTuple):
    """Where the outcome of a row is held, and how often the row was sent."""

    place: int
    attempts: int


class BatchOutcomes:
    """The outcomes of a batch's rows: those of its first attempt, with the later ones over them."""

    def __init__(self, attempts: Sequence[Attempt], hold: Hold) -> None:
        self._attempts = attempts
        self._hold = hold
        self._pieces = [piece for attempt in attempts for piece in attempt.pieces]
        self._starts = [0, *accumulate(map(len, attempts))]

    def join(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Give the outcomes of rows, at least one, as they are held."""
        ids = rows["custom_id"].to_pylist()
        found = map(self._attempts[0].place, ids)
        places = [place for place in found if place is not None]
        is_plain = len(self._attempts) == 1 and rows["problem"].null_count == rows.num_rows
        if is_plain and len(places) == len(ids):
            return rows_at(self._pieces, places)
        return self._put_together(map(self._of, ids, rows["problem"].to_pylist()))

    def _put_together(self, found: Iterable[Outcome | Place]) -> pa.RecordBatch:
        others: list[Outcome] = []
        places: list[int] = []
        attempts: list[int] = []
        for one in found:
            attempts.append(one.attempts)
            if isinstance(one, Place):
                places.append(one.place)
            else:
                places.append(self._starts[-1] + len(others))
                others.append(one)
        pieces = [*self._pieces, self._hold(others)] if others else self._pieces
        held = rows_at(pieces, places)
        field = held.schema.get_field_index("attempts")
        return held.set_column(field, held.schema.field(field), pa.array(attempts, pa.int32()))

    def _of(self, custom_id: str | None, problem: str | None) -> Outcome | Place:
        """Give the outcome of a row; one without an id has none in this batch."""
        if problem is not None:
            return Outcome(custom_id, Status.INVALID, error=problem)
        if custom_id is None:
            return Outcome(None, Status.MISSING, error=NOT_IN_BATCH)
        first, *later = zip(self._starts, self._attempts, strict=False)
        told = [first, *((start, attempt) for start, attempt in later if custom_id in attempt)]
        sent = sum(attempt.sent(custom_id) for _, attempt in told)
        start, counts = told[winner([attempt.status(custom_id) for _, attempt in told])]
        place = counts.place(custom_id)
        if place is None:
            return counts.without_result(custom_id)._replace(attempts=sent)
        return Place(start + place, sent)


ABSENT_REASONS: Mapping[Status, str] = {
    Status.PENDING: "not settled yet",
    Status.MISSING: "Valar has no result for it; fetching again asks for it again",
}
