"""Prepare an input as `submit` does, up to the run on the disk; nothing is sent.

python -m benchmarks.ours.prepare INPUT ROWS HOME template|id|finished
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.inputs import MODEL
from benchmarks.timed import timed
from valar_batch.cli.process import ready_for_many_rows
from valar_batch.core.identity import RunId
from valar_batch.core.recipe import Recipe
from valar_batch.flow.events import silent
from valar_batch.flow.prepare import prepare
from valar_batch.flow.requests import Order
from valar_batch.flow.submit import commit
from valar_batch.runs.draft import Draft
from valar_batch.runs.home import Home
from valar_batch.runs.run import Run

PROMPT = "Give the sentiment of this review of {{ product }} ({{ stars }} stars): {{ review }}"


def recipe_of(kind: str) -> Recipe:
    """Give the recipe for a kind of rows."""
    if kind == "finished":
        return Recipe()
    return Recipe(
        model=MODEL,
        prompt=PROMPT,
        max_output_tokens=100,
        window="standard",
        id_column="id" if kind == "id" else None,
    )


def prepared(path: str, home: Path, kind: str) -> Run:
    """Make a run of an input."""
    place, order = Home(home), Order(input=path, recipe=recipe_of(kind), target="bench")
    with Draft(place) as draft:
        found = prepare(order, draft, place, silent)
        return commit(found, draft, RunId(found.digest))


def main(path: str, rows: str, home: str, kind: str) -> None:
    """Prepare, then count what is in the bodies."""
    with timed(int(rows)):
        run = prepared(path, Path(home), kind)
    requests = sum(b"".join(b.body()).count(b'{"custom_id":"') for b in run.batches)
    if requests != int(rows):
        raise SystemExit(f"{requests} requests of {rows} rows")


if __name__ == "__main__":
    ready_for_many_rows()
    main(*sys.argv[1:])
