"""What a command works with: the home folder, the way to Valar, the reporter, the run at hand."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from valar_batch.settings import LOCAL, connection_to, home_path, missing_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from valar_batch.cli.options import ScreenOptions
    from valar_batch.client.api import Retry, Valar
    from valar_batch.client.connection import Connection
    from valar_batch.flow.events import Reporter
    from valar_batch.flow.prepare import Order
    from valar_batch.flow.retry import Choice, Retried
    from valar_batch.flow.submit import Submitted
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.home import Home
    from valar_batch.runs.run import Run


def open_home() -> Home:
    """Give the home folder; nothing is made yet."""
    from valar_batch.runs.home import Home

    return Home(home_path())


@contextlib.contextmanager
def connected(target: str, home: Home) -> Iterator[Connection]:
    """Give the way to a target; the local Valar is started, and held while it is in use."""
    if target != LOCAL:
        yield connection_to(target)
        return
    from valar_batch.client.connection import Connection
    from valar_batch.local.launch import ensure

    home.create()
    with ensure(home.path) as lease:
        yield Connection(lease.base_url, lease.api_key)


@contextlib.contextmanager
def calling(connection: Connection, report: Reporter) -> Iterator[Valar]:
    """Give the control calls; each retry is reported."""
    from valar_batch.client.api import Valar
    from valar_batch.flow.events import Waiting

    def on_retry(retry: Retry) -> None:
        report(Waiting(retry.call, retry.delay, str(retry.error)))

    with Valar(connection, on_retry=on_retry) as valar:
        yield valar


@dataclass(slots=True)
class Session:
    """A command at work on a run; `run` is set as soon as there is one."""

    home: Home
    connection: Connection
    valar: Valar
    report: Reporter
    run: Run | None = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, target: str, screen: ScreenOptions, run: Run | None = None) -> Iterator[Self]:
        """Connect and begin to report; on an interrupt, say how to go on."""
        from valar_batch.cli.progress import reporting

        home = open_home()
        session: Self | None = None
        try:
            with (
                connected(target, home) as connection,
                reporting(screen.progress, quiet=screen.quiet) as report,
                calling(connection, report) as valar,
            ):
                session = cls(home, connection, valar, report, run)
                yield session
        except KeyboardInterrupt:
            say_how_to_resume(session.run if session else run)
            raise

    def submit(
        self,
        order: Order,
        *,
        again: bool,
        allow: Callable[[list[Run]], None] = lambda _: None,
        announce: Callable[[Run], None] = lambda _: None,
    ) -> Submitted:
        """Prepare and send an order."""
        from valar_batch.flow.submit import submit

        def placed(run: Run) -> None:
            self.run = run
            announce(run)

        key = self.home.fingerprint(self.connection.api_key)
        return submit(
            order,
            self.home,
            self.valar,
            key,
            self.report,
            again=again,
            allow=allow,
            announce=placed,
        )

    def send(self, run: Run, *, resend: bool) -> None:
        """Send what is unsent of a run."""
        from valar_batch.flow.send import send

        key = self.home.fingerprint(self.connection.api_key)
        send(run, self.valar, key, self.report, resend=resend)

    def retry(
        self, run: Run, choice: Choice, *, resend: bool, announce: Callable[[Run], None]
    ) -> Retried:
        """Send rows of a run again."""
        from valar_batch.flow.retry import retry

        key = self.home.fingerprint(self.connection.api_key)
        return retry(run, choice, self.valar, key, self.report, resend=resend, announce=announce)

    def collect(
        self,
        run: Run,
        *,
        concurrency: int,
        wait: bool,
        on_collected: Callable[[BatchFolder], None] = lambda _: None,
    ) -> None:
        """Bring home what was sent of a run."""
        from valar_batch.flow.collect import Pace, collect

        pace = Pace(concurrency, missing_after())
        collect(
            run,
            self.valar,
            self.connection,
            self.report,
            pace,
            wait=wait,
            on_collected=on_collected,
        )


def say_how_to_resume(run: Run | None) -> None:
    """Say what an interrupt leaves behind."""
    from valar_batch.cli.render import say

    if run is None:
        say("stopped before anything was sent; nothing is lost")
    elif run.is_sent():
        say(f"stopped; the batches go on at Valar. Go on: valar-batch fetch {run.id} --to OUT")
    else:
        say(f"stopped; what was sent goes on at Valar. Send the rest: valar-batch resume {run.id}")
