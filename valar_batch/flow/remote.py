"""The batches at Valar: which of them belong to runs here, and what is in one."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.identity import parse_label
from valar_batch.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valar_batch.client.api import Valar
    from valar_batch.core.wire import Batch, BatchStatus
    from valar_batch.runs.home import Home
    from valar_batch.runs.run import Run


PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before an incomplete status is asked for again."""


def statuses(batch_id: str, valar: Valar) -> Iterator[BatchStatus]:
    """Ask for the status of a batch again and again, as long as that makes sense.

    It may lack requests for a while, or name some that the batch does not have. Whoever goes by
    such a one loses rows, or pays for them again.
    """
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        yield valar.batch_status(batch_id)


def requests_in(batch: Batch, run: Run, valar: Valar) -> set[str]:
    """Give the requests of a run that are in a batch at Valar.

    They are fewer than `batch.request_counts` where it has requests of others, or does not name
    all that it has.
    """
    ours: set[str] = set()
    for status in statuses(batch.id, valar):
        names = status.request_status.keys()
        ours.update(i for folder in run.batches for i in folder.custom_ids() if i in names)
        if len(ours) == batch.request_counts:
            break
    return ours


class RemoteBatch(msgspec.Struct, frozen=True):
    """A batch at Valar; `run` is the run here that it belongs to. The shape of `list --remote`."""

    id: str
    label: str | None
    requests: int
    created_at: int
    run: str | None


def batches_at(target: str, home: Home, valar: Valar) -> list[RemoteBatch]:
    """Give every batch of this key, the newest first."""
    runs = {run.id: run for run in home.runs() if run.record.target == target}
    by_batch: dict[str | None, str] = {}
    for run in runs.values():
        with contextlib.suppress(StateError):  # what cannot be read is found by its label
            by_batch.update((batch.read().batch_id, run.id) for batch in run.all_batches)

    def run_of(batch: Batch) -> str | None:
        label = parse_label(batch.label or "")
        by_label = label.run if label is not None and label.run in runs else None
        return by_batch.get(batch.id, by_label)

    found = sorted(valar.list_batches(), key=lambda batch: -batch.created_at)
    return [
        RemoteBatch(batch.id, batch.label, batch.request_counts, batch.created_at, run_of(batch))
        for batch in found
    ]
