"""`validate INPUT`: check everything and estimate; no key needed, nothing sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from valar_batch.cli.exit_status import Exit
from valar_batch.cli.options import InputOptions, ScreenOptions, TargetOptions
from valar_batch.cli.recipe_options import RecipeOptions
from valar_batch.cli.submit import InputArgument, order_of


def command(
    path: InputArgument,
    recipe: RecipeOptions,
    source: InputOptions,
    target: TargetOptions,
    screen: ScreenOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check INPUT as submit would, and estimate what it would send; nothing is sent."""
    from valar_batch.cli.render import print_json, show_problems, show_validation, validation_json
    from valar_batch.cli.session import reporting_on
    from valar_batch.flow.estimate import estimate
    from valar_batch.flow.prepare import prepare
    from valar_batch.runs.draft import Draft
    from valar_batch.session import open_home

    order = order_of(path, recipe, source, target)
    home = open_home()
    with reporting_on(screen) as report, Draft(home) as draft:
        prepared = prepare(replace(order, skip_invalid=True), draft, home, report)
        problems = home.problems_path(path)
        if prepared.tally.rows:
            draft.keep_problems(problems)
    if as_json:
        print_json(validation_json(prepared, estimate(prepared)))
    else:
        if prepared.tally.rows:
            show_problems(prepared.tally, problems, path)
        show_validation(prepared, estimate(prepared))
    if prepared.tally.rows and not order.skip_invalid:
        raise typer.Exit(Exit.INVALID_INPUT)
