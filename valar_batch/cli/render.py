"""What commands say at their end: summaries, problems, tables; JSON where it was asked for."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch.core.statuses import Status
from valar_batch.settings import LOCAL
from valar_batch.wording import amount, cell, counts, dollars, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from valar_batch.core.problems import Tally
    from valar_batch.flow.estimate import Estimate
    from valar_batch.flow.join import Summary
    from valar_batch.flow.prepare import Prepared
    from valar_batch.flow.status import Standing
    from valar_batch.formats.targets import Target
    from valar_batch.runs.run import Run

SHOWN_ERRORS = 3


def screen() -> Console:
    """Give the console for everything that is not data."""
    from valar_batch.progress.screen import Screen

    return Screen(stderr=True, soft_wrap=True)


def say(text: str, style: str = "") -> None:
    """Say a line on the screen, as it is."""
    screen().print(text, style=style)


def print_json(value: Any) -> None:
    """Write a report as JSON on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
    sys.stdout.flush()


def print_table(table: Table) -> None:
    """Write a table on standard output: drawn on a terminal, tab-separated lines in a pipe."""
    if sys.stdout.isatty():
        from valar_batch.progress.screen import Screen

        Screen().print(table)
        return
    columns = [list(column.cells) for column in table.columns]
    header = [str(column.header).lower().replace(" ", "_") for column in table.columns]
    for row in (header, *zip(*columns, strict=True)):
        sys.stdout.write("\t".join(map(cell, row)) + "\n")
    sys.stdout.flush()


