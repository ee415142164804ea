"""`preview INPUT`: requests as they would be sent; no key needed, nothing sent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valar_batch.cli.exit_status import Exit
from valar_batch.cli.options import InputOptions, TargetOptions
from valar_batch.cli.recipe_options import RecipeOptions
from valar_batch.cli.submit import InputArgument, order_of
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from valar_batch.flow.preview import Preview


def command(
    path: InputArgument,
    recipe: RecipeOptions,
    source: InputOptions,
    target: TargetOptions,
    count: Annotated[
        int, typer.Option("--rows", "-n", help="How many rows to show, from the first.", min=1)
    ] = 3,
    only: Annotated[
        list[int] | None,
        typer.Option(
            "--row", help="Show this row; may be given more than once.", metavar="N", min=1
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all rows.")] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the exact requests, one on a line: items of a batch."),
    ] = False,
) -> None:
    """Show INPUT's prompts as they would be sent; with --json, the exact requests.

    What `--all --json` prints is a file of finished requests, which submit takes. Ids that occur
    twice are found by validate, not here.
    """
    from valar_batch.cli.render import say
    from valar_batch.flow.events import silent
    from valar_batch.flow.preview import previews
    from valar_batch.progress.screen import Screen

    out = Screen(soft_wrap=True)
    last = None if every else max(only) if only else count
    has_problems, missing = False, set(only or ()) if not every else set()
    for preview in previews(order_of(path, recipe, source, target), silent, last=last):
        if only and not every and preview.row not in only:
            continue
        missing.discard(preview.row)
        if preview.request is None:
            has_problems = True
            for problem in preview.problems:
                say(f"{path} {problem}", style="yellow")
        elif as_json:
            sys.stdout.buffer.write(preview.request + b"\n")
        else:
            show(preview, out)
    sys.stdout.flush()
    if missing:
        raise UsageError(f"--row {min(missing)}: {path} has no such row", hint="rows count from 1")
    if has_problems:
        raise typer.Exit(Exit.INVALID_INPUT)


def show(preview: Preview, out: Console) -> None:
    """Show a request for reading: its messages, then its other fields."""
    from rich.rule import Rule

    params = preview.params()
    out.print(Rule(f"row {preview.row}, {preview.custom_id}", align="left", style="dim"))
    for role, text in turns(params.pop("input", "")):
        out.print(role, style="bold cyan")
        out.print(text.rstrip("\n"))
    for name, value in params.items():
        out.print(f"{name}: {compact(value)}", style="dim")
    out.print()


def turns(source: Any) -> Iterator[tuple[str, str]]:
    """Give the messages of an input, each with its role; text alone is the user's."""
    if isinstance(source, str):
        yield "user", source
        return
    for item in source["messages"] if isinstance(source, dict) else source:
        content = item.get("content")
        if isinstance(content, str):
            yield str(item.get("role")), content
        elif isinstance(content, list):
            yield str(item.get("role")), "\n".join(map(part_text, content))
        else:
            yield str(item.get("type")), compact(item)


def part_text(part: dict[str, Any]) -> str:
    """Write a part of a message: its text, or what image it is."""
    if part.get("type") != "input_image":
        return str(part.get("text", compact(part)))
    url = str(part.get("image_url"))
    if not url.startswith("data:"):
        return f"[image {url}]"
    from valar_batch.wording import amount

    kind, _, data = url.removeprefix("data:").partition(",")
    return f"[image {kind.partition(';')[0]}, {amount(len(data) * 3 // 4)}]"


def compact(value: Any) -> str:
    """Write a value on one line: text as it is, anything else as JSON."""
    from valar_batch.core.template import json_text

    return value if isinstance(value, str) else json_text(value)
