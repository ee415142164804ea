"""`submit`, `status`, `fetch` and `run` for Python: what the commands do, without a screen.

They print nothing, exit nothing and set no signal handlers, and may be called from several
threads at once. What goes wrong is raised as an error of `valar_batch.errors`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

from valar_batch.errors import UsageError
from valar_batch.events import Notice
from valar_batch.flow.damage import mending
from valar_batch.flow.events import silent
from valar_batch.flow.foreign import with_input
from valar_batch.flow.join import Join, Summary
from valar_batch.flow.prepare import ProblemsFound
from valar_batch.flow.status import Standing
from valar_batch.formats.layout import Choice
from valar_batch.formats.targets import TABLE, output_target
from valar_batch.keywords import (
    FetchKeywords,
    File,
    Input,
    InputKeywords,
    RecipeKeywords,
    RunKeywords,
    StatusKeywords,
    SubmitKeywords,
    chosen,
    takes,
)
from valar_batch.orders import make_order, rows_given
from valar_batch.progress import displaying
from valar_batch.recipes import make_recipe
from valar_batch.session import (
    Session,
    check_apart,
    check_columns,
    check_output,
    find_run_or_batch,
    look,
    open_home,
)
from valar_batch.settings import LOCAL, Access, choose_target
from valar_batch.wording import counts, dollars, plural

__all__ = [
    "ProblemsFound",
    "Run",
    "Standing",
    "Summary",
    "Written",
    "fetch",
    "run",
    "status",
    "submit",
]

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from valar_batch.events import Event, Reporter
    from valar_batch.flow.requests import Order
    from valar_batch.formats.targets import Target
    from valar_batch.runs.run import Run as RunFolder


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was submitted; `status` and `fetch` take it, or its id.

    `batches_sent` were sent by this call, `batches_found` were found at Valar and taken up.
    `fixed` counts rows by what was rewritten in them, as in `{"messages → input": 1000}`.
    """

    id: str
    rows: int
    requests: int
    batches_sent: int
    batches_found: int
    fixed: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written; it can be given wherever a path can.

    `run_id` names the run; `summary` counts its rows by status, the tokens and the cost.
    """

    path: Path
    run_id: str
    summary: Summary

    def __fspath__(self) -> str:
        return str(self.path)


@takes(SubmitKeywords)
def submit(input: Input, **options: Unpack[SubmitKeywords]) -> Run:  # noqa: A002 - the option's name
    """Render, check and pack an input, and send it.

    `input` is a path, a pyarrow table, a pandas or Polars frame, or an iterable of dicts. The same
    input under the same recipe is the same run: called again after a crash or out of doubt, this
    sends what is unsent and never pays twice.

    Raises UsageError for options that cannot be, InputError for an input with problems (nothing
    was sent), StateError and RemoteError for what goes wrong on the way (all state is kept).
    """
    order = order_of(input, options)
    with (
        reporting_to(options) as report,
        session_on(order.target, report, options) as session,
    ):
        submitted = session.submit(order, again=bool(options.get("again")))
    totals, sent = submitted.run.record.totals, submitted.sent
    fixed = submitted.run.record.fixed
    return Run(submitted.run.id, totals.rows, totals.requests, sent.posted, sent.adopted, fixed)


@takes(StatusKeywords)
def status(run: Run | str | None = None, **options: Unpack[StatusKeywords]) -> Standing:
    """Say where a run and its batches stand.

    `run` is what `submit` gave, an id or the beginning of one, or a name; None is the latest run.
    It may also be the id of any batch at Valar.
    """
    return look(find(run, options, silent), access_of(options))


@overload
def fetch(
    run: Run | str | None = ...,
    *,
    to: None = ...,
    wait: bool = ...,
    **options: Unpack[FetchKeywords],
) -> pa.Table: ...


@overload
def fetch(
    run: Run | str | None = ..., *, to: File, wait: bool = ..., **options: Unpack[FetchKeywords]
) -> Written: ...


@takes(FetchKeywords)
def fetch(
    run: Run | str | None = None,
    *,
    to: File | None = None,
    wait: bool = True,
    **options: Unpack[FetchKeywords],
) -> pa.Table | Written:
    """Wait for a run's answers and join them to its rows: a table, or with `to` a file.

    `run` is what `submit` gave, an id or the beginning of one, or a name; None is the latest run.
    It may also be the id of any batch at Valar, whose rows are its requests, or those of `input`.
    Without `wait`, rows whose answer is not there yet are `pending`. This never sends anything;
    once all answers are here it needs neither key nor network.
    """
    target, choice, most = target_of(to, options), choice_of(options), concurrency_of(options)
    with reporting_to(options) as report, contextlib.ExitStack() as stack:
        the_run = shown = find(run, options, report)
        stack.enter_context(the_run.in_use())
        check_apart(target, the_run.record.input.place, options.get("input"))
        check_output(target, [the_run], overwrite=bool(options.get("overwrite")))
        path = None if (given := options.get("input")) is None else os.fspath(given)
        rows = rows_given(the_run, path, options.get("id"), options.get("input_format"))
        if rows is not None:
            shown = stack.enter_context(with_input(the_run, rows, open_home(), report))

        def bring() -> pa.Table | Written:
            join = Join(shown, target, choice, report)
            if not the_run.is_collected():
                with session_on(the_run.record.target, report, options, the_run) as session:
                    collect(session, the_run, join, most, wait=wait)
            return deliver(the_run, target, join, report)

        return mending(the_run, report, bring)


@overload
def run(input: Input, *, to: None = ..., **options: Unpack[RunKeywords]) -> pa.Table: ...


@overload
def run(input: Input, *, to: File, **options: Unpack[RunKeywords]) -> Written: ...


@takes(RunKeywords)
def run(
    input: Input,  # noqa: A002
    *,
    to: File | None = None,
    **options: Unpack[RunKeywords],
) -> pa.Table | Written:
    """Send an input and bring the answers home, `submit` and `fetch` in one.

    Gives a table of the input's columns and the answers', or with `to` writes a file. Called again
    after a crash, it goes on where it was.
    """
    order, target, choice = order_of(input, options), target_of(to, options), choice_of(options)
    overwrite, most = bool(options.get("overwrite")), concurrency_of(options)
    check_apart(target, input)
    check_output(target, open_home().runs(), overwrite=overwrite)
    with (
        reporting_to(options) as report,
        session_on(order.target, report, options) as session,
    ):
        submitted = session.submit(
            order,
            again=bool(options.get("again")),
            allow=lambda runs: check_output(target, runs, overwrite=overwrite),
            announce=lambda run: check_columns(run, choice),
        )

        def bring() -> pa.Table | Written:
            join = Join(submitted.run, target, choice, report)
            collect(session, submitted.run, join, most, wait=True)
            return deliver(submitted.run, target, join, report)

        return mending(submitted.run, report, bring)


def order_of(source: Input, options: SubmitKeywords | RunKeywords) -> Order:
    """Put the options together as flow takes them."""
    given = chosen(options, RecipeKeywords)
    return make_order(
        os.fspath(source) if isinstance(source, os.PathLike) else source,
        make_recipe(given.pop("recipe", None), **given),
        choose_target(options.get("base_url"), local=bool(options.get("local"))),
        **chosen(options, InputKeywords),
    )


def target_of(to: File | None, options: FetchKeywords | RunKeywords) -> Target:
    """Read where the rows go."""
    if to is None:
        return TABLE
    path = os.fspath(to)
    if path == "-":
        raise UsageError("to: - is for the command line", hint="leave it out to be given a table")
    return output_target(
        path,
        options.get("format"),
        options.get("compression"),
        options.get("row_group_size"),
        escape_formulas=bool(options.get("escape_formulas")),
    )


def choice_of(options: FetchKeywords | RunKeywords) -> Choice:
    """Read which columns are wanted."""
    columns = options.get("columns")
    names = columns.split(",") if isinstance(columns, str) else columns
    return Choice(
        tuple(names) if names else None,
        flatten=bool(options.get("flatten")),
        keep_response=bool(options.get("keep_response")),
    )


@contextlib.contextmanager
def reporting_to(options: Mapping[str, Any]) -> Iterator[Reporter]:
    """Give the reporter: the caller's own, called by one thread at a time, or a display."""
    reporter, lock = options.get("reporter"), threading.Lock()
    progress = options.get("progress", "auto")

    def report(event: Event) -> None:
        with lock:
            display(event)
            if reporter is not None:
                reporter(event)

    with displaying("none" if reporter and progress == "auto" else progress) as display:
        yield report


