"""The options that commands share, each group written once as a dataclass."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from valar_batch.core.recipe import Recipe
    from valar_batch.formats.layout import Choice
    from valar_batch.formats.targets import Target

INPUT, RECIPE, TARGET, RUN = "Input", "Recipe", "Target", "Run"
OUTPUT, SCREEN = "Output", "Screen"


def option(*names: str, text: str, panel: str, metavar: str | None = None, **more: Any) -> Any:
    """Declare an option of a group."""
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar, **more)


@dataclasses.dataclass(frozen=True)
class RecipeOptions:
    """How a row becomes a request."""

    recipe_file: Annotated[
        str | None,
        option(
            "--recipe",
            text="TOML file with these options by their names, as in max_output_tokens = 200; "
            "what is given on the command line wins.",
            panel=RECIPE,
            metavar="FILE",
        ),
    ] = None
    model: Annotated[
        str | None, option("--model", "-m", text="The model that answers.", panel=RECIPE)
    ] = None
    prompt: Annotated[
        str | None,
        option(
            "--prompt",
            "-p",
            text="Template of the prompt, as in 'Sentiment of: {{ review }}', or @FILE. Without it "
            "a column prompt, input or messages is taken, or rows that are finished requests.",
            panel=RECIPE,
            metavar="TEXT|@FILE",
        ),
    ] = None
    system: Annotated[
        str | None,
        option(
            "--system", text="Template of a system message.", panel=RECIPE, metavar="TEXT|@FILE"
        ),
    ] = None
    schema: Annotated[
        str | None,
        option(
            "--schema",
            text="JSON Schema of the answers, a file or a pydantic model: they become typed "
            "columns.",
            panel=RECIPE,
            metavar="FILE|PACKAGE:MODEL",
        ),
    ] = None
    tools: Annotated[
        str | None,
        option(
            "--tools",
            text="JSON file with the tools that the model may call.",
            panel=RECIPE,
            metavar="FILE",
        ),
    ] = None
    id_column: Annotated[
        str | None,
        option(
            "--id",
            text="Column that identifies a row; without it rows are numbered.",
            panel=RECIPE,
            metavar="COLUMN",
        ),
    ] = None
    max_output_tokens: Annotated[
        int | None,
        option("--max-output-tokens", text="The most tokens of an answer.", panel=RECIPE),
    ] = None
    temperature: Annotated[
        float | None, option("--temperature", text="From 0 to 2.", panel=RECIPE)
    ] = None
    top_p: Annotated[float | None, option("--top-p", text="From 0 to 1.", panel=RECIPE)] = None
    reasoning_effort: Annotated[
        str | None,
        option(
            "--reasoning-effort",
            text="none, minimal, low, medium, high or xhigh.",
            panel=RECIPE,
            metavar="EFFORT",
        ),
    ] = None
    window: Annotated[
        str | None,
        option(
            "--window",
            text="Completion window: standard (the default) or flex.",
            panel=RECIPE,
            metavar="WINDOW",
        ),
    ] = None
    null_text: Annotated[
        str | None,
        option(
            "--null",
            text="What to write into a prompt for a null; without it a null is a problem.",
            panel=RECIPE,
            metavar="TEXT",
        ),
    ] = None
    images: Annotated[
        list[str] | None,
        option(
            "--image",
            text="Column with an image for the prompt: a path, a URL, a data URI or bytes. More "
            "than once for several columns.",
            panel=RECIPE,
            metavar="COLUMN",
        ),
    ] = None
    settings: Annotated[
        list[str] | None,
        option(
            "--set",
            text="Any other field of the request, as in metadata.tag=x; JSON where it is JSON.",
            panel=RECIPE,
            metavar="PATH=VALUE",
        ),
    ] = None

    def recipe(self) -> Recipe:
        """Read files and values: the recipe as flow takes it."""
        from valar_batch.recipes import make_recipe

        return make_recipe(
            self.recipe_file,
            model=self.model,
            prompt=self.prompt,
            system=self.system,
            id=self.id_column,
            schema=self.schema,
            tools=self.tools,
            window=self.window,
            max_output_tokens=self.max_output_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            reasoning_effort=self.reasoning_effort,
            null=self.null_text,
            set=dict(map(setting, self.settings or ())),
            image=self.images or None,
        )


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


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take groups of options: each dataclass parameter becomes its fields."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)
    }
    members = {name: dataclasses.fields(kind) for name, kind in groups.items()}

    def expanded(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in members[name]})
        command(**given)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name not in groups:
            hint = hints[parameter.name]
            parameters.append(parameter.replace(annotation=hint, kind=parameter.KEYWORD_ONLY))
            continue
        types = get_type_hints(groups[parameter.name], include_extras=True)
        parameters += (
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=(
                    inspect.Parameter.empty
                    if field.default is dataclasses.MISSING
                    else field.default
                ),
                annotation=types[field.name],
            )
            for field in members[parameter.name]
        )
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    expanded.__doc__ = command.__doc__
    expanded.__annotations__ = {p.name: p.annotation for p in parameters}
    return expanded


def setting(text: str) -> tuple[str, Any]:
    """Read one `--set`: the value is JSON where it is JSON, else text."""
    import orjson

    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UsageError(f"--set {text}: there is no value", hint="as in --set metadata.tag=x")
    try:
        return path, orjson.loads(value)
    except orjson.JSONDecodeError:
        return path, value
