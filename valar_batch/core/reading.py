"""How an input is read: what the user says of it, and what the first records of a CSV tell."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from typing import Any

from valar_batch.errors import UsageError

NO_QUOTE = "none"
DELIMITERS = (",", ";", "\t", "|")
QUOTES = ('"', "'")
SPELT = {"tab": "\t", r"\t": "\t"}
SAMPLE_RECORDS = 1_000
MOST_RAGGED = 0.1
"""Of the records that are looked at, the share that may have another width than the header."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the user says of an input; None is told by the input itself.

    `delimiter` and `quote` are one character each (`tab` and `none` are understood, too) and
    `encoding` is one that Python knows. Raises UsageError for what cannot be.
    """

    format: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    has_header: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "delimiter", SPELT.get(self.delimiter or "", self.delimiter))
        for name, value in (("--csv-delimiter", self.delimiter), ("--csv-quote", self.quote)):
            if value is None or value == NO_QUOTE == self.quote:
                continue
            if len(value) != 1 or value in "\r\n\0" or self.delimiter == self.quote:
                more = f", or {NO_QUOTE}" if name == "--csv-quote" else ", or tab"
                message = f"{name} {value!r}: it is one character{more}"
                raise UsageError(message, hint="delimiter and quote are two characters")
        if self.encoding is not None:
            try:
                b"".decode(self.encoding)
            except (LookupError, ValueError) as error:
                message = f"--encoding {self.encoding}: there is no such encoding"
                raise UsageError(message, hint="as in utf-8, utf-16, cp1252, latin-1") from error

    def csv_options(self) -> list[str]:
        """Name the options that only CSV has."""
        options = {
            "--csv-delimiter": self.delimiter is not None,
            "--csv-quote": self.quote is not None,
            "--no-header": not self.has_header,
        }
        return [name for name, is_given in options.items() if is_given]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How records of text are cut into fields. `quote` None: quotes are text like any other."""

    delimiter: str = ","
    quote: str | None = '"'

    def options(self) -> dict[str, Any]:
        """Give what the csv module calls it; it reads strictly."""
        return {
            "delimiter": self.delimiter,
            "quotechar": self.quote,
            "quoting": csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            "strict": True,
        }


def sniff(sample: str, reading: Reading, *, is_whole: bool) -> Dialect:
    """Tell the dialect of a CSV by how it begins; what `reading` says is taken as said.

    A CSV that is well formed with commas and double quotes is that. Else the dialect counts under
    which the most records are as wide as the header, two columns at least; where none holds for
    nearly all records, it is commas and double quotes. Single quotes must have been seen to quote.
    `is_whole`: the sample is not cut off.
    """
    delimiters = DELIMITERS if reading.delimiter is None else (reading.delimiter,)
    quotes: tuple[str | None, ...] = QUOTES
    if reading.quote is not None:
        quotes = (None if reading.quote == NO_QUOTE else reading.quote,)
    usual, *others = (Dialect(delimiter, quote) for quote in quotes for delimiter in delimiters)
    begins_quoted = reading.quote is None and sample.lstrip().startswith(QUOTES[1])
    records = first_records(sample, usual, is_whole=is_whole)
    widths = set(map(len, records))
    if not begins_quoted and len(widths) == 1 and len(records[0]) > 1:
        return usual
    best, best_fit = usual, fit(records)
    for dialect in others:
        records = first_records(sample, dialect, is_whole=is_whole)
        is_single = dialect.quote == QUOTES[1]
        if is_single and records == first_records(
            sample, Dialect(dialect.delimiter, None), is_whole=is_whole
        ):
            continue
        is_preferred = is_single and begins_quoted
        least = 1 if is_preferred and dialect.delimiter == usual.delimiter else 2
        found = fit(records, least)
        if found > best_fit or (is_preferred and found and found[0] >= best_fit[0]):
            best, best_fit = dialect, found
    return best


def first_records(sample: str, dialect: Dialect, *, is_whole: bool) -> list[list[str]]:
    """Give the records of a sample that are not blank; none where quoting is broken in it."""
    lines = StringIO(sample, newline="")
    reader = csv.reader(lines, **dialect.options())
    records: list[list[str]] = []
    try:
        records += islice(filter(None, reader), SAMPLE_RECORDS)
    except csv.Error:
        is_cut = not is_whole and not lines.read(1)
        return records if is_cut else []
    if not is_whole and 1 < len(records) < SAMPLE_RECORDS:
        records.pop()
    return records


def fit(records: list[list[str]], least: int = 2) -> tuple[int, int]:
    """Say how many records are as wide as the header, and how wide; (0, 0) where it cannot be."""
    width = len(records[0]) if records else 0
    even = sum(len(record) == width for record in records)
    is_fitting = width >= least and even >= len(records) * (1 - MOST_RAGGED)
    return (even, width) if is_fitting else (0, 0)
