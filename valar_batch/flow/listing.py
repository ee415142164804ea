"""The runs here: a line for each, also for one that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from valar_batch.errors import StateError
from valar_batch.flow.clean import DAMAGED

if TYPE_CHECKING:
    from valar_batch.runs.home import Home
    from valar_batch.runs.run import Run


class Listed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run: the shape of `list --json`. `error` says why one is damaged."""

    run: str
    name: str | None
    created_at: float
    state: str
    rows: int | None
    target: str | None
    model: str | None
    input: str | None
    error: str | None = None


def runs_here(home: Home) -> list[Listed]:
    """List the runs, the newest first; last come those whose record cannot be read."""
    readable = home.runs()
    known = {run.id for run in readable}
    others = [run for run in home.folders() if run.id not in known and not run.is_foreign]
    return [listed(run) for run in (*readable, *sorted(others, key=lambda run: run.id))]


def listed(run: Run) -> Listed:
    """Say what a run is, as far as it can be read."""
    try:
        record = run.record
    except StateError as error:
        begun = run.path.stat().st_mtime
        return Listed(run.id, None, begun, DAMAGED, None, None, None, None, error.message)
    state, reason = DAMAGED, None
    try:
        state = run.state()
    except StateError as error:
        reason = error.message
    return Listed(
        run.id,
        record.name,
        record.created_at,
        state,
        record.totals.rows,
        record.target,
        record.recipe.model,
        record.input.path,
        reason,
    )
