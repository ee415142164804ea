"""The batches at Valar, and which of them belong to runs here."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.identity import parse_label
from valar_batch.errors import StateError

if TYPE_CHECKING:
    from valar_batch.client.api import Valar
    from valar_batch.core.wire import Batch
    from valar_batch.runs.home import Home


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
