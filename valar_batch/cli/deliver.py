"""The second half of `run` and `fetch`: collect, join, write, and say how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valar_batch.cli.exit_status import Exit, status_of_output
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from valar_batch.cli.options import OutputOptions, ScreenOptions
    from valar_batch.cli.session import Session
    from valar_batch.flow.join import Summary
    from valar_batch.formats.targets import Target
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.run import Run


def check_output(target: Target, runs: Iterable[Run], *, overwrite: bool) -> None:
    """Refuse to replace a file that none of these runs wrote. Raises UsageError."""
    if target.path is None or overwrite or not target.path.exists():
        return
    if target.is_folder:
        from valar_batch.formats.parts import writers_of

        if not writers_of(target.path) <= {run.id for run in runs}:
            raise UsageError(
                f"{target.path} holds files that this run did not write",
                hint="name a new or an empty folder; --overwrite replaces other runs' parts",
            )
    elif not any(run.wrote(target.path) for run in runs):
        raise UsageError(
            f"{target.path} exists, and this run did not write it",
            hint="--overwrite replaces it, once the new file is complete",
        )


def check_columns(run: Run, output: OutputOptions) -> None:
    """Refuse columns that the output cannot have. Raises UsageError."""
    from valar_batch.flow.join import layout_for

    layout_for(run.record, output.choice())


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
    has_parts = target.is_folder and shown in (None, run)
    on_collected = join.write_part if has_parts else ignored
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
