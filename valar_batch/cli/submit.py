"""`submit INPUT`: everything up to the last POST; the run id on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from valar_batch.cli.options import (
    InputOptions,
    RecipeOptions,
    ScreenOptions,
    SubmitOptions,
    TargetOptions,
)

if TYPE_CHECKING:
    from valar_batch.flow.prepare import Order
    from valar_batch.flow.submit import Placed

InputArgument = Annotated[
    str, typer.Argument(metavar="INPUT", help="A JSONL, CSV or Parquet file, or - for stdin.")
]


def command(
    path: InputArgument,
    recipe: RecipeOptions,
    source: InputOptions,
    target: TargetOptions,
    submission: SubmitOptions,
    screen: ScreenOptions,
) -> None:
    """Render, check and pack INPUT, and send it; prints the run id.

    Given again after a crash or out of doubt, it sends what is unsent and never pays twice.
    """
    from valar_batch.cli.render import problems_shown, say
    from valar_batch.cli.session import Session

    order = make_order(path, recipe, source, target, submission.name)
    with problems_shown(path), Session.open(order.target, screen) as session:

        def announce(placed: Placed) -> None:
            session.run = placed.run
            print(placed.run.id, flush=True)  # noqa: T201 - the one thing that goes to stdout

        placed = session.submit(order, again=submission.again, announce=announce)
    if not screen.quiet:
        say(closing_line(placed, again=submission.again))


def make_order(
    path: str,
    recipe: RecipeOptions,
    source: InputOptions,
    target: TargetOptions,
    name: str | None = None,
) -> Order:
    """Put the options together as flow takes them."""
    from valar_batch.flow.prepare import Order

    return Order(
        path=path,
        recipe=recipe.recipe(),
        target=target.target(),
        input_format=source.input_format,
        limits=source.limits(),
        skip_invalid=source.skip_invalid(),
        name=name,
    )


def closing_line(placed: Placed, *, again: bool) -> str:
    """Say what was done, and the next command."""
    run = placed.run
    what = "sent" if placed.is_new else "is here already, and all of it is at Valar"
    if again and not placed.is_new:
        what += " (--again pays for another once this one is fetched)"
    return f"{run.id} {what}; next: valar-batch fetch {run.id} --to OUT"
