"""`fetch RUN --to OUT`: bring the answers home; this never spends."""

from __future__ import annotations

from typing import Annotated

import typer

from valar_batch.cli.options import OutputOptions, ScreenOptions

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="A run's id, the beginning of it, or its name; else the latest run."
    ),
]


def command(
    output: OutputOptions,
    screen: ScreenOptions,
    name: RunArgument = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Take what is there now; the rest is pending.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON on stdout.")
    ] = False,
) -> None:
    """Wait for a run's answers, join them to its rows, and write them.

    Batches that were not sent stay unsent. Fetching again costs nothing, and once all answers are
    here it needs neither key nor network.
    """
    from valar_batch.cli.deliver import check_output, conclude, deliver
    from valar_batch.cli.progress import reporting
    from valar_batch.cli.session import Session, open_home
    from valar_batch.flow.join import Join

    out = output.target()
    run = open_home().find(name)
    check_output(out, [run], overwrite=output.overwrite)
    if run.is_collected():
        with reporting(screen.progress, quiet=screen.quiet) as report:
            summary = Join(run, out, output.choice(), report).write()
    else:
        with Session.open(run.record.target, screen, run) as session:
            summary = deliver(session, run, out, output, wait=not no_wait)
    raise typer.Exit(conclude(run, summary, out, screen, as_json=as_json))
