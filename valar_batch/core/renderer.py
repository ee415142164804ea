"""Row to params: how one input row becomes the exact bytes of one request."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import minijinja
import msgspec
import orjson

from valar_batch.core.fields import overlaid, same, without_nulls, without_path
from valar_batch.core.identity import (
    custom_id_for_row,
    custom_id_for_value,
    custom_id_of_request,
)
from valar_batch.core.image_columns import ImageColumns, no_files
from valar_batch.core.images import check_model
from valar_batch.core.outcome import OPTIONAL
from valar_batch.core.prices import shipped_prices
from valar_batch.core.problems import Problem
from valar_batch.core.recipe import FINISHED, MAY_BE_ABSENT, PROMPTS, Recipe, Source, columns_of
from valar_batch.core.rules import BATCH_WINDOWS, LOGPROBS
from valar_batch.core.splicing import Skeleton
from valar_batch.core.template import NullRendered, Template, decode_text, json_text, text_of
from valar_batch.core.translation.finished import Rewritten, api_of_item, api_of_line, offered
from valar_batch.core.translation.repairs import INSTRUCTIONS_LEAD, repaired
from valar_batch.core.validate import ABSENT, check_input, check_messages, check_params
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MOST_MODELS = 20
"""How many models are kept in mind that rows name and the shipped table lacks."""


class RowRefused(Exception):
    """A row cannot become a request."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = list(problems)


