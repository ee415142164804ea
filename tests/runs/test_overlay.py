"""Retries are laid over the batches that they have rows of, each read once and held no longer."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.lifecycle import BatchState
from valar_batch.flow.overlay import Overlay
from valar_batch.runs.records import BatchRecord

SIZE = 10


def record(number: int, attempt: int, first: int, last: int, rows: int) -> BatchRecord:
    return BatchRecord(
        number=number, attempt=attempt, state=BatchState.COLLECTED, first_row=first,
        last_row=last, rows=rows, requests=rows, label="",
    )  # fmt: skip


@dataclass
class Folder:
    known: BatchRecord

    def read(self) -> BatchRecord:
        return self.known


@dataclass
class Retried:
    retries: list[Folder]


@st.composite
def retries(draw) -> list[Folder]:
    """Rounds of batches that follow each other in input order, as packing makes them."""
    folders = []
    for attempt in range(2, 2 + draw(st.integers(0, 3))):
        edges = sorted(draw(st.sets(st.integers(1, 6 * SIZE), max_size=6)))
        spans = zip(edges[::2], edges[1::2], strict=False)
        for number, (first, last) in enumerate(spans):
            folders.append(Folder(record(number, attempt, first, last, 2)))
    return folders


@given(retries())
def test_each_is_held_while_it_overlaps(folders) -> None:
    """For every batch those retries are given whose span meets its rows, oldest attempt first."""
    loaded: list[tuple[int, int]] = []

    def load(_: Folder, known: BatchRecord) -> tuple[int, int]:
        loaded.append((known.attempt, known.number))
        return known.attempt, known.number

    overlay = Overlay(Retried(folders), load)
    for number in range(6):
        first, last = number * SIZE + 1, (number + 1) * SIZE
        expected = sorted(
            (folder.known.attempt, folder.known.number)
            for folder in folders
            if folder.known.first_row <= last and folder.known.last_row >= first
        )
        assert overlay.over(record(number, 1, first, last, SIZE)) == expected
    assert len(loaded) == len(set(loaded)) == len(folders)