@contextlib.contextmanager
def session_on(
    target: str, report: Reporter, options: Mapping[str, Any], run: RunFolder | None = None
) -> Iterator[Session]:
    """Connect; on an interrupt, report how to go on."""
    session: Session | None = None
    try:
        with Session.open(target, report, run, access_of(options)) as session:
            yield session
    except KeyboardInterrupt:
        report(Notice(how_to_go_on(session.run if session else run)))
        raise


def how_to_go_on(run: RunFolder | None) -> str:
    """Say what an interrupt leaves behind."""
    if run is None:
        return "stopped before anything was sent; nothing is lost"
    if run.is_sent():
        return f"stopped; the batches go on at Valar: valar_batch.fetch('{run.id}') waits for them"
    return "stopped; what was sent goes on at Valar: the same call again sends the rest"


def find(
    run: Run | str | None, options: FetchKeywords | StatusKeywords, report: Reporter
) -> RunFolder:
    """Find a run in the home folder, or a batch at Valar."""
    name = run.id if isinstance(run, Run) else run

    def target() -> str:
        return choose_target(options.get("base_url"), local=bool(options.get("local")))

    return find_run_or_batch(open_home(), name, target, report, access_of(options))


def access_of(options: Mapping[str, Any]) -> Access:
    """Read who asks and whom it trusts."""
    bundle = options.get("ca_bundle")
    return Access(options.get("api_key"), None if bundle is None else os.fspath(bundle))


def concurrency_of(options: FetchKeywords | RunKeywords) -> int:
    """Read how many results are fetched at a time."""
    most = options.get("concurrency")
    if most is not None and most < 1:
        raise UsageError(f"concurrency is at least 1, not {most}")
    return most or 200


def collect(session: Session, run: RunFolder, join: Join, concurrency: int, *, wait: bool) -> None:
    """Bring the answers home."""
    session.collect(run, concurrency=concurrency, wait=wait, on_collected=join.on_collected)


def deliver(run: RunFolder, target: Target, join: Join, report: Reporter) -> pa.Table | Written:
    """Write a run's output, or give it as a table, and report what is in it."""
    given = join.table() if target.path is None else Written(target.path, run.id, join.write())
    report(Notice(closing_line(run, join.summary)))
    return given


def closing_line(run: RunFolder, summary: Summary) -> str:
    """Sum up a run."""
    cost = dollars(summary.cost_usd)
    if summary.unpriced:
        cost += f" and {plural(summary.unpriced, 'row')} whose price is unknown"
    if run.record.target == LOCAL:
        cost += " at Valar's prices; it was a rehearsal and cost nothing"
    tokens = f"{summary.input_tokens:,} tokens in, {summary.output_tokens:,} out"
    return f"{run.id}: {counts(summary.statuses)}; {tokens}; {cost}"
