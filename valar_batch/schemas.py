"""Schemas from where users have them: a file of JSON, or a model in Python code."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import json
import re
import sys
import traceback
from functools import partial
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any

from valar_batch.core.answer_schema import AnswerSchema, read_schema
from valar_batch.core.checks import article
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

IN_MODULE = re.compile(r"(?P<module>[^\W\d][\w.]*):(?P<path>[^\W\d][\w.]*)")
"""`package.module:Model`. A Windows path has a slash of either kind, which no module has."""


def schema_from(text: str, folder: Path) -> AnswerSchema:
    """Load what `--schema` names: a JSON file, relative to `folder`, or `package.module:Model`.

    A module is found in `folder`, else as `python -m` would find it, from the current folder. A
    file that is there wins. Raises UsageError.
    """
    path = folder / Path(text).expanduser()
    named = IN_MODULE.fullmatch(text)
    if named is None or path.is_file():
        return read_schema(document_in(path, text), path.stem)
    folders = list(dict.fromkeys([folder.absolute(), Path.cwd()]))
    with folders_on_path(folders):
        value = attribute(imported(named["module"], folders), named["path"])
        return schema_of(value, named["path"].rpartition(".")[2])


def schema_of(value: Any, name: str = "answer") -> AnswerSchema:
    """Give the schema of a dict, a pydantic model, a dataclass, a TypedDict or any other type.

    `name` serves where the value has none. Raises UsageError.
    """
    if isinstance(value, AnswerSchema):
        return value
    if isinstance(value, dict):
        return read_schema(json_document(value, name), name)
    if isinstance(value, type):
        name = value.__name__
    elif not isinstance(value, UnionType) and not hasattr(value, "__origin__"):
        hint = "give a pydantic model, a dataclass, a TypedDict, or a dict that is a JSON Schema"
        what = type(value).__name__
        raise UsageError(f"{name} is {article(what)}, not a schema or a type", hint=hint)
    make = getattr(value, "model_json_schema", None)
    if make is None:
        try:
            from pydantic import TypeAdapter
        except ImportError:
            hint = "install pydantic, or give a JSON Schema"
            raise UsageError(f"{name} needs pydantic to become a schema", hint=hint) from None
        make = partial(json_schema_of, TypeAdapter, value)
    try:
        document = make()
    except Exception as error:
        first = str(error).partition("\n")[0]
        message = f"{name} does not become a JSON Schema: {first}"
        raise UsageError(message, hint="give a model whose fields are plain data") from error
    return read_schema(document, name)


def json_schema_of(adapter: Any, value: Any) -> Any:
    """Give the JSON Schema that a pydantic adapter makes of a type."""
    return adapter(value).json_schema()


def json_document(value: dict[str, Any], name: str) -> Any:
    """Give a copy of a dict as JSON has it. Raises UsageError where it is not JSON."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"{name} is not JSON: {error}"
        raise UsageError(message, hint="a JSON Schema holds plain data only") from error


def document_in(path: Path, text: str) -> Any:
    """Read a file of JSON; `text` is what the user wrote. Raises UsageError."""
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        hint = "give a file of JSON, or a model as package.module:Model"
        raise UsageError(f"there is no schema file {text}", hint=hint) from None
    except OSError as error:
        raise UsageError(f"{text} cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{text} is not JSON: {error.msg} ({where})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{text} is not JSON: {error}") from error


@contextlib.contextmanager
def folders_on_path(folders: Sequence[Path]) -> Iterator[None]:
    """Find modules in these folders first. What they print goes to standard error."""
    added = list(map(str, folders))
    sys.path[:0] = added
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        for folder in added:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)


def imported(name: str, folders: Sequence[Path]) -> ModuleType:
    """Import a module of the user's. Raises UsageError, whatever it raises."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            hint = (
                f"it is looked for in {' and '.join(map(str, folders))} and among the installed "
                "packages"
            )
            raise UsageError(f"there is no module {missing}", hint=hint) from error
        message = f"{name} imports {missing}, which is not installed"
        raise UsageError(message, hint=f"install {missing}") from error
    except SyntaxError as error:
        where = f"{Path(error.filename or name).name}, line {error.lineno}"
        raise UsageError(f"importing {name} failed: {error.msg} ({where})") from error
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        what = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"importing {name} failed: {what} ({where})",
            hint=f"make it importable: python -c 'import {name}'",
        ) from error


def attribute(module: ModuleType, path: str) -> Any:
    """Give what a dotted path names in a module. Raises UsageError."""
    value: Any = module
    place = module.__name__
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError as error:
            names = [known for known in dir(value) if not known.startswith("_")]
            near = difflib.get_close_matches(name, names, n=3)
            hint = (
                f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(names[:20])}"
            )
            raise UsageError(f"there is no {name} in {place}", hint=hint) from error
        place = f"{place}.{name}"
    return value
