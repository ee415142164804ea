"""A command's session: what it reports to the screen, and what it says when it is interrupted."""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING

from valar_batch.cli.interrupts import Stopped, heed
from valar_batch.errors import StateError
from valar_batch.progress import reporting
from valar_batch.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from valar_batch.cli.options import AccessOptions, ScreenOptions
    from valar_batch.flow.events import Event, Reporter
    from valar_batch.runs.run import Run


@contextlib.contextmanager
def reporting_on(screen: ScreenOptions) -> Iterator[Reporter]:
    """Give the reporter of a command."""
    with reporting(screen.progress, quiet=screen.quiet) as show:

        def report(event: Event) -> None:
            heed.check()
            show(event)

        yield report


@contextlib.contextmanager
def open_session(
    target: str,
    screen: ScreenOptions,
    access: AccessOptions,
    run: Run | None = None,
    *,
    go_on: Callable[[Run | None], str],
) -> Iterator[Session]:
    """Connect and begin to report; on an interrupt, say how to `go_on` with the run."""
    opened: Session | None = None
    with (
        resumable(lambda: go_on(opened.run if opened else run)),
        reporting_on(screen) as report,
        Session.open(target, report, run, access.access()) as session,
    ):
        opened = session
        yield session


@contextlib.contextmanager
def resumable(go_on: Callable[[], str]) -> Iterator[None]:
    """On an interrupt, say why it stopped and how to go on."""
    from valar_batch.cli.render import say

    try:
        yield
    except Stopped as stopped:
        if not stopped.is_told:
            stopped.is_told = True
            say(f"{stopped.why}; {go_on()}")
        raise


def how_to_go_on(run: Run | None, to: str = "OUT", name: str | None = None) -> str:
    """Say what an interrupt leaves behind, and the command that goes on with it."""
    if run is None:
        return "nothing was sent, and nothing is lost. Go on: the same command again"
    try:
        if not run.is_sent():
            send = f"valar-batch resume {run.id}"
            return f"what was sent goes on at Valar. Send the rest: {send}"
        here = "all answers are here" if run.is_collected() else "the batches go on at Valar"
    except StateError as error:
        return error.message
    return f"{here}. Go on: valar-batch fetch {name or run.id} --to {shlex.quote(to)}"
