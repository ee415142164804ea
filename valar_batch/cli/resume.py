"""`resume RUN`: send what is still unsent, without the input."""

from __future__ import annotations

from typing import Annotated

import typer

from valar_batch.cli.interrupts import heed
from valar_batch.cli.lookup import RunArgument
from valar_batch.cli.options import AccessOptions, ScreenOptions, TimeoutOption

ResendOption = Annotated[
    bool,
    typer.Option(
        "--resend",
        help="Send a batch again although it may be at Valar: only when you know it is not.",
    ),
]


def command(
    access: AccessOptions,
    screen: ScreenOptions,
    name: RunArgument = None,
    resend: ResendOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Send what is still unsent of a run; its input is not needed."""
    from valar_batch.cli.render import say
    from valar_batch.cli.session import how_to_go_on, open_session
    from valar_batch.flow.retry import nothing_to_send
    from valar_batch.session import open_home

    heed.stop_after(timeout)
    run = open_home().find(name)
    if run.is_foreign:
        raise nothing_to_send(run)
    with open_session(run.record.target, screen, access, run, go_on=how_to_go_on) as session:
        session.send(run, resend=resend)
    if not screen.quiet:
        say(f"{run.id} is all at Valar; next: valar-batch fetch {run.id} --to OUT")
