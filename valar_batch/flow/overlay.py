"""The retries of a run, laid over its batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.records import BatchRecord
    from valar_batch.runs.run import Run

T = TypeVar("T")


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
