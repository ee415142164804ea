"""How an input is read: what the user says of it, and what the first records of a CSV tell."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from io import StringIO
from typing import Any

from valar_batch.errors import UsageError

NO_QUOTE = "none"
DELIMITERS = (",", ";", "\t", "|")
QUOTES = ('"', "'")
SPELT = {"tab": "\t", r"\t": "\t"}
BLANK_LINES = re.compile(r"\A\s*[\r\n]")
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
        check_character("--csv-delimiter", self.delimiter, "tab")
        check_character("--csv-quote", None if self.quote == NO_QUOTE else self.quote, NO_QUOTE)
        if self.delimiter is not None and self.delimiter == self.quote:
            message = f"--csv-delimiter {self.delimiter!r}: it is also the quote"
            raise UsageError(message, hint="a field's end and its quote are two characters")
        if self.encoding is not None:
            try:
                bytes(4).decode(self.encoding, "replace")
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


def check_character(name: str, value: str | None, other: str) -> None:
    """Refuse an option that is not one character, nor the word that may stand for one."""
    if value is not None and (len(value) != 1 or value in "\r\n\0"):
        message = f"{name} {value!r}: it is one character, or {other}"
        raise UsageError(message, hint=f"as in {name} '|'")


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
    sample = BLANK_LINES.sub("", sample)
    delimiters = DELIMITERS if reading.delimiter is None else (reading.delimiter,)
    quotes: tuple[str | None, ...] = QUOTES
    if reading.quote is not None:
        quotes = (None if reading.quote == NO_QUOTE else reading.quote,)
    dialects = [Dialect(delimiter, quote) for quote in quotes for delimiter in delimiters]
    is_quoted = reading.quote is None and sample.lstrip().startswith(QUOTES[1])
    best, best_fit = dialects[0], (0, False, 0)
    for dialect in dialects:
        records = first_records(sample, dialect, is_whole=is_whole)
        is_single = dialect.quote == QUOTES[1] and reading.quote is None
        if is_single and records == first_records(
            sample, Dialect(dialect.delimiter, None), is_whole=is_whole
        ):
            continue
        width = len(records[0]) if records else 0
        even = sum(len(record) == width for record in records)
        if dialect is dialects[0] and not is_quoted and width > 1 and even == len(records):
            return dialect
        least = 1 if is_single and is_quoted and dialect.delimiter == delimiters[0] else 2
        if width < least or even < len(records) * (1 - MOST_RAGGED):
            continue
        found = even, is_single and is_quoted, width
        if found > best_fit:
            best, best_fit = dialect, found
    return best


def first_records(sample: str, dialect: Dialect, *, is_whole: bool) -> list[list[str]]:
    """Give the records of a sample that are not blank; none where quoting is broken in it."""
    lines = StringIO(sample, newline="")
    records: list[list[str]] = []
    try:
        for record in csv.reader(lines, **dialect.options()):
            if record:
                records.append(record)
            if len(records) == SAMPLE_RECORDS:
                return records
    except csv.Error:
        is_cut = not is_whole and not lines.read(1)
        return records if is_cut else []
    if not is_whole and len(records) > 1:
        records.pop()  # it may go on
    return records
