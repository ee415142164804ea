"""`run INPUT --to OUT`: submit and fetch in one."""

from __future__ import annotations

from typing import Annotated

import typer

from valar_batch.cli.interrupts import heed
from valar_batch.cli.options import (
    AccessOptions,
    InputOptions,
    OutputOptions,
    ScreenOptions,
    SubmitOptions,
    TargetOptions,
    TimeoutOption,
)
from valar_batch.cli.recipe_options import RecipeOptions
from valar_batch.cli.submit import InputArgument, order_of, what_was_sent


def command(
    path: InputArgument,
    recipe: RecipeOptions,
    source: InputOptions,
    target: TargetOptions,
    access: AccessOptions,
    submission: SubmitOptions,
    output: OutputOptions,
    screen: ScreenOptions,
    timeout: TimeoutOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON on stdout.")
    ] = False,
) -> None:
    """Send INPUT and bring the answers home: submit and fetch in one.

    Given again after a crash, it goes on where it was.
    """
    from valar_batch.cli.deliver import conclude, deliver
    from valar_batch.cli.render import problems_shown, say
    from valar_batch.cli.session import how_to_go_on, open_session
    from valar_batch.flow.damage import mending
    from valar_batch.session import check_apart, check_columns, check_output, open_home

    heed.stop_after(timeout)
    order = order_of(path, recipe, source, target, submission.name)
    out = output.target()
    check_apart(out, path)
    check_output(out, open_home().runs(), overwrite=output.overwrite)
    with (
        problems_shown(path),
        open_session(
            order.target, screen, access, go_on=lambda run: how_to_go_on(run, output.to)
        ) as session,
    ):
        submitted = session.submit(
            order,
            again=submission.again,
            allow=lambda runs: check_output(out, runs, overwrite=output.overwrite),
            announce=lambda run: check_columns(run, output.choice()),
        )
        summary = mending(
            submitted.run,
            session.report,
            lambda: deliver(session, submitted.run, out, output, wait=True),
            is_repeatable=out.path is not None,
        )
    if not (screen.quiet or submitted.sent.posted):
        say(f"{submitted.run.id}: {what_was_sent(submitted)}")
    raise typer.Exit(conclude(submitted.run, summary, out, screen, as_json=as_json))
