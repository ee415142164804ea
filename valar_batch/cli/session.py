"""A command's session: what it reports to the screen, and what it says when it is interrupted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from valar_batch.progress import reporting
from valar_batch.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valar_batch.cli.options import AccessOptions, ScreenOptions
    from valar_batch.runs.run import Run


@contextlib.contextmanager
def open_session(
    target: str, screen: ScreenOptions, access: AccessOptions, run: Run | None = None
) -> Iterator[Session]:
    """Connect and begin to report; on an interrupt, say how to go on."""
    session: Session | None = None
    try:
        with (
            reporting(screen.progress, quiet=screen.quiet) as report,
            Session.open(target, report, run, access.access()) as session,
        ):
            yield session
    except KeyboardInterrupt:
        say_how_to_resume(session.run if session else run)
        raise


def say_how_to_resume(run: Run | None) -> None:
    """Say what an interrupt leaves behind."""
    from valar_batch.cli.render import say

    if run is None:
        say("stopped before anything was sent; nothing is lost")
    elif run.is_sent():
        say(f"stopped; the batches go on at Valar. Go on: valar-batch fetch {run.id} --to OUT")
    else:
        say(f"stopped; what was sent goes on at Valar. Send the rest: valar-batch resume {run.id}")
