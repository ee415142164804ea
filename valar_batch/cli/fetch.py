"""`fetch RUN --to OUT`: bring the answers home; this never spends."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from valar_batch.cli.grouping import INPUT, option
from valar_batch.cli.interrupts import heed
from valar_batch.cli.lookup import RunOrBatchArgument
from valar_batch.cli.options import (
    AccessOptions,
    OutputOptions,
    ScreenOptions,
    TargetOptions,
    TimeoutOption,
)

if TYPE_CHECKING:
    from valar_batch.flow.join import Summary
    from valar_batch.runs.run import Run


def command(
    output: OutputOptions,
    target: TargetOptions,
    access: AccessOptions,
    screen: ScreenOptions,
    name: RunOrBatchArgument = None,
    input_path: Annotated[
        str | None,
        option(
            "--input",
            text="For a batch that was not sent from here: the rows to join its answers to.",
            panel=INPUT,
            metavar="FILE",
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        option(
            "--id",
            text="Column of --input that identifies a row; without it rows are numbered.",
            panel=INPUT,
            metavar="COLUMN",
        ),
    ] = None,
    input_format: Annotated[
        str | None,
        option(
            "--input-format",
            text="Format of --input, where name and content do not tell.",
            panel=INPUT,
            metavar="FORMAT",
        ),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Take what is there now; the rest is pending.")
    ] = False,
    timeout: TimeoutOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON on stdout.")
    ] = False,
) -> None:
    """Wait for a run's answers, join them to its rows, and write them.

    Of a batch that was not sent from here, the rows are its requests, or those of --input. Batches
    that were not sent stay unsent. Fetching again costs nothing, and once all answers are
    here it needs neither key nor network.
    """
    from valar_batch.cli.deliver import conclude, deliver
    from valar_batch.cli.process import ready_for_many_rows
    from valar_batch.cli.session import how_to_go_on, reporting_on, resumable
    from valar_batch.flow.damage import mending
    from valar_batch.flow.foreign import with_input
    from valar_batch.flow.join import Join
    from valar_batch.orders import rows_given
    from valar_batch.session import (
        Session,
        check_apart,
        check_columns,
        check_output,
        find_run_or_batch,
        open_home,
    )

    heed.stop_after(timeout)
    ready_for_many_rows()
    out = output.target()
    home = open_home()
    found: list[Run] = []
    with ExitStack() as stack:
        go_on = resumable(lambda: how_to_go_on(found[0] if found else None, output.to, name))
        stack.enter_context(go_on)
        report = stack.enter_context(reporting_on(screen))
        run = shown = find_run_or_batch(home, name, target.target, report, access.access())
        found.append(run)
        stack.enter_context(run.in_use())
        check_apart(out, run.record.input.place, input_path)
        check_output(out, [run], overwrite=output.overwrite)
        rows = rows_given(run, input_path, id_column, input_format)
        if rows is not None:
            shown = stack.enter_context(with_input(run, rows, home, report))
        check_columns(shown, output.choice())

        def bring() -> Summary:
            if run.is_collected():
                return Join(shown, out, output.choice(), report).write()
            with Session.open(run.record.target, report, run, access.access()) as session:
                return deliver(session, run, out, output, wait=not no_wait, shown=shown)

        summary = mending(run, report, bring, is_repeatable=out.path is not None)
    raise typer.Exit(conclude(run, summary, out, screen, as_json=as_json))
