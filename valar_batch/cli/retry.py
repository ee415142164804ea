"""`retry RUN`: send rows without an answer again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from valar_batch.cli.interrupts import heed
from valar_batch.cli.lookup import RunArgument
from valar_batch.cli.options import AccessOptions, ScreenOptions, TimeoutOption
from valar_batch.cli.resume import ResendOption
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from valar_batch.core.statuses import Status
    from valar_batch.flow.retry import Choice, Retried
    from valar_batch.runs.run import Run


def command(
    access: AccessOptions,
    screen: ScreenOptions,
    name: RunArgument = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            metavar="FILE",
            help="Only these rows, also such with an answer: a custom_id on each line, or a JSONL, "
            "CSV or Parquet file with a column custom_id, as a filtered output.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="failed|cancelled|missing",
            help="Only rows of this status; may be given more than once.",
        ),
    ] = None,
    resend: ResendOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Send the failed, cancelled and missing rows of a run again; prints the run id.

    Each is sent with the bytes of its first attempt, and never while an attempt is under way. Given
    again after a crash, it sends what is unsent and never pays twice.
    """
    from valar_batch.cli.process import ready_for_many_rows
    from valar_batch.cli.render import say
    from valar_batch.cli.session import open_session
    from valar_batch.cli.submit import print_id
    from valar_batch.flow.retry import Choice
    from valar_batch.session import open_home

    heed.stop_after(timeout)
    ready_for_many_rows()
    choice = Choice(statuses(only), rows)
    run = open_home().find(name)
    with open_session(
        run.record.target, screen, access, run, go_on=lambda _: how_to_retry(run, choice)
    ) as session:
        retried = session.retry(run, choice, resend=resend, announce=print_id)
    if not screen.quiet:
        say(closing_line(run, retried))


def statuses(only: list[str] | None) -> frozenset[Status] | None:
    """Read `--only`."""
    from valar_batch.core.attempts import UNANSWERED

    if not only:
        return None
    if strange := set(only) - {status.value for status in UNANSWERED}:
        raise UsageError(f"--only is failed, cancelled or missing, not {min(strange)!r}")
    return frozenset(status for status in UNANSWERED if status.value in only)


def how_to_retry(run: Run, choice: Choice) -> str:
    """Say what an interrupt leaves behind: the same command goes on, wherever it stopped."""
    words = ["valar-batch", "retry", run.id]
    for status in sorted(choice.only or ()):
        words += ["--only", status.value]
    if choice.rows is not None:
        words += ["--rows", str(choice.rows)]
    return f"what was sent goes on at Valar. Go on: {shlex.join(words)}"


def closing_line(run: Run, retried: Retried) -> str:
    """Say what was done, and the next command."""
    from valar_batch.cli.submit import sent_batches
    from valar_batch.wording import plural

    fetch = f"next: valar-batch fetch {run.id} --to OUT"
    if retried.is_earlier:
        sent = sent_batches(retried.sent) or "all of it is at Valar"
        return f"{run.id}: an earlier retry was not all sent: {sent}; {fetch}"
    if retried.batches:
        left = f"; {plural(retried.under_way, 'row')} under way" if retried.under_way else ""
        return f"{run.id}: {sent_batches(retried.sent)}{left}; {fetch}"
    if retried.under_way:
        return f"nothing to send again: {plural(retried.under_way, 'row')} under way; {fetch}"
    return "nothing to send again: no such row is failed, cancelled or missing"
