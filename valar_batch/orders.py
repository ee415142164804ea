"""From options, given as flags or as keywords, to what flow takes: one function for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from valar_batch.core.recipe import Recipe
    from valar_batch.flow.prepare import Order


def make_order(
    source: Any,
    recipe: Recipe,
    target: str,
    *,
    name: str | None = None,
    input_format: str | None = None,
    csv_delimiter: str | None = None,
    csv_quote: str | None = None,
    encoding: str | None = None,
    no_header: bool = False,
    on_invalid: str = "stop",
    batch_size: int | None = None,
    batch_bytes: int | None = None,
) -> Order:
    """Put an input and its options together. Raises UsageError for an option out of its range."""
    from valar_batch.core.pack import Limits
    from valar_batch.core.reading import Reading
    from valar_batch.flow.prepare import Order

    if on_invalid not in ("stop", "skip"):
        raise UsageError(f"--on-invalid is stop or skip, not {on_invalid!r}")
    return Order(
        input=source,
        recipe=recipe,
        target=target,
        reading=Reading(input_format, csv_delimiter, csv_quote, encoding, has_header=not no_header),
        limits=Limits(
            lowered(batch_size, Limits().requests, 1, "--batch-size"),
            lowered(batch_bytes, Limits().bytes, 4096, "--batch-bytes"),
        ),
        skip_invalid=on_invalid == "skip",
        name=name,
    )


def lowered(value: int | None, most: int, least: int, name: str) -> int:
    """Check a limit that can only be lowered."""
    if value is None:
        return most
    if not least <= value <= most:
        raise UsageError(f"{name} {value}: Valar takes from {least:,} to {most:,}")
    return value
