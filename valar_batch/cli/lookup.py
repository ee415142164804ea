"""What a RUN argument means: a run here, a batch of one, or any batch at Valar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from valar_batch.errors import StateError, UsageError

if TYPE_CHECKING:
    from valar_batch.cli.options import TargetOptions
    from valar_batch.flow.events import Reporter
    from valar_batch.runs.home import Home
    from valar_batch.runs.run import Run

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="A run's id, the beginning of it, or its name; else the latest run."
    ),
]
RunOrBatchArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN|BATCH]",
        help="A run's id, the beginning of it, or its name; else the latest run. Or the id of any "
        "batch at Valar, also one that was not sent from here.",
    ),
]


def find_run_or_batch(home: Home, name: str | None, target: TargetOptions, report: Reporter) -> Run:
    """Find a run or a batch of one; else ask the target for a batch of that id.

    Raises StateError where there is neither.
    """
    found = home.lookup(name)
    if found is None and name is not None:
        found = home.batch(name)
    if found is not None:
        return found
    if name is None or name.startswith("run-"):
        raise home.unknown(name)
    return foreign_batch(home, name, target.target(), report)


def foreign_batch(home: Home, batch_id: str, target: str, report: Reporter) -> Run:
    """Give a batch from elsewhere; where it is not known here yet, the target is asked."""
    from valar_batch.flow.foreign import known_foreign, take_foreign
    from valar_batch.session import calling, connected

    known = known_foreign(home, target, batch_id)
    if known is not None:
        return known
    try:
        with connected(target, home) as connection, calling(connection, report) as valar:
            return take_foreign(home, target, batch_id, valar)
    except UsageError as error:
        raise StateError(
            f"no run {batch_id!r} in {home.path}, and {target} cannot be asked for such a batch: "
            f"{error.message}",
            hint=error.hint,
        ) from error
