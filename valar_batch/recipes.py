"""Recipes as they are given: files, flags and keywords to the recipe that flow takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from valar_batch.core.answer_schema import AnswerSchema
    from valar_batch.core.recipe import Recipe


def make_recipe(file: str | Path | None = None, **given: Any) -> Recipe:
    """Make a recipe of a TOML file and of what is given beside it, which wins over the file.

    Keys: model, prompt, system, id, schema, tools, images, window, max_output_tokens, temperature,
    top_p, reasoning_effort, null, settings. None means: not given. Raises UsageError.
    """
    from valar_batch.core.recipe import Recipe

    values = {name: value for name, value in given.items() if value is not None}
    if file is not None:
        values = {**read_toml(Path(file)), **values}
    settings = values.get("settings") or ()
    return Recipe(
        model=values.get("model"),
        prompt=text_or_file(values.get("prompt"), "--prompt"),
        system=text_or_file(values.get("system"), "--system"),
        id_column=values.get("id"),
        max_output_tokens=values.get("max_output_tokens"),
        temperature=values.get("temperature"),
        top_p=values.get("top_p"),
        reasoning_effort=values.get("reasoning_effort"),
        window=values.get("window"),
        null_text=values.get("null"),
        answer=answer_schema(values.get("schema")),
        tools=tuple(values.get("tools") or ()),
        images=tuple(values.get("images") or ()),
        settings=tuple(settings.items() if isinstance(settings, Mapping) else settings),
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a recipe's file."""
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--recipe {path}: {error}") from error


def answer_schema(given: Any) -> AnswerSchema | None:
    """Give the schema of answers: of a JSON file, of a dict, or of a pydantic model."""
    from valar_batch.core.answer_schema import AnswerSchema

    if given is None:
        return None
    if hasattr(given, "model_json_schema"):
        return AnswerSchema(given.__name__, given.model_json_schema())
    if isinstance(given, Mapping):
        return AnswerSchema(str(given.get("title", "answer")), dict(given))
    import orjson

    path = Path(given)
    try:
        return AnswerSchema(path.stem, orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError) as error:
        raise UsageError(f"--schema {given}: {error}") from error


def text_or_file(text: str | None, name: str) -> str | None:
    """Give text as it is; `@FILE` is what the file holds, without one last line break."""
    if text is None or not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        hint = "text that begins with @ is given as a file, too"
        raise UsageError(f"{name} {text}: {reason}", hint=hint) from error
