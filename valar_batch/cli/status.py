"""`status [RUN]`: where a run stands."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from valar_batch.cli.fetch import RunArgument

WATCH_SECONDS = 5.0


def command(
    name: RunArgument = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every few seconds until it is settled.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show where a run and its batches stand."""
    from valar_batch.cli.render import print_json, show_standing
    from valar_batch.session import look, open_home

    run = open_home().find(name)
    while True:
        standing = look(run)
        if as_json:
            print_json(standing)
        else:
            show_standing(standing)
        if not watch or standing.is_settled:
            return
        time.sleep(WATCH_SECONDS)
