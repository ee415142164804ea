"""`status [RUN|BATCH]`: where a run or a batch stands."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Annotated

import typer

from valar_batch.cli.lookup import RunOrBatchArgument, find_run_or_batch
from valar_batch.cli.options import TargetOptions

if TYPE_CHECKING:
    from valar_batch.flow.status import Standing
    from valar_batch.runs.run import Run

WATCH_SECONDS = 5.0


def command(
    target: TargetOptions,
    name: RunOrBatchArgument = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every few seconds until it is settled.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show where a run and its batches stand, or any batch at Valar."""
    from valar_batch.cli.render import print_json, show_standing
    from valar_batch.cli.session import open_home
    from valar_batch.flow.events import silent

    run = find_run_or_batch(open_home(), name, target, silent)
    while True:
        standing = look(run)
        if as_json:
            print_json(standing)
        else:
            show_standing(standing)
        if not watch or standing.is_settled:
            return
        time.sleep(WATCH_SECONDS)


def look(run: Run) -> Standing:
    """Ask the disk, and Valar where a batch is still open there."""
    from valar_batch.cli.session import calling, connected, open_home
    from valar_batch.client.api import Valar
    from valar_batch.flow.events import silent
    from valar_batch.flow.status import standing_of

    with contextlib.ExitStack() as stack:

        def connect() -> Valar:
            connection = stack.enter_context(connected(run.record.target, open_home()))
            return stack.enter_context(calling(connection, silent))

        return standing_of(run, connect)
