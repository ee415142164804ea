"""`clean`: old run folders, listed and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valar_batch.flow.clean import Entry


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Only these runs; else all that fit the options."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Only begun before that, as in 30d."),
    ] = None,
    larger_than: Annotated[
        str | None,
        typer.Option("--larger-than", metavar="SIZE", help="Only larger ones, as in 1GB."),
    ] = None,
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only in this state, as in finished; may be given more than once.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Mean every run: for --remove without a choice.")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what would go; without it, only list.")
    ] = False,
    unfetched: Annotated[
        bool,
        typer.Option(
            "--unfetched",
            help="Let runs go that are not finished, too: what is at Valar can be fetched again.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List run folders, and with --remove remove those that are finished.

    A run is finished when all of its answers are in an output. Also listed are batches that were
    not sent from here. A run that another process works on stays.
    """
    from valar_batch.cli.render import print_json
    from valar_batch.core.quantities import parse_age, parse_size
    from valar_batch.flow.clean import STATES, Filter, clean, entries
    from valar_batch.session import open_home

    if strange := set(states or ()) - set(STATES):
        raise UsageError(f"--state is one of {', '.join(STATES)}, not {min(strange)!r}")
    chosen = Filter(
        tuple(names or ()),
        tuple(states or ()),
        parse_age(older_than) if older_than else None,
        parse_size(larger_than) if larger_than else None,
    )
    home = open_home()
    found = entries(home, chosen, unfetched=unfetched)
    is_meant = everything or not chosen.is_empty
    if remove and is_meant:
        clean(home, found, unfetched=unfetched)
    if as_json:
        print_json(found)
    else:
        show(found)
    if remove and not is_meant:
        raise UsageError(
            "nothing was removed: --remove needs to be told what",
            hint="name runs, give --older-than, --larger-than or --state, or --all",
        )
    conclude(found, removed=remove)
    if names and remove and not all(entry.removed for entry in found):
        raise typer.Exit(1)


def show(found: Sequence[Entry]) -> None:
    """Show the folders as a table of data."""
    from valar_batch.cli.render import print_table, table_of, when
    from valar_batch.wording import amount

    table = table_of("Run", "Name", "Begun", "State", "Size", "Goes", "Loses", right=("Size",))
    for entry in found:
        goes = "in use" if entry.in_use else "yes" if entry.goes else "no"
        table.add_row(
            entry.run,
            entry.name or "",
            when(entry.begun_at),
            entry.state,
            amount(entry.bytes),
            "removed" if entry.removed else goes,
            entry.loses,
        )
    print_table(table)


def conclude(found: Sequence[Entry], *, removed: bool) -> None:
    """Say how much went, or would go."""
    from valar_batch.cli.render import say
    from valar_batch.wording import amount, plural

    for entry in found:
        if entry.in_use:
            say(f"{entry.run} is in use by {entry.used_by} and stays")
        elif entry.removed and entry.loses:
            say(f"{entry.run}: lost {entry.loses}")
    going = [entry for entry in found if (entry.removed if removed else entry.goes)]
    size = amount(sum(entry.bytes for entry in going))
    if removed:
        say(f"removed {plural(len(going), 'run')}, {size}")
    elif going:
        say(f"{plural(len(going), 'run')}, {size}: would go with --remove")
    else:
        say("nothing would go")
    if any(entry.loses and not entry.goes for entry in found):
        say("runs that are not finished stay, unless --unfetched is given")
