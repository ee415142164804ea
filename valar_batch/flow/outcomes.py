"""What became of a run's rows: the results of a batch by custom_id, with the retries over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from valar_batch.core.attempts import winner
from valar_batch.core.lifecycle import BatchState
from valar_batch.core.outcome import Outcome
from valar_batch.core.prices import Price
from valar_batch.core.statuses import Status
from valar_batch.errors import StateError
from valar_batch.runs.run import UNSENT
from valar_batch.runs.spool import read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from valar_batch.core.outcome import OutcomeReader
    from valar_batch.core.wire import Result
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.records import BatchRecord, RunRecord
    from valar_batch.runs.run import Run

T = TypeVar("T")

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


class Overlay(Generic[T]):
    """The retries of a run, laid over its batches one after the other, in input order.

    What `load` makes of a retry is held from the first batch that it overlaps to the last.
    """

    def __init__(self, run: Run, load: Callable[[BatchFolder, BatchRecord], T]) -> None:
        self._load = load
        self._ahead = [(batch, batch.read()) for batch in run.retries]
        self._held: list[tuple[BatchRecord, T]] = []

    def over(self, record: BatchRecord) -> list[T]:
        """Give the retries that may have rows of this batch, the oldest attempt first."""
        last = record.first_row + record.rows - 1
        self._held = [(other, loaded) for other, loaded in self._held if reaches(other, record)]
        begun = [(folder, other) for folder, other in self._ahead if other.first_row <= last]
        self._ahead = [(folder, other) for folder, other in self._ahead if other.first_row > last]
        self._held += [
            (other, self._load(folder, other)) for folder, other in begun if reaches(other, record)
        ]
        self._held.sort(key=lambda held: (held[0].attempt, held[0].number))
        return [loaded for _, loaded in self._held]


def reaches(retry: BatchRecord, record: BatchRecord) -> bool:
    """Whether a retry ends within a batch or after it."""
    return retry.last_row >= record.first_row


class RunOutcomes:
    """The outcomes of a run's rows, a batch at a time, in input order."""

    def __init__(self, run: Run, reader: OutcomeReader) -> None:
        self._reader = reader
        self._overlay = Overlay(run, self._of_retry)

    def of_batch(self, batch: BatchFolder) -> BatchOutcomes:
        """Give the outcomes of a batch of the first attempt, with the retries over them."""
        return BatchOutcomes(batch, self._reader, self._overlay.over(batch.read()))

    def _of_retry(self, batch: BatchFolder, _: BatchRecord) -> Mapping[str, Outcome]:
        ids = batch.custom_ids()
        outcomes = BatchOutcomes(batch, self._reader)
        return {custom_id: outcomes.of(custom_id) for custom_id in ids}


class BatchOutcomes:
    """The outcomes of one batch by custom_id; of two results for one id, the later counts.

    `retries` hold the outcomes of rows that were sent again, the oldest attempt first.
    """

    def __init__(
        self,
        batch: BatchFolder,
        reader: OutcomeReader,
        retries: Sequence[Mapping[str, Outcome]] = (),
    ) -> None:
        record = batch.read()
        self._retries = retries
        self._outcomes: dict[str, Outcome] = {}
        for line in read_lines(batch.spool_path):
            outcome = reader.read(line, 1)
            self._outcomes[outcome.custom_id or ""] = outcome
        if record.state is BatchState.COLLECTED and len(self._outcomes) < record.requests:
            raise StateError(
                f"results of {record.title} are damaged: {batch.spool_path}",
                hint="repeat the command: they are fetched again",
            )
        sent = record.state not in UNSENT
        ended = record.state in (BatchState.SETTLED, BatchState.COLLECTED)
        self._absent = Status.MISSING if ended else Status.PENDING
        self._attempts = int(sent)
        self._reason = ABSENT_REASONS[self._absent] if sent else "not sent yet"

    def join(self, rows: pa.RecordBatch) -> list[Outcome]:
        """Give the outcome of each row."""
        ids, problems = rows["custom_id"].to_pylist(), rows["problem"].to_pylist()
        return [
            Outcome(custom_id, Status.INVALID, error=problem)
            if problem is not None
            else self.of(custom_id)
            for custom_id, problem in zip(ids, problems, strict=True)
        ]

    def of(self, custom_id: str | None) -> Outcome:
        """Give the outcome of a request; a row without an id has none in this batch."""
        if custom_id is None:
            return Outcome(None, Status.MISSING, error=NOT_IN_BATCH)
        outcome = self._outcomes.get(custom_id)
        if outcome is None:
            outcome = Outcome(custom_id, self._absent, error=self._reason, attempts=self._attempts)
        again = [retry[custom_id] for retry in self._retries if custom_id in retry]
        return laid_over(outcome, again) if again else outcome


def laid_over(first: Outcome, again: Sequence[Outcome]) -> Outcome:
    """Give the outcome that counts, with the number of times that the row was sent."""
    outcomes = [first, *again]
    counts = outcomes[winner([outcome.status for outcome in outcomes])]
    return counts._replace(attempts=sum(outcome.attempts for outcome in outcomes))


ABSENT_REASONS: Mapping[Status, str] = {
    Status.PENDING: "not settled yet",
    Status.MISSING: "Valar has no result for it; fetching again asks for it again",
}
