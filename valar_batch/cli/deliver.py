"""The second half of `run` and `fetch`: collect, join, write, and say how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valar_batch.cli.exit_status import Exit, status_of_output

if TYPE_CHECKING:
    from valar_batch.cli.options import OutputOptions, ScreenOptions
    from valar_batch.flow.join import Summary
    from valar_batch.formats.targets import Target
    from valar_batch.runs.run import Run
    from valar_batch.session import Session


def deliver(
    session: Session,
    run: Run,
    target: Target,
    output: OutputOptions,
    *,
    wait: bool,
    shown: Run | None = None,
) -> Summary:
    """Collect a run and write its output, or that of the same run as it is to be `shown`."""
    from valar_batch.flow.join import Join

    join = Join(shown or run, target, output.choice(), session.report)
    on_collected = join.on_collected if shown in (None, run) else ignored
    session.collect(run, concurrency=output.concurrency, wait=wait, on_collected=on_collected)
    return join.write()


def ignored(_: BatchFolder) -> None:
    """Do nothing about a batch that is collected."""


def conclude(
    run: Run, summary: Summary, target: Target, screen: ScreenOptions, *, as_json: bool
) -> Exit:
    """Say how it went, and give the exit status."""
    from valar_batch.cli.render import print_json, show_summary, summary_json

    if not screen.quiet:
        show_summary(run, summary, target)
    if as_json and target.path is not None:
        print_json(summary_json(run, summary, target))
    return status_of_output(summary)
