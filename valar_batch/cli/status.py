"""`status [RUN|BATCH]`: where a run or a batch stands."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from valar_batch.cli.lookup import RunOrBatchArgument
from valar_batch.cli.options import AccessOptions, TargetOptions

WATCH_SECONDS = 5.0


def command(
    target: TargetOptions,
    access: AccessOptions,
    name: RunOrBatchArgument = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every few seconds until it is settled.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show where a run and its batches stand, or any batch at Valar."""
    from valar_batch.cli.render import print_json, show_standing
    from valar_batch.flow.events import silent
    from valar_batch.session import find_run_or_batch, look, open_home

    run = find_run_or_batch(open_home(), name, target.target, silent, access.access())
    while True:
        standing = look(run, access.access())
        if as_json:
            print_json(standing)
        else:
            show_standing(standing)
        if not watch or standing.is_settled:
            return
        time.sleep(WATCH_SECONDS)
