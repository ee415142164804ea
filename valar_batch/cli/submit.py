"""`submit INPUT`: everything up to the last POST; the run id on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from valar_batch.cli.interrupts import heed
from valar_batch.cli.options import (
    AccessOptions,
    InputOptions,
    ScreenOptions,
    SubmitOptions,
    TargetOptions,
    TimeoutOption,
)
from valar_batch.cli.recipe_options import RecipeOptions

if TYPE_CHECKING:
    from valar_batch.flow.requests import Order
    from valar_batch.flow.send import Sent
    from valar_batch.flow.submit import Submitted
    from valar_batch.runs.run import Run

InputArgument = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="A JSONL, CSV, TSV, Parquet or Arrow file, a folder of such, a quoted pattern as in "
        "'data/**/*.csv.gz', or - for stdin.",
    ),
]


def command(
    path: InputArgument,
    recipe: RecipeOptions,
    source: InputOptions,
    target: TargetOptions,
    access: AccessOptions,
    submission: SubmitOptions,
    screen: ScreenOptions,
    timeout: TimeoutOption = None,
) -> None:
    """Render, check and pack INPUT, and send it; prints the run id.

    Given again after a crash or out of doubt, it sends what is unsent and never pays twice.
    """
    from valar_batch.cli.render import problems_shown, say
    from valar_batch.cli.session import how_to_go_on, open_session

    heed.stop_after(timeout)
    order = order_of(path, recipe, source, target, submission.name)
    with (
        problems_shown(path),
        open_session(order.target, screen, access, go_on=how_to_go_on) as session,
    ):
        submitted = session.submit(order, again=submission.again, announce=print_id)
    if not screen.quiet:
        say(closing_line(submitted, again=submission.again))


def print_id(run: Run) -> None:
    """Print the run's id: the one thing that goes to stdout."""
    print(run.id, flush=True)  # noqa: T201 - see above


def order_of(
    path: str,
    recipe: RecipeOptions,
    source: InputOptions,
    target: TargetOptions,
    name: str | None = None,
) -> Order:
    """Put the options together as flow takes them."""
    from valar_batch.cli.process import ready_for_many_rows
    from valar_batch.orders import make_order

    ready_for_many_rows()
    return make_order(path, recipe.recipe(), target.target(), name=name, **vars(source))


def closing_line(submitted: Submitted, *, again: bool) -> str:
    """Say what was done, and the next command."""
    run = submitted.run.id
    text = f"{run}: {what_was_sent(submitted)}; next: valar-batch fetch {run} --to OUT"
    if again and not submitted.is_new:
        text += "\n--again pays for another once this one is fetched"
    return text


def what_was_sent(submitted: Submitted) -> str:
    """Say how much of a run was sent just now."""
    if not submitted.run.record.totals.requests:
        return "no row has a request to send"
    sent = sent_batches(submitted.sent)
    return sent or "all of it was at Valar already, nothing was sent"


def sent_batches(sent: Sent) -> str:
    """Count the batches that were sent or found at Valar; empty where there was none."""
    from valar_batch.wording import plural

    parts = [
        f"{plural(sent.posted, 'batch', 'batches')} sent" if sent.posted else "",
        f"{plural(sent.adopted, 'batch', 'batches')} found at Valar" if sent.adopted else "",
    ]
    return ", ".join(filter(None, parts))
