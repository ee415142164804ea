"""The options of a recipe: how a row becomes a request."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

from valar_batch.cli.grouping import RECIPE, option
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from valar_batch.core.recipe import Recipe


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

    fix: Annotated[
        bool,
        option(
            "--fix",
            text="Rewrite what has one right answer, such as max_tokens, messages or "
            "instructions, and say what was rewritten.",
            panel=RECIPE,
        ),
    ] = False

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
            fix=self.fix or None,
        )


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
