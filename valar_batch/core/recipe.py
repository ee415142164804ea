"""What the user asked for: a recipe, and where the input of its requests comes from."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch.core.answer_schema import AnswerSchema
from valar_batch.core.fields import set_path
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


PATHS = {
    "model": "model",
    "max_output_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "reasoning_effort": "reasoning.effort",
    "window": "metadata.completion_window",
    "schema": "text.format",
    "tools": "tools",
}
"""Where in the body the fields of a recipe go, in the order in which they are written."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the user asked for, apart from the input. None means: not in the request.

    `answer` is the schema that answers follow, `tools` are the tools that a model may call,
    `images` the columns whose images go with the prompt, `settings` are `--set` pairs of a dotted
    path and a JSON value. `fix`: what has one right answer is rewritten.
    """

    model: str | None = None
    prompt: str | None = None
    system: str | None = None
    id_column: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    window: str | None = None
    null_text: str | None = None
    answer: AnswerSchema | None = None
    tools: tuple[dict[str, Any], ...] = ()
    images: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    fix: bool = False

    def digest(self) -> str:
        """Give a SHA-256 of the recipe."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def fields(self) -> dict[str, Any]:
        """Give the constant fields of the body, in the order in which they are written."""
        fields: dict[str, Any] = {}
        values = {
            "model": self.model,
            "max_output_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "reasoning_effort": self.reasoning_effort,
            "window": self.window,
            "schema": self.answer.text_format() if self.answer else None,
            "tools": list(self.tools) or None,
        }
        for name, path in PATHS.items():
            if values[name] is not None:
                set_path(fields, path, values[name])
        for path, value in self.settings:
            if path.partition(".")[0] == "input":
                raise UsageError(
                    f"--set {path}: the input comes from --prompt or from the rows",
                    hint="use --prompt, --system, or a column prompt, input or messages",
                )
            set_path(fields, path, deepcopy(value))
        return fields


class Source(StrEnum):
    """Where the input of a request comes from."""

    TEMPLATE = "template"
    PROMPT = "prompt"
    INPUT = "input"
    MESSAGES = "messages"
    ITEM = "item"
    LINE = "line"


PROMPTS = (Source.TEMPLATE, Source.PROMPT)
"""The sources that are a text for the user's message."""

FINISHED = (Source.ITEM, Source.LINE)
"""The sources that are whole requests: items of a batch, with `params`, which may be those of
Anthropic's, and lines of OpenAI's batch files, with `body`."""

MAY_BE_ABSENT = frozenset({"method", "url"})
"""The columns that a line may be without: its body tells what it is."""


def columns_of(source: Source) -> tuple[str, ...]:
    """Name the columns that a request is made of, beside those of templates."""
    match source:
        case Source.TEMPLATE:
            return ()
        case Source.ITEM:
            return "custom_id", "params"
        case Source.LINE:
            return "custom_id", "method", "url", "body"
        case _:
            return (source.value,)


def source_for(recipe: Recipe, columns: Iterable[str]) -> Source:
    """Decide how rows with these columns become requests. Raises UsageError where none fits."""
    names = list(columns)
    if recipe.prompt is not None:
        return Source.TEMPLATE
    if "custom_id" in names and "params" in names:
        return Source.ITEM
    ready = [s for s in (Source.PROMPT, Source.INPUT, Source.MESSAGES) if s.value in names]
    if "custom_id" in names and "body" in names and ("url" in names or not ready):
        return Source.LINE
    if len(ready) == 1:
        return ready[0]
    there = ", ".join(names[:50]) or "none"
    if ready:
        choice = " and ".join(ready)
        raise UsageError(
            f"the rows have the columns {choice}: which one is the prompt?",
            hint="say so, as in --prompt '{{ prompt }}'",
        )
    raise UsageError(
        f"no --prompt, and no column prompt, input or messages; the columns are: {there}",
        hint="give a template, as in --prompt 'Sentiment of: {{ review }}'",
    )
