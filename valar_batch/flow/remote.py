"""The batches at Valar: which of them belong to runs here, and what is in one."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.identity import parse_label
from valar_batch.errors import DoubtError, StateError

if TYPE_CHECKING:
    from valar_batch.client.api import Valar
    from valar_batch.core.wire import Batch, BatchStatus
    from valar_batch.runs.home import Home


PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before an incomplete status is asked for again."""


def whole_status(batch_id: str, valar: Valar) -> BatchStatus:
    """Ask for a batch's status until it names as many requests as the batch has, or more.

    One that lacks some must not decide whose rows a batch has: they would be lost, or paid again.
    Raises DoubtError where it goes on lacking them.
    """
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        status = valar.batch_status(batch_id)
        if len(status.request_status) >= status.request_counts:
            return status
    raise DoubtError(
        f"Valar names {len(status.request_status):,} of the {status.request_counts:,} requests of "
        f"{batch_id}",
        hint="what it has to say of that batch is incomplete: try again later",
    )


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
