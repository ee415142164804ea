"""The options that commands share beside those of a recipe, each group written once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from valar_batch.cli.grouping import INPUT, OUTPUT, RUN, SCREEN, TARGET, option

if TYPE_CHECKING:
    from valar_batch.formats.layout import Choice
    from valar_batch.formats.targets import Target
    from valar_batch.settings import Access


@dataclasses.dataclass(frozen=True)
class InputOptions:
    """What is read, and what becomes of rows that cannot be sent: keywords of `make_order`."""

    input_format: Annotated[
        str | None,
        option(
            "--input-format",
            text="jsonl, csv, tsv, parquet or arrow, where name and content do not tell.",
            panel=INPUT,
            metavar="FORMAT",
        ),
    ] = None
    csv_delimiter: Annotated[
        str | None,
        option(
            "--csv-delimiter",
            text="What separates the fields of a CSV, or tab; without it the first records tell.",
            panel=INPUT,
            metavar="CHARACTER",
        ),
    ] = None
    csv_quote: Annotated[
        str | None,
        option(
            "--csv-quote",
            text="What quotes the fields of a CSV, or none; without it the first records tell.",
            panel=INPUT,
            metavar="CHARACTER|none",
        ),
    ] = None
    encoding: Annotated[
        str | None,
        option(
            "--encoding",
            text="Encoding of text, as in cp1252; without it UTF-8, or UTF-16 with its mark.",
            panel=INPUT,
        ),
    ] = None
    no_header: Annotated[
        bool,
        option(
            "--no-header",
            text="The first record of a CSV is a row; its columns are column_1, column_2, …",
            panel=INPUT,
        ),
    ] = False
    on_invalid: Annotated[
        str,
        option(
            "--on-invalid",
            text="Rows with problems: stop before anything is sent, or skip them (they stay in "
            "the output with the status invalid).",
            panel=INPUT,
            metavar="stop|skip",
        ),
    ] = "stop"
    batch_size: Annotated[
        int | None,
        option("--batch-size", text="The most requests of a batch, up to 100,000.", panel=INPUT),
    ] = None
    batch_bytes: Annotated[
        int | None,
        option("--batch-bytes", text="The most bytes of a batch, up to 256,000,000.", panel=INPUT),
    ] = None


@dataclasses.dataclass(frozen=True)
class TargetOptions:
    """Where the work is done."""

    local: Annotated[
        bool,
        option(
            "--local",
            text="Rehearse on the embedded local Valar: free, offline, no key.",
            panel=TARGET,
        ),
    ] = False
    base_url: Annotated[
        str | None,
        option(
            "--base-url",
            text="Another address of the API; also VALAR_BASE_URL.",
            panel=TARGET,
            metavar="URL",
        ),
    ] = None

    def target(self) -> str:
        """Name the target."""
        from valar_batch.settings import choose_target

        return choose_target(self.base_url, local=self.local)


@dataclasses.dataclass(frozen=True)
class AccessOptions:
    """Whom a command trusts that talks to Valar."""

    ca_bundle: Annotated[
        str | None,
        option(
            "--ca-bundle",
            text="A PEM file of the authorities to trust, as behind a proxy that opens TLS; also "
            "SSL_CERT_FILE.",
            panel=TARGET,
            metavar="FILE",
        ),
    ] = None

    def access(self) -> Access:
        """Say who asks and whom it trusts."""
        from valar_batch.settings import Access

        return Access(ca_bundle=self.ca_bundle)


@dataclasses.dataclass(frozen=True)
class SubmitOptions:
    """What a submission is called and whether it may be paid for again."""

    name: Annotated[
        str | None, option("--name", text="A name of your own for the run.", panel=RUN)
    ] = None
    again: Annotated[
        bool,
        option("--again", text="Pay for finished work a second time, on purpose.", panel=RUN),
    ] = False


@dataclasses.dataclass(frozen=True)
class OutputOptions:
    """Where the rows go, and in which form."""

    to: Annotated[
        str,
        option(
            "--to",
            "-o",
            text="Output: .parquet, .arrow, .jsonl, .csv or .tsv, text also .gz or .zst; FOLDER/ "
            "for a Parquet file per batch; - is JSONL on standard output.",
            panel=OUTPUT,
            metavar="OUT",
        ),
    ]
    output_format: Annotated[
        str | None,
        option(
            "--format",
            text="parquet, arrow, jsonl, csv or tsv, whatever the name says.",
            panel=OUTPUT,
            metavar="FORMAT",
        ),
    ] = None
    columns: Annotated[
        list[str] | None,
        option(
            "--columns",
            text="The columns to write, in this order, separated by commas.",
            panel=OUTPUT,
            metavar="NAME,…",
        ),
    ] = None
    flatten: Annotated[
        bool,
        option(
            "--flatten",
            text="Make each top-level field of the answers' schema a column of its own.",
            panel=OUTPUT,
        ),
    ] = False
    keep_response: Annotated[
        bool,
        option("--keep-response", text="Add a column with the whole response.", panel=OUTPUT),
    ] = False
    compression: Annotated[
        str | None,
        option(
            "--compression",
            text="Parquet: zstd (the default), snappy, gzip, lz4, brotli or none. Arrow: zstd, lz4 "
            "or none. Text: gzip or zstd.",
            panel=OUTPUT,
            metavar="NAME",
        ),
    ] = None
    row_group_rows: Annotated[
        int | None,
        option(
            "--row-group-size",
            text="Rows in a row group of Parquet or a record batch of Arrow.",
            panel=OUTPUT,
            metavar="ROWS",
        ),
    ] = None
    overwrite: Annotated[
        bool,
        option("--overwrite", text="Replace a file that this run did not write.", panel=OUTPUT),
    ] = False
    concurrency: Annotated[
        int,
        option("--concurrency", text="The most results fetched at a time.", panel=OUTPUT, min=1),
    ] = 200

    def target(self) -> Target:
        """Say where the output goes."""
        from valar_batch.formats.targets import output_target

        return output_target(self.to, self.output_format, self.compression, self.row_group_rows)

    def choice(self) -> Choice:
        """Say which columns it has."""
        from valar_batch.formats.layout import Choice

        names = [name for text in self.columns or () for name in text.split(",")]
        return Choice(tuple(names) or None, self.flatten, self.keep_response)


TimeoutOption = Annotated[
    str | None,
    option(
        "--timeout",
        text="Stop after so long, as in 90s, 30m or 8h: everything is kept, and the status is 4.",
        panel=RUN,
        metavar="TIME",
    ),
]


@dataclasses.dataclass(frozen=True)
class ScreenOptions:
    """What is shown while it works; data goes to stdout, this to stderr."""

    quiet: Annotated[
        bool, option("--quiet", "-q", text="Leave out progress and summaries.", panel=SCREEN)
    ] = False
    progress: Annotated[
        str,
        option(
            "--progress",
            text="auto (bars on a terminal, lines elsewhere), bar or plain.",
            panel=SCREEN,
            metavar="auto|bar|plain",
        ),
    ] = "auto"
