"""The recipe from its sources: a TOML file, keywords beside it, and the files that both name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from valar_batch.core.fields import without_path
from valar_batch.core.recipe import PATHS, Recipe
from valar_batch.errors import UsageError
from valar_batch.keywords import RecipeFields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack


NAMES = tuple(RecipeFields.__annotations__)


def make_recipe(
    file: str | Path | Mapping[str, Any] | None = None, **given: Unpack[RecipeFields]
) -> Recipe:
    """Make a recipe of a TOML file (or a mapping) and of what is given beside it, which wins.

    Files that the TOML file names are looked for beside it, those given here in the current
    folder. Raises UsageError, with the file and the field.
    """
    found, folder, source = read_recipe(file)
    fields = resolved(found, folder, source)
    beside = {name: value for name, value in given.items() if value is not None}
    fields |= resolved(beside, Path(), "")
    own = found.get("set") or {}
    for name in beside.keys() & PATHS.keys():
        own = without_path(own, PATHS[name])
    settings = [*own.items(), *(given.get("set") or {}).items()]
    return Recipe(
        model=fields.get("model"),
        prompt=fields.get("prompt"),
        system=fields.get("system"),
        id_column=fields.get("id"),
        max_output_tokens=fields.get("max_output_tokens"),
        temperature=fields.get("temperature"),
        top_p=fields.get("top_p"),
        reasoning_effort=fields.get("reasoning_effort"),
        window=fields.get("window"),
        null_text=fields.get("null"),
        answer=fields.get("schema"),
        tools=fields.get("tools", ()),
        images=fields.get("image", ()),
        settings=tuple(settings),
        fix=fields.get("fix", False),
    )


def read_recipe(file: str | Path | Mapping[str, Any] | None) -> tuple[dict[str, Any], Path, str]:
    """Give a recipe's fields, the folder of the files that it names, and what to call it."""
    if file is None:
        return {}, Path(), ""
    if isinstance(file, str | Path):
        document = parsed(file)
        folder, source = Path(file).parent, f"{file}: "
    else:
        document, folder, source = dict(file), Path(), "recipe: "
    fields = {name.replace("-", "_"): value for name, value in document.items()}
    if unknown := sorted(fields.keys() - set(NAMES)):
        message = f"{source}there is no field {', '.join(map(repr, unknown))} in a recipe"
        raise UsageError(message, hint=f"there are {', '.join(NAMES)}; [set] takes any other")
    return fields, folder, source


def parsed(file: str | Path) -> dict[str, Any]:
    """Read a TOML file."""
    try:
        return tomllib.loads(text_of_file(file, "--recipe"))
    except (ValueError, RecursionError) as error:  # a number of too many digits, or deep arrays
        raise UsageError(f"{file}: this is not TOML: {error}", hint=EXAMPLE) from error


EXAMPLE = "a recipe has lines such as model = \"…\" and prompt = '{{ review }}'"


def resolved(fields: Mapping[str, Any], folder: Path, source: str) -> dict[str, Any]:
    """Check the fields' types and read the files that they name."""
    simple = {name: fields[name] for name in SIMPLE.keys() & fields.keys()}
    for name, value in simple.items():
        try:
            msgspec.convert(value, SIMPLE[name])
        except msgspec.ValidationError as error:
            raise UsageError(f"{source}{name}: {str(error).partition(' - ')[0]}") from error
    read: dict[str, Any] = {**simple}
    for name in ("prompt", "system"):
        if name in read:
            read[name] = text_or_file(read[name], f"{source or '--'}{name} ", folder)
    if fields.get("schema") is not None:
        read["schema"] = schema_in(fields["schema"], folder, source)
    if fields.get("tools") is not None:
        read["tools"] = tools_in(fields["tools"], folder, source)
    if "image" in read:
        images = read["image"]
        read["image"] = (images,) if isinstance(images, str) else tuple(images)
    return read


SIMPLE: Mapping[str, Any] = {
    "model": str,
    "prompt": str,
    "system": str,
    "id": str,
    "image": str | list[str],
    "window": str,
    "max_output_tokens": int,
    "temperature": float,
    "top_p": float,
    "reasoning_effort": str,
    "null": str,
    "set": dict[str, Any],
    "fix": bool,
}
"""The fields that are plain values, with their types."""


def text_of_file(path: str | Path, name: str) -> str:
    """Read a text file. Raises UsageError."""
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{name} {path}: {reason}", hint="check the path") from error


def text_or_file(text: str, name: str, folder: Path) -> str:
    """Give text as it is; `@FILE` is what the file holds, without one last line break."""
    if not text.startswith("@"):
        return text
    try:
        return (folder / text[1:]).read_text("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        hint = "text that begins with @ is given as a file, too"
        raise UsageError(f"{name}{text}: {reason}", hint=hint) from error


def schema_in(given: Any, folder: Path, source: str) -> Any:
    """Give the schema of answers that a name, a JSON Schema or a model stands for."""
    from valar_batch.schemas import schema_from, schema_of

    try:
        if isinstance(given, str | Path):
            return schema_from(str(given), folder)
        return schema_of(given)
    except UsageError as error:
        if not source:
            raise
        raise UsageError(f"{source}schema: {error.message}", hint=error.hint) from error


def tools_in(given: Any, folder: Path, source: str) -> tuple[dict[str, Any], ...]:
    """Give the tools of a JSON file, or those that were given."""
    name = source or "--tools "
    if isinstance(given, str | Path):
        path = folder / given
        name = f"{path}: "
        try:
            given = msgspec.json.decode(text_of_file(path, "--tools"))
        except (msgspec.DecodeError, RecursionError) as error:
            raise UsageError(f"{name}this is not JSON: {error}", hint=TOOLS) from error
    tools = [given] if isinstance(given, dict) else given
    if not isinstance(tools, list | tuple) or not all(isinstance(tool, dict) for tool in tools):
        raise UsageError(f"{name}the tools are no array of objects", hint=TOOLS)
    return tuple(tools)


TOOLS = 'as in [{"type": "function", "name": "lookup", "parameters": {"type": "object", …}}]'
