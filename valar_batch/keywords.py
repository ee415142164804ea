"""The options of the Python functions: a line each, named as on the command line.

Type checkers read the classes as they stand; signatures, docstrings and the check of names are
made from them when a function is defined, so an option that is added here is added everywhere. A
line is the option's type, what it says, and its default where that is not None; None is always the
same as not given, but for `progress`.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    cast,
    get_args,
    get_type_hints,
)

from valar_batch.errors import ValarBatchError
from valar_batch.flow.events import Reporter

P = ParamSpec("P")
T = TypeVar("T")


class ArrowStream(Protocol):
    """Anything that gives itself as Arrow: a pyarrow table, a Polars or pandas frame, …"""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """See Arrow's PyCapsule interface."""


File: TypeAlias = str | os.PathLike[str]
Input: TypeAlias = File | ArrowStream | Iterable[Mapping[str, Any]]
"""What `submit` and `run` read: a path, a table or a frame, or dicts."""


class RecipeFields(TypedDict, total=False):
    """How a row becomes a request: what a recipe may say, in a file too."""

    model: Annotated[str | None, "the model that answers"]
    prompt: Annotated[
        str | None, "template of the prompt, as in 'Sentiment of: {{ review }}', or '@FILE'"
    ]
    system: Annotated[str | None, "template of a system message, or '@FILE'"]
    id: Annotated[str | None, "column that identifies a row; without it rows are numbered"]
    schema: Annotated[
        File | Mapping[str, Any] | type | None,
        "the form of the answers: a JSON Schema (a file, a mapping), or a pydantic model (the "
        "class, or 'package:Model')",
    ]
    tools: Annotated[
        File | Sequence[Mapping[str, Any]] | None, "tools that a model may call: a file, a list"
    ]
    image: Annotated[
        str | Sequence[str] | None, "column, or columns, whose images go with the prompt"
    ]
    window: Annotated[str | None, "completion window: standard (the default) or flex"]
    max_output_tokens: Annotated[int | None, "the most tokens of an answer"]
    temperature: Annotated[float | None, "from 0 to 2"]
    top_p: Annotated[float | None, "from 0 to 1"]
    reasoning_effort: Annotated[str | None, "none, minimal, low, medium, high or xhigh"]
    null: Annotated[
        str | None, "what to write into a prompt for a null; without it a null is a problem"
    ]
    set: Annotated[
        Mapping[str, Any] | None, "other fields of the request, as in {'metadata.team': 'support'}"
    ]
    fix: Annotated[
        bool | None, "rewrite what has one right answer, and say what was rewritten", False
    ]


class RecipeKeywords(RecipeFields, total=False):
    """What a recipe may say, and the recipe that it is added to."""

    recipe: Annotated[
        File | Mapping[str, Any] | None,
        "a TOML file with any of the above, or a mapping of them; what is given beside it wins",
    ]


class InputKeywords(TypedDict, total=False):
    """What is read, and what becomes of rows that cannot be sent: keywords of `make_order`."""

    input_format: Annotated[str | None, "the format of a file whose name and content do not tell"]
    csv_delimiter: Annotated[str | None, "what separates the fields of a CSV, or tab"]
    csv_quote: Annotated[str | None, "what quotes the fields of a CSV, or none"]
    encoding: Annotated[str | None, "the encoding of text, as in cp1252"]
    no_header: Annotated[bool | None, "the first record of a CSV is a row", False]
    on_invalid: Annotated[
        Literal["stop", "skip"] | None,
        "rows with problems: stop before anything is sent, or skip them",
        "stop",
    ]
    batch_size: Annotated[int | None, "the most requests of a batch, up to 100,000"]
    batch_bytes: Annotated[int | None, "the most bytes of a batch, up to 256,000,000"]
    name: Annotated[str | None, "a name of your own for the run"]


class TargetKeywords(TypedDict, total=False):
    """Where the work is done."""

    local: Annotated[
        bool | None, "rehearse on the embedded local Valar: free, offline, no key", False
    ]
    base_url: Annotated[str | None, "another address of the API; also VALAR_BASE_URL"]


