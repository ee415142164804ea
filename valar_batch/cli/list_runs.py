"""`list`: the runs in the home folder; `list --remote`: the batches at Valar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from valar_batch.cli.options import AccessOptions, TargetOptions

if TYPE_CHECKING:
    from valar_batch.runs.home import Home
    from valar_batch.settings import Access


def command(
    target: TargetOptions,
    access: AccessOptions,
    remote: Annotated[
        bool,
        typer.Option("--remote", help="List all batches at Valar, with the runs here they are of."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the runs here, the newest first; or the batches at Valar."""
    from valar_batch.session import open_home

    if remote:
        list_remote(open_home(), target.target(), access.access(), as_json=as_json)
    else:
        list_local(open_home(), as_json=as_json)


def list_remote(home: Home, target: str, access: Access, *, as_json: bool) -> None:
    """List the batches at Valar."""
    from valar_batch.cli.render import print_json, print_table, say, table_of, when
    from valar_batch.flow.events import silent
    from valar_batch.flow.remote import batches_at
    from valar_batch.session import calling, connected

    with connected(target, home, access) as connection, calling(connection, silent) as valar:
        batches = batches_at(target, home, valar)
    if as_json:
        print_json(batches)
        return
    if not batches:
        say(f"no batches at {target} yet")
        return
    table = table_of("Id", "Label", "Requests", "Created", "Run", right=("Requests",))
    for batch in batches:
        table.add_row(
            batch.id,
            batch.label or "",
            f"{batch.requests:,}",
            when(batch.created_at),
            batch.run or "",
        )
    print_table(table)


def list_local(home: Home, *, as_json: bool) -> None:
    """List the runs here; those that cannot be read come last, and the screen says why."""
    from valar_batch.cli.render import print_json, print_table, say, table_of, when
    from valar_batch.flow.listing import runs_here

    found = runs_here(home)
    if as_json:
        print_json(found)
    elif not found:
        say(f"no runs in {home.path} yet")
    else:
        table = table_of(
            "Run", "Name", "Begun", "State", "Rows", "Target", "Input", right=("Rows",)
        )
        for entry in found:
            table.add_row(
                entry.run,
                entry.name or "",
                when(entry.created_at),
                entry.state,
                "" if entry.rows is None else f"{entry.rows:,}",
                entry.target or "",
                entry.input or "",
            )
        print_table(table)
    for entry in found:
        if entry.error is not None:
            say(f"{entry.run}: {entry.error}")
