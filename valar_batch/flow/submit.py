"""From an input to a run: prepare, find or make the run that it is, send it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch import __version__
from valar_batch.core.identity import RunId, is_number, parse_label
from valar_batch.core.prices import shipped_prices
from valar_batch.errors import StateError
from valar_batch.flow.events import Notice, in_use
from valar_batch.flow.prepare import MODE, prepare
from valar_batch.flow.send import send
from valar_batch.runs.draft import Draft
from valar_batch.runs.records import RunRecord, encode_schema, freeze_prices, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from valar_batch.client.api import Valar
    from valar_batch.flow.events import Reporter
    from valar_batch.flow.prepare import Prepared
    from valar_batch.flow.requests import Order
    from valar_batch.flow.send import Sent
    from valar_batch.runs.home import Home
    from valar_batch.runs.run import Run


@dataclass(frozen=True, slots=True)
class Submitted:
    """The run that stands for an order, whether it was made for it, and what was sent now."""

    run: Run
    is_new: bool
    sent: Sent


def submit(
    order: Order,
    home: Home,
    valar: Valar,
    key: str,
    report: Reporter,
    *,
    again: bool = False,
    allow: Callable[[list[Run]], None] = lambda _: None,
    announce: Callable[[Run], None] = lambda _: None,
) -> Submitted:
    """Prepare the input, check all of it, and send what is not at Valar yet.

    `allow` is told the runs of the same work that are here, before anything is kept, and may raise.
    `announce` is told the run before the first POST.
    """
    with Draft(home) as draft:
        prepared = prepare(order, draft, home, report)
        allow(home.generations(prepared.digest))
        run, is_new = place(prepared, draft, home, valar, again=again)
        if not run.record.input.has_rows_of(prepared.input):
            run = with_other_rows(run, prepared, draft, report)
    announce(run)
    return Submitted(run, is_new, send(run, valar, key, report))


def with_other_rows(run: Run, prepared: Prepared, draft: Draft, report: Reporter) -> Run:
    """Take the rows of this input for a run whose requests are the same.

    The requests were paid for once and serve both; the output has the rows of the newer input.
    """
    report(
        Notice(
            f"the requests are those of {run.id}, from {run.record.input.path}; "
            "the input around them has changed, and the output will have its rows"
        )
    )
    record = msgspec.structs.replace(run.record, **facts_of_input(prepared))
    rows = (rows for batch in draft.batches for rows in batch.folder.rows())
    return run.with_rows(rows, record, in_use(f"the input of {run.id}", report))


def place(
    prepared: Prepared, draft: Draft, home: Home, valar: Valar, *, again: bool
) -> tuple[Run, bool]:
    """Make the draft a run, or find the run that it already is; gives whether it is new.

    Raises StateError when an unsent run of the same input and recipe has other requests.
    """
    known = home.generations(prepared.digest)
    if known and not (again and known[-1].is_finished()):
        return known[-1], False
    run_id = RunId(prepared.digest)
    if again:
        here = known[-1].record.generation if known else 1
        newest = newest_remote(run_id, valar)
        run_id = run_id.next(newest if newest > here else here + 1)
    else:
        refuse_changed(prepared, home)
    return commit(prepared, draft, run_id), True


def newest_remote(run_id: RunId, valar: Valar) -> int:
    """Find the newest generation of this work that has batches at Valar; 1 where it has none.

    A generation that is there and not here was begun before its folder was lost: it is taken up
    again, so that not even `--again` pays twice by accident.
    """
    base, newest = str(run_id), 1
    for batch in valar.list_batches():
        label = parse_label(batch.label or "")
        generation = label.run.removeprefix(f"{base}-") if label is not None else ""
        if is_number(generation):
            newest = max(newest, int(generation))
    return newest


def refuse_changed(prepared: Prepared, home: Home) -> None:
    """Stop where an unsent run had the same input and recipe, but other requests."""
    order = prepared.order
    if not prepared.input.is_on_disk:
        return
    for run in home.runs():
        record = run.record
        same_work = (record.input.path, record.recipe_digest, record.target) == (
            prepared.input.path,
            order.recipe.digest(),
            order.target,
        )
        if same_work and record.digest != prepared.digest and not run.is_sent():
            changed = "the input has changed"
            if record.input.has_rows_of(prepared.input):
                changed = f"valar-batch {record.tool_version} made other requests of it"
                if order.recipe.images and record.tool_version == __version__:
                    changed = "an image file has changed"
            raise StateError(
                f"{run.id} began with this input and recipe and is not all sent, and {changed}",
                hint=f"`valar-batch resume {run.id}` sends what it prepared then; --again begins "
                "a new run and pays for all of it",
            )


def commit(prepared: Prepared, draft: Draft, run_id: RunId) -> Run:
    """Write the record and make the draft a run."""
    order, table = prepared.order, shipped_prices()
    batches = draft.finish(run_id)
    totals = prepared.totals.with_bytes(sum(batch.bytes for batch in batches))
    record = RunRecord(
        digest=prepared.digest,
        generation=run_id.generation,
        name=order.name,
        target=order.target,
        mode=MODE,
        created_at=now(),
        **facts_of_input(prepared),
        limits=order.limits,
        prices_date=table.date,
        prices=freeze_prices(table),
        totals=totals,
    )
    return draft.commit(run_id, record)


def facts_of_input(prepared: Prepared) -> dict[str, Any]:
    """Give what the record says of the input and of how its rows become requests."""
    recipe = prepared.order.recipe
    return {
        "recipe": recipe,
        "recipe_digest": recipe.digest(),
        "source": prepared.source,
        "input": prepared.input,
        "arrow_schema": encode_schema(prepared.schema),
        "custom_id_is_input": prepared.custom_id_is_input,
        "optional_columns": prepared.optional_columns,
        "fixed": prepared.fixed,
        "translated": prepared.translated,
    }