def table_of(*headers: str, right: Sequence[str] = ()) -> Table:
    """Begin a table; the columns named in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for header in headers:
        table.add_column(header, justify="right" if header in right else "left", overflow="fold")
    return table


def about(amount: float | None) -> str:
    """Write an estimate of USD."""
    if amount is None:
        return "an unknown price"
    return "under $0.0001" if 0 < amount < 0.0001 else f"about {dollars(amount)}"


def when(seconds: float | None) -> str:
    """Write a time of the records, in local time."""
    with contextlib.suppress(OverflowError, OSError, ValueError):
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else ""
    return str(seconds)


def show_summary(run: Run, summary: Summary, target: Target) -> None:
    """Close a run: rows by status, tokens, cost, where the output is, and what to do now."""
    out = screen()
    good = summary.is_complete
    mark = "[green]✓[/]" if good else "[yellow]![/]"
    out.print(f"{mark} {plural(summary.rows, 'row')}: {counts(summary.statuses)}", markup=True)
    out.print(f"  run     {run.id}")
    tokens = f"{summary.input_tokens:,} in, {summary.output_tokens:,} out"
    if summary.cached_tokens:
        tokens += f" ({summary.cached_tokens:,} of the input from the cache)"
    out.print(f"  tokens  {tokens}")
    cost = dollars(summary.cost_usd)
    if summary.unpriced:
        cost += f", and {summary.unpriced:,} rows whose price is unknown"
    if run.record.target == LOCAL:
        cost += " at Valar's prices; this was a rehearsal and cost nothing"
    out.print(f"  cost    {cost}")
    out.print(f"  output  {target.path or 'standard output'}")
    for error, count in summary.errors.most_common(SHOWN_ERRORS):
        out.print(f"  {count:,} × {error}", style="yellow")
    if len(summary.errors) > SHOWN_ERRORS:
        out.print("  … and other reasons: see the column error")
    advice = advise(run, summary)
    if advice:
        out.print(f"  {advice}")


def advise(run: Run, summary: Summary) -> str:
    """Say what to do about rows that have no answer."""
    from valar_batch.flow.outcomes import NOT_IN_BATCH

    statuses = summary.statuses
    fetch = f"fetch again for the rest: valar-batch fetch {run.id} --to OUT"
    retry = f"valar-batch retry {run.id}"
    if any("not sent yet" in error for error in summary.errors):
        return f"send the rest: valar-batch resume {run.id}"
    if statuses[Status.PENDING]:
        return fetch
    if statuses[Status.MISSING] > summary.errors[NOT_IN_BATCH]:
        return fetch if run.is_foreign else f"{fetch}; or send the missing rows again: {retry}"
    if statuses[Status.FAILED] or statuses[Status.CANCELLED]:
        why = "the column error says why"
        return why if run.is_foreign else f"{why}; send those rows again: {retry}"
    if summary.misfits:
        return f"{plural(summary.misfits, 'answer')} without a value: the column error says why"
    if statuses[Status.INVALID]:
        return f"what is wrong with the invalid rows: {run.problems_path}"
    return ""


def summary_json(run: Run, summary: Summary, target: Target) -> dict[str, Any]:
    """Give the summary for `--json`."""
    return {
        "run": run.id,
        "output": str(target.path) if target.path else None,
        "rows": summary.rows,
        "statuses": dict(summary.statuses),
        "input_tokens": summary.input_tokens,
        "cached_tokens": summary.cached_tokens,
        "output_tokens": summary.output_tokens,
        "cost_usd": round(summary.cost_usd, 12),
        "rows_without_price": summary.unpriced,
        "answers_without_value": summary.misfits,
        "is_rehearsal": run.record.target == LOCAL,
    }


def show_problems(tally: Tally, path: Any, source: str) -> None:
    """Show the first problems, grouped by kind with their counts."""
    out = screen()
    for (kind, field), count in tally.groups.most_common():
        first = [
            problem for problem in tally.first if (problem.kind, problem.field) == (kind, field)
        ]
        place = f" in {field}" if field else ""
        out.print(f"{kind}{place}: {plural(count, 'row')}", style="bold")
        for problem in sorted(first, key=lambda problem: (problem.file or "", problem.row or 0)):
            out.print(f"  {problem}" if problem.file else f"  {source} {problem}")
        hints = {problem.hint: None for problem in first if problem.hint}
        for hint in hints:
            out.print(f"  → {hint}", style="cyan")
    out.print(f"all of them: {path}")


@contextlib.contextmanager
def problems_shown(source: str) -> Iterator[None]:
    """Show what validation found before the error that it ends in."""
    from valar_batch.flow.prepare import ProblemsFound

    try:
        yield
    except ProblemsFound as found:
        show_problems(found.tally, found.path, source)
        raise


def validation_json(prepared: Prepared, estimate: Estimate) -> dict[str, Any]:
    """Give the report of `validate --json`."""
    return {
        **msgspec.to_builtins(prepared.totals),
        "input_tokens_estimate": estimate.input_tokens,
        "input_cost_usd_estimate": estimate.input_cost_usd,
        "output_cost_usd_limit": estimate.output_cost_limit_usd,
        "fixed": prepared.fixed,
        "translated": prepared.translated,
        "problems": [
            {"kind": kind, "field": field, "rows": count}
            for (kind, field), count in prepared.tally.groups.most_common()
        ],
    }


def show_validation(prepared: Prepared, estimate: Estimate) -> None:
    """Say what would be sent."""
    totals, out = prepared.totals, screen()
    out.print(
        f"{plural(totals.rows, 'row')}: {plural(totals.requests, 'request')} "
        f"in {plural(totals.batches, 'batch', 'batches')}, {amount(totals.bytes)}"
    )
    without = f", without those of {plural(totals.images, 'image')}" if totals.images else ""
    out.print(f"  about {estimate.input_tokens:,} input tokens (bytes / 4){without}")
    text = "text of the " if totals.images else ""
    out.print(f"  {about(estimate.input_cost_usd)} for the {text}input")
    if estimate.output_cost_limit_usd is None:
        out.print("  the output's cost is open: --max-output-tokens would bound it")
    else:
        out.print(f"  at most {dollars(estimate.output_cost_limit_usd)} for the output")


def show_standing(standing: Standing) -> None:
    """Show where a run stands: its facts on the screen, its batches as a table of data."""
    totals, out = standing.totals, screen()
    name = f" ({standing.name})" if standing.name else ""
    out.print(f"{standing.run}{name}, begun {when(standing.created_at)}", style="bold")
    if standing.input:
        out.print(f"  input   {standing.input}")
    out.print(f"  target  {standing.target}, {standing.model or 'models as in the rows'}")
    out.print(f"  rows    {totals.rows:,}: {counts(standing.statuses)}")
    for output in standing.outputs:
        out.print(f"  output  {output.path}")
    table = table_of(
        "Attempt", "Batch", "State", "Requests", "Settled", "Failed", "Submitted", "Id at Valar",
        right=("Attempt", "Batch", "Requests", "Settled", "Failed"),
    )  # fmt: skip
    for batch in standing.batches:
        pending = batch.statuses.get(Status.PENDING, 0)
        bad = batch.requests - pending - batch.statuses.get(Status.COMPLETED, 0)
        table.add_row(
            str(batch.attempt),
            str(batch.number),
            batch.state.value,
            f"{batch.requests:,}",
            f"{batch.requests - pending:,}",
            f"{bad:,}",
            when(batch.submitted_at)[5:],
            batch.batch_id or "",
        )
    print_table(table)
