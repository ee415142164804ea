"""`list`: the runs in the home folder."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the runs here, the newest first."""
    from valar_batch.cli.render import print_json, print_table, say, table_of, when
    from valar_batch.session import open_home

    home = open_home()
    runs = list(home.runs())
    if as_json:
        print_json(
            [
                {
                    "run": run.id,
                    "name": run.record.name,
                    "created_at": run.record.created_at,
                    "state": run.state(),
                    "rows": run.record.totals.rows,
                    "target": run.record.target,
                    "model": run.record.recipe.model,
                    "input": run.record.input.path,
                }
                for run in runs
            ]
        )
        return
    if not runs:
        say(f"no runs in {home.path} yet")
        return
    table = table_of("Run", "Name", "Begun", "State", "Rows", "Target", "Input", right=("Rows",))
    for run in runs:
        record = run.record
        table.add_row(
            run.id,
            record.name or "",
            when(record.created_at),
            run.state(),
            f"{record.totals.rows:,}",
            record.target,
            record.input.path,
        )
    print_table(table)