class AccessKeywords(TypedDict, total=False):
    """Who asks, and whom it trusts."""

    api_key: Annotated[str | None, "the key, in place of VALAR_API_KEY; it is never written down"]
    ca_bundle: Annotated[
        File | None, "a PEM file of the authorities to trust, in place of SSL_CERT_FILE"
    ]


class ReportKeywords(TypedDict, total=False):
    """What is told of the work while it goes on."""

    reporter: Annotated[
        Reporter | None, "called with each event (valar_batch.events), in place of a display"
    ]
    progress: Annotated[
        Literal["auto", "bar", "plain", "none"] | None,
        "auto (bars in a notebook and on a terminal), bar, plain (lines on stderr), none or None",
        "auto",
    ]


class StatusKeywords(TargetKeywords, AccessKeywords, total=False):
    """The options of `status`."""


class SubmitKeywords(
    RecipeKeywords, InputKeywords, TargetKeywords, AccessKeywords, ReportKeywords, total=False
):
    """The options of `submit`."""

    again: Annotated[bool | None, "pay for finished work a second time, on purpose", False]


class OutputKeywords(TypedDict, total=False):
    """Which columns are given, and how a file of them is written."""

    columns: Annotated[
        str | Sequence[str] | None, "the columns to give, in this order; by default all"
    ]
    flatten: Annotated[
        bool | None, "make each top-level field of the answers' schema a column of its own", False
    ]
    keep_response: Annotated[bool | None, "add a column with the whole response", False]
    format: Annotated[str | None, "the format of the file, whatever its name says"]
    compression: Annotated[str | None, "the compression of the file, as in zstd, gzip or none"]
    row_group_size: Annotated[int | None, "rows in a row group of Parquet or a batch of Arrow"]
    overwrite: Annotated[bool | None, "replace a file that this run did not write", False]
    concurrency: Annotated[int | None, "the most results fetched at a time", 200]


class ForeignKeywords(TypedDict, total=False):
    """The rows of a batch that was not sent from here."""

    input: Annotated[
        File | None, "for a batch that was not sent from here: the rows to join its answers to"
    ]
    id: Annotated[str | None, "column of `input` that identifies a row; else rows are numbered"]
    input_format: Annotated[str | None, "the format of `input`, where it does not tell"]


class FetchKeywords(
    ForeignKeywords, OutputKeywords, TargetKeywords, AccessKeywords, ReportKeywords, total=False
):
    """The options of `fetch`."""


class RunKeywords(SubmitKeywords, OutputKeywords, total=False):
    """The options of `run`."""


def chosen(options: Mapping[str, object], kind: type) -> dict[str, Any]:
    """Give the options that are of this kind and were given."""
    return {name: options[name] for name in get_type_hints(kind) if options.get(name) is not None}


def takes(kind: type) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function take the options of `kind`, which its `**options` stand for.

    An option that there is not is a TypeError; the hint of an error is added to it as a note.
    """
    hints = get_type_hints(kind, include_extras=True)
    options = {name: (*get_args(hint)[1:], None)[:2] for name, hint in hints.items()}

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        known = {*options, *(parameter.name for parameter in own)}

        @functools.wraps(function)
        def checked(*args: P.args, **given: P.kwargs) -> T:
            for name in given.keys() - known:
                near = difflib.get_close_matches(name, known, 1)
                meant = f"; {near[0]!r} is meant?" if near else ""
                raise TypeError(f"{function.__name__}() has no option {name!r}{meant}")
            try:
                return function(*args, **given)
            except ValarBatchError as error:
                if error.hint:
                    error.add_note(error.hint)
                raise

        only = inspect.Parameter.KEYWORD_ONLY
        added = [
            inspect.Parameter(name, only, default=default) for name, (_, default) in options.items()
        ]
        lines = [f"    {name}: {text}\n" for name, (text, _) in options.items()]
        named = cast("Any", checked)
        named.__signature__ = signature.replace(parameters=[*own, *added])
        named.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nOptions:\n{''.join(lines)}"
        return checked

    return decorate
