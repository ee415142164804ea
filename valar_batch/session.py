"""What a run is worked on with, by a command or from Python: home, connection, reporter.

Nothing here knows the screen: what happens goes to the reporter, what goes wrong is raised.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from valar_batch.core.backoff import UNREACHED_SECONDS
from valar_batch.errors import StateError, UsageError
from valar_batch.settings import (
    LOCAL,
    NO_ACCESS,
    Access,
    connection_to,
    home_path,
    missing_after,
    patience,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from valar_batch.client.api import Retry, Valar
    from valar_batch.client.connection import Connection
    from valar_batch.flow.events import Reporter
    from valar_batch.flow.requests import Order
    from valar_batch.flow.retry import Choice as RowChoice
    from valar_batch.flow.retry import Retried
    from valar_batch.flow.status import Standing
    from valar_batch.flow.submit import Submitted
    from valar_batch.formats.layout import Choice
    from valar_batch.formats.targets import Target
    from valar_batch.runs.batch import BatchFolder
    from valar_batch.runs.home import Home
    from valar_batch.runs.run import Run


def open_home() -> Home:
    """Give the home folder; nothing is made yet."""
    from valar_batch.runs.home import Home

    return Home(home_path())


@contextlib.contextmanager
def connected(target: str, home: Home, access: Access = NO_ACCESS) -> Iterator[Connection]:
    """Give the way to a target; the local Valar is started, and held while it is in use.

    The local Valar has its own key.
    """
    if target != LOCAL:
        yield connection_to(target, access=access)
        return
    from valar_batch.client.connection import Connection
    from valar_batch.local.launch import ensure

    home.create()
    with ensure(home.path) as lease:
        yield Connection(lease.base_url, lease.api_key)


@contextlib.contextmanager
def calling(
    connection: Connection, report: Reporter, patience: float = UNREACHED_SECONDS
) -> Iterator[Valar]:
    """Give the control calls; an outage and its end are reported."""
    from valar_batch.client.api import Valar
    from valar_batch.flow.events import Waiting, back

    def on_retry(retry: Retry) -> None:
        report(Waiting(retry.call, retry.delay, str(retry.error), retry.lasted))

    with Valar(
        connection,
        on_retry=on_retry,
        on_return=lambda lasted: report(back("Valar answers", lasted)),
        patience=patience,
    ) as valar:
        yield valar


def find_run_or_batch(
    home: Home,
    name: str | None,
    target: Callable[[], str],
    report: Reporter,
    access: Access = NO_ACCESS,
) -> Run:
    """Find a run or a batch of one; else ask the target for a batch of that id.

    Raises StateError where there is neither.
    """
    found = home.lookup(name)
    if found is None and name is not None:
        found = home.batch(name)
    if found is not None:
        return found
    if name is None or name.startswith("run-"):
        raise home.unknown(name)
    return foreign_batch(home, name, target(), report, access)


def foreign_batch(home: Home, batch_id: str, target: str, report: Reporter, access: Access) -> Run:
    """Give a batch from elsewhere; where it is not known here yet, the target is asked.

    Where that cannot be asked, a batch of this id that is known from another target is meant.
    """
    from valar_batch.flow.foreign import known_foreign, take_foreign

    known = known_foreign(home, target, batch_id)
    if known is not None:
        return known
    try:
        with connected(target, home, access) as connection, calling(connection, report) as valar:
            return take_foreign(home, target, batch_id, valar)
    except UsageError as error:
        known = next((run for run in home.foreign() if run.record.name == batch_id), None)
        if known is not None:
            return known
        raise StateError(
            f"no run {batch_id!r} in {home.path}, and {target} cannot be asked for such a batch: "
            f"{error.message}",
            hint=error.hint,
        ) from error


def look(run: Run, access: Access = NO_ACCESS) -> Standing:
    """Say where a run stands: ask the disk, and Valar where a batch is still open there."""
    from valar_batch.flow.events import silent
    from valar_batch.flow.status import standing_of

    with contextlib.ExitStack() as stack:

        def connect() -> Valar:
            way = connected(run.record.target, open_home(), access)
            return stack.enter_context(calling(stack.enter_context(way), silent))

        return standing_of(run, connect)


def check_output(target: Target, runs: Iterable[Run], *, overwrite: bool) -> None:
    """Refuse to replace a file that none of these runs wrote, and a place where none can be made.

    Raises UsageError.
    """
    if target.path is None:
        return
    there = target.path.exists()
    folder = target.path if target.is_folder and there else target.path.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"{target.path} cannot be made: the folder {folder.absolute()} is not yours to write "
            "to, or read-only",
            hint="name an output elsewhere",
        )
    if overwrite or not there:
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


def check_apart(target: Target, *inputs: object) -> None:
    """Refuse to write over an input, or among the files of one. Raises UsageError."""
    from valar_batch.formats.found import reads

    for given in inputs:
        if target.path is None or not isinstance(given, str | os.PathLike) or given == "-":
            continue
        if reads(os.fspath(given), target.path):
            raise UsageError(
                f"{target.path} is the input, or would be read as a part of it",
                hint="name another file, in another folder where the input is a folder",
            )


def check_columns(run: Run, choice: Choice) -> None:
    """Refuse columns that the output cannot have. Raises UsageError."""
    from valar_batch.flow.join import layout_for

    layout_for(run.record, choice)


@dataclass(slots=True)
class Session:
    """Work on a run at its target; `run` is set, and in use, as soon as there is one."""

    home: Home
    connection: Connection
    valar: Valar
    report: Reporter
    run: Run | None = None
    _end: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, target: str, report: Reporter, run: Run | None = None, access: Access = NO_ACCESS
    ) -> Iterator[Self]:
        """Connect to a target, for work that waits while the target is away."""
        home = open_home()
        with (
            connected(target, home, access) as connection,
            calling(connection, report, patience()) as valar,
        ):
            session = cls(home, connection, valar, report)
            with session._end:
                if run is not None:
                    session.take_up(run)
                yield session

    def take_up(self, run: Run) -> None:
        """Work on a run from now on."""
        self.run = run
        self._end.enter_context(run.in_use())

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
            self.take_up(run)
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
        self, run: Run, choice: RowChoice, *, resend: bool, announce: Callable[[Run], None]
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
        on_collected: Callable[[BatchFolder], None],
    ) -> None:
        """Bring home what was sent of a run."""
        from valar_batch.flow.collect import Pace, collect

        pace = Pace(concurrency, missing_after(), patience())
        collect(
            run,
            self.valar,
            self.connection,
            self.report,
            pace,
            wait=wait,
            on_collected=on_collected,
        )