class Renderer:
    """A recipe, compiled for one way of giving the input.

    `columns` are the input columns that it reads. What every row shares is checked and serialised
    here, once. `nulls_are_absent`: the rows come from a format that has a null wherever a field is
    absent (Parquet), so ready input and params are sent without their null fields. `read_image`
    gives the bytes of a local image, as in ImageColumns. Raises UsageError for a recipe that no
    row could satisfy.

    `fixed` counts rows by what was changed in them, `translated` by the API that they were written
    for, `models` by a model that this version does not know.
    """

    def __init__(
        self,
        recipe: Recipe,
        source: Source,
        *,
        nulls_are_absent: bool = False,
        read_image: Callable[[str], bytes] = no_files,
    ) -> None:
        self.recipe = recipe
        self._given: Callable[[Any], Any] = without_nulls if nulls_are_absent else same
        self.source = source
        self.fixed: Counter[str] = Counter()
        self.translated: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self._fields = recipe.fields()
        self._instructions: str | None = None
        if recipe.fix:
            self._mend_fields()
        self._system = self._template(recipe.system, "system")
        self._prompt = self._template(recipe.prompt, "prompt")
        templates = [template for template in (self._system, self._prompt) if template]
        self._wanted = frozenset(recipe.images).union(*(each.columns for each in templates))
        self._images: ImageColumns | None = None
        if recipe.images:
            skip_null = recipe.null_text is not None
            self._images = ImageColumns(recipe.images, skip_null=skip_null, read=read_image)
        self.may_have_images = bool(recipe.images) or source not in PROMPTS
        self.columns = self._wanted.union(
            [recipe.id_column] if recipe.id_column else [],
            columns_of(source),
        )
        self.required = self.columns - (MAY_BE_ABSENT if source is Source.LINE else frozenset())
        self.id_column = "custom_id" if source in FINISHED else recipe.id_column
        self._named = custom_id_of_request if source in FINISHED else custom_id_for_value
        self.id_hint = "give each row its own id"
        if source not in FINISHED:
            self.id_hint += ", or drop --id to number the rows"
        self.seen: set[str] = set()
        self.has_rendered = False
        self._check()
        self._optional = {"output"} if recipe.answer else set()
        self._known = shipped_prices().models.keys()
        self._note(self._fields)
        has_system, has_images = self._system is not None, bool(recipe.images)
        self._skeleton = Skeleton(
            self._fields, self._instructions, has_system=has_system, has_images=has_images
        )
        self.size = self._skeleton.size + sum(template.size for template in templates)

    def _template(self, source: str | None, name: str) -> Template | None:
        return None if source is None else Template(source, name, self.recipe.null_text)

    def _mend_fields(self) -> None:
        """Repair what all rows share; instructions wait for the input that they lead."""
        mended = repaired(self._fields)
        self._fields = mended.params
        self.fixed.update(mended.repairs)
        if self.source not in FINISHED and isinstance(self._fields.get("instructions"), str):
            self._instructions = self._fields.pop("instructions")
            self.fixed[INSTRUCTIONS_LEAD] += 1

    def _check(self) -> None:
        if self.recipe.images:
            self._check_images()
        if self.source in FINISHED:
            if self._system or self.recipe.id_column:
                carried = "params" if self.source is Source.ITEM else "body"
                raise UsageError(
                    f"the rows are finished requests (custom_id, {carried}): "
                    "--system and --id do not apply",
                    hint="give --prompt to build requests from their columns instead",
                )
            checked = {"model": "any", **self._fields, "input": "any"}
        else:
            checked = {**self._fields, "input": "any"}
        if self.recipe.fix:
            checked = repaired(checked).params
        problems = self._offered(check_params(checked, windows=BATCH_WINDOWS))
        if problems:
            lines = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
            raise UsageError(lines, hint=problems[0].hint)

    def _check_images(self) -> None:
        if self.source not in PROMPTS:
            ready = f"have a ready {self.source.value}"
            what = "are finished requests" if self.source in FINISHED else ready
            raise UsageError(
                f"--image goes with a prompt, and the rows {what}",
                hint="give --prompt to build requests, or put input_image parts into the messages",
            )
        if problem := check_model(self._fields.get("model"), "model"):
            raise UsageError(problem.message, hint=problem.hint)

    def custom_id(self, row: Mapping[str, Any], number: int) -> str:
        """Give a row's custom_id. Raises RowRefused for a null, an empty or an unfit id."""
        column = self.id_column
        if column is None:
            return custom_id_for_row(number)
        if column not in row:
            self._absent(column, row)
        value = row[column]
        if value is None or value == "":
            what = "null" if value is None else "empty"
            raise RowRefused(Problem("unusable id", column, f"the id is {what}", self.id_hint))
        if isinstance(value, list | dict | bytes):
            raise RowRefused(
                Problem("unusable id", column, "an id is text or a number", self.id_hint)
            )
        return self._named(text_of(value))

    def params(self, row: Mapping[str, Any]) -> bytes:
        """Give the exact bytes of a row's params. Raises RowRefused."""
        if self.source in FINISHED:
            return self._finished(row)
        if self.source in PROMPTS:
            text = orjson.dumps(self._text(row))
            if self._images is None:
                return self._lead(row) + text + self._skeleton.tail
            return self._with_images(self._images, text, row)
        name = self.source.value
        if name not in row:
            self._absent(name, row)
        return self._ready(self._given(row[name]), row)

    def all_params(self, rows: Sequence[Mapping[str, Any]]) -> list[bytes] | None:
        """Give the params of rows at once; None where they have to be made row by row."""
        if self.source not in PROMPTS or self._images is not None:
            return None
        made = self._skeleton.all(rows, self._prompt, self._system)
        for row in rows if made is not None and len(self.seen) < len(self.columns) else ():
            self._see(row)
        return made

    def all_custom_ids(self, rows: Sequence[Mapping[str, Any]], first: int) -> list[str] | None:
        """Give the custom_ids of rows from the number `first` on; None as for `all_params`."""
        if self.id_column is None:
            return list(map(custom_id_for_row, range(first, first + len(rows))))
        values: list[Any] = [row.get(self.id_column) for row in rows]
        is_well = set(map(type, values)) == {str} and all(values)
        return list(map(self._named, values)) if is_well else None

    def unseen(self) -> list[str]:
        """Name the template columns that no row had: with --null, a misspelt name ends up here."""
        if self.recipe.null_text is None or not self.has_rendered:
            return []
        return sorted(self._wanted - self.seen)

    def optional_columns(self) -> tuple[str, ...]:
        """Name the optional columns of the output that the requests so far ask for."""
        return tuple(name for name in OPTIONAL if name in self._optional)

    def _note(self, params: Mapping[str, Any]) -> None:
        """Note which optional columns a body asks for."""
        if params.get("tools"):
            self._optional.add("tool_calls")
        if LOGPROBS in (params.get("include") or ()):
            self._optional.add("logprobs")

    def _text(self, row: Mapping[str, Any]) -> str:
        if self._prompt is None:
            value = row.get("prompt", ABSENT)
            if value is ABSENT:
                self._absent("prompt", row)
            if value is None:
                value = self.recipe.null_text
            if not isinstance(value, str):
                raise RowRefused(
                    Problem("wrong type", "prompt", "the prompt column is not text here")
                )
            text = value
        else:
            text = self._rendered(self._prompt, row)
        if not text:
            raise RowRefused(Problem("empty", "prompt", "the prompt is empty text"))
        return text

    def _with_images(self, images: ImageColumns, text: bytes, row: Mapping[str, Any]) -> bytes:
        self._see(row)
        for name in self.recipe.images if self.recipe.null_text is None else ():
            if name not in row:
                self._absent(name, row)
        content, problems = images.content(text, row)
        if problems:
            raise RowRefused(*problems)
        return b"".join((self._lead(row), *content, self._skeleton.tail))

    def _see(self, row: Mapping[str, Any]) -> None:
        self.has_rendered = True
        self.seen.update(self.columns & row.keys())

    def _rendered(self, template: Template, row: Mapping[str, Any]) -> str:
        if not self.has_rendered or len(self.seen) < len(self.columns):
            self._see(row)
        try:
            return template.render(row)
        except (minijinja.TemplateError, NullRendered, TypeError, ValueError) as error:
            raise RowRefused(template.problem(error, row)) from error

    def _lead(self, row: Mapping[str, Any]) -> bytes:
        """Write what comes before the user's slot."""
        system = None if self._system is None else self._rendered(self._system, row)
        return self._skeleton.lead(system)

    def _ready(self, value: Any, row: Mapping[str, Any]) -> bytes:
        name, model = self.source.value, self._fields.get("model")
        if self.source is Source.MESSAGES and isinstance(value, str):
            value = self._parsed(value, name)
        mended = repaired({name: value}) if self.recipe.fix else None
        given, value = value, value if mended is None else mended.params.get("input", value)
        if self.source is Source.MESSAGES:
            problems = check_messages(value, name if mended is None else "input", model)
        else:
            problems = check_input(value, model)
        if problems and mended is not None:
            problems = [replace(each, field=mended.place(each.field)) for each in problems]
        if problems:
            raise RowRefused(*self._offered(problems))
        if mended is not None and value != given:
            self.fixed.update(mended.repairs)
        if isinstance(value, str):
            return self._lead(row) + orjson.dumps(value) + self._skeleton.tail
        leading = []
        if self._instructions:
            leading.append({"role": "system", "content": self._instructions})
        if self._system is not None:
            leading.append({"role": "system", "content": self._rendered(self._system, row)})
        if not leading:
            return self._skeleton.head + json_text(value).encode() + self._skeleton.tail
        messages = value["messages"] if isinstance(value, dict) else value
        body = {**self._fields, "input": [*leading, *messages]}
        return json_text(body).encode()

    def _body(self, row: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Give the body that a row carries: an object, or the JSON text of one."""
        if name not in row:
            self._absent(name, row)
        body = self._given(row[name])
        if isinstance(body, str):
            body = self._parsed(body, name)
        if not isinstance(body, dict):
            raise RowRefused(Problem("wrong type", name, f"{name} is not an object"))
        if self.recipe.answer is not None:
            # A schema takes the place of the row's own; one of both would be neither.
            return without_path(without_path(body, "text.format"), "response_format")
        return body

    def _finished(self, row: Mapping[str, Any]) -> bytes:
        name = "params" if self.source is Source.ITEM else "body"
        body = self._body(row, name)
        api = api_of_item(body) if self.source is Source.ITEM else api_of_line(row, body)
        if isinstance(api, Problem):
            raise RowRefused(api)
        rewritten = None
        if api is not None or self.recipe.fix:
            rewritten = Rewritten(body, name, api, fix=self.recipe.fix)
        params = overlaid(body if rewritten is None else rewritten.params, self._fields)
        if self.recipe.fix and "instructions" in self._fields:
            params = repaired(params).params
        problems = check_params(params, windows=BATCH_WINDOWS)
        if rewritten is not None:
            problems = rewritten.problems(problems)
        if problems:
            raise RowRefused(*self._offered(problems))
        self._note(params)
        if rewritten is not None:
            self.fixed.update(rewritten.changes)
            self.translated.update([] if api is None else [api])
        model = params["model"]
        is_counted = model in self.models or len(self.models) < MOST_MODELS
        if is_counted and model not in self._known and "model" not in self._fields:
            self.models[model] += 1
        return json_text(params).encode()

    def _offered(self, problems: list[Problem]) -> list[Problem]:
        return offered(problems, fix=self.recipe.fix)

    def _parsed(self, text: str, name: str) -> Any:
        try:
            return decode_text(text)
        except msgspec.DecodeError as error:
            raise RowRefused(Problem("not JSON", name, f"not valid JSON: {error}")) from error

    def _absent(self, name: str, row: Mapping[str, Any]) -> NoReturn:
        there = ", ".join(list(row)[:50]) or "none"
        raise RowRefused(
            Problem("missing column", name, f"no column {name!r}; the row has: {there}")
        )
