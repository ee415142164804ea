"""Where a run stands: what is recorded here, and what Valar says of the batches still open."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from valar_batch.core.lifecycle import BatchState
from valar_batch.core.rules import TERMINAL, Status, remote_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from valar_batch.client.api import Valar
    from valar_batch.runs.records import BatchRecord, OutputRecord, Totals
    from valar_batch.runs.run import Run

NEEDS_VALAR = frozenset({BatchState.SUBMITTED, BatchState.SETTLED})


class BatchStanding(msgspec.Struct, frozen=True):
    """Where a batch stands; `statuses` counts its requests."""

    number: int
    state: BatchState
    batch_id: str | None
    requests: int
    bytes: int
    submitted_at: float | None
    statuses: dict[str, int]


class Standing(msgspec.Struct, frozen=True):
    """Where a run stands; `statuses` counts its rows. The shape of `status --json`."""

    run: str
    name: str | None
    target: str
    created_at: float
    tool_version: str
    input: str
    model: str | None
    totals: Totals
    is_settled: bool
    statuses: dict[str, int]
    batches: list[BatchStanding]
    outputs: list[OutputRecord]


def standing_of(run: Run, connect: Callable[[], Valar]) -> Standing:
    """Say where a run stands. `connect` is called only where a batch is still open at Valar."""
    record = run.record
    records = [batch.read() for batch in run.batches]
    valar = connect() if any(batch.state in NEEDS_VALAR for batch in records) else None
    batches = [batch_standing(batch, valar) for batch in records if batch.requests]
    statuses: Counter[str] = Counter()
    for batch in batches:
        statuses.update(batch.statuses)
    if record.totals.invalid:
        statuses[Status.INVALID] = record.totals.invalid
    return Standing(
        run=run.id,
        name=record.name,
        target=record.target,
        created_at=record.created_at,
        tool_version=record.tool_version,
        input=record.input.path,
        model=record.recipe.model,
        totals=record.totals,
        is_settled=Status.PENDING not in statuses,
        statuses=dict(statuses),
        batches=batches,
        outputs=run.outputs(),
    )


def batch_standing(record: BatchRecord, valar: Valar | None) -> BatchStanding:
    """Say where a batch stands."""
    statuses: Counter[str] = Counter(record.statuses)
    if valar is not None and record.state in NEEDS_VALAR and record.batch_id is not None:
        statuses = Counter()
        for entry in valar.batch_status(record.batch_id).request_status.values():
            status = remote_status(entry.status)
            statuses[status if status in TERMINAL else Status.PENDING] += 1
    unaccounted = record.requests - statuses.total()
    if unaccounted > 0:
        statuses[Status.PENDING] += unaccounted
    return BatchStanding(
        record.number,
        record.state,
        record.batch_id,
        record.requests,
        record.bytes,
        record.submitted_at,
        {str(status): count for status, count in statuses.items()},
    )
