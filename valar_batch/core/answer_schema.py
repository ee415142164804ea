"""The schema that answers follow: a JSON Schema, and the reading of answers by it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from valar_batch.core.checks import shorten
from valar_batch.core.json_schema import schemas_in
from valar_batch.core.template import Number
from valar_batch.errors import UsageError

if TYPE_CHECKING:
    import jsonschema_rs

UNFIT_FOR_NAMES = re.compile(r"[^a-zA-Z0-9_-]+")
MOST_NAME = 64
MOST_MESSAGE = 240
"""Characters of an error that go into a row's `error` at most."""

SAYS_SOMETHING = frozenset(
    {"type", "enum", "const", "$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "not", "if"}
    | {"properties", "required", "patternProperties", "additionalProperties", "minProperties"}
    | {"items", "prefixItems", "minItems", "pattern", "minLength", "maxLength"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
"""Keywords of which a schema has at least one, if it is to say anything."""

FENCED = re.compile(
    r"""
    ^[ ]{0,3}(?P<fence>`{3,}|~{3,})[^`\n]*\n    # an opening fence, perhaps with a language
    (?P<inside>.*?)
    (?:^[ ]{0,3}(?P=fence)[`~]*[ \t\r]*$|\Z)    # a closing one, or the end (CommonMark 4.5)
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
AROUND = "\ufeff \t\r\n"


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """A JSON Schema for answers; `name` is what the request calls it."""

    name: str
    schema: dict[str, Any]
    strict: bool = True
    description: str | None = None

    def text_format(self) -> dict[str, Any]:
        """Give `text.format` of a request (API reference, Responses: structured output)."""
        described = {} if self.description is None else {"description": self.description}
        return {
            "type": "json_schema",
            "name": self.name,
            **described,
            "schema": self.schema,
            "strict": self.strict,
        }


def read_schema(document: Any, name: str) -> AnswerSchema:
    """Read a JSON Schema, bare or as `{"name", "schema", "strict"?, "description"?}`.

    The wrapper may be `text.format` itself, or `{"json_schema": {…}}` as in chat requests. `name`
    serves where the document has none. Raises UsageError for what cannot be used as a schema.
    """
    if isinstance(document, dict) and isinstance(document.get("json_schema"), dict):
        document = document["json_schema"]
    wrapper: dict[str, Any] = {}
    if (
        isinstance(document, dict)
        and "schema" in document
        and document.get("type", "json_schema") == "json_schema"
    ):
        wrapper, document = document, document["schema"]
    if not isinstance(document, dict):
        raise UsageError(
            f"a schema is a JSON object, not {shorten(document)}",
            hint='as in {"type": "object", "properties": {"label": {"type": "string"}}}',
        )
    if not SAYS_SOMETHING & document.keys():
        there = ", ".join(list(document)[:20]) or "no keywords at all"
        raise UsageError(
            f"the schema says nothing of the answer: it has {there}",
            hint="give a JSON Schema, which has type, properties, enum and the like",
        )
    compiled(document)
    strict, description = wrapper.get("strict"), wrapper.get("description")
    return AnswerSchema(
        fit_name(str(wrapper.get("name") or name)),
        document,
        strict=strict if isinstance(strict, bool) else True,
        description=description if isinstance(description, str) else None,
    )


def fit_name(name: str) -> str:
    """Make a name fit `[a-zA-Z0-9_-]{1,64}`."""
    fitted = UNFIT_FOR_NAMES.sub("_", name)[:MOST_NAME]
    return fitted if fitted.strip("_") else "answer"


def compiled(schema: dict[str, Any], *, formats: bool = False) -> jsonschema_rs.Validator:
    """Compile a schema, without ever fetching anything. Raises UsageError where it is none.

    `formats`: whether a string must also be what its `format` says. JSON Schema 2020-12 has it as
    an annotation, and so has an answer's schema.
    """
    import jsonschema_rs

    for path, inner in schemas_in(schema):
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            reference = inner.get(keyword)
            if isinstance(reference, str) and not reference.startswith("#"):
                raise UsageError(
                    f"the schema refers to {shorten(reference)} at {path or 'its root'}: "
                    "nothing is fetched",
                    hint='copy what it refers to into "$defs", and refer to "#/$defs/…"',
                )
    try:
        return jsonschema_rs.validator_for(schema, retriever=refuse, validate_formats=formats)
    except jsonschema_rs.ValidationError as error:
        place, message = told(error)
        where = f" at {place}" if place else ""
        raise UsageError(
            f"this is not a valid JSON Schema{where}: {message}",
            hint="see https://json-schema.org/understanding-json-schema",
        ) from error
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise UsageError(f"this is not a valid JSON Schema: {cut(str(error))}") from error


def refuse(uri: str) -> NoReturn:
    """Fetch nothing."""
    raise ValueError(f"{uri} is not fetched")


def told(error: jsonschema_rs.ValidationError) -> tuple[str, str]:
    """Give the dotted path and the message of an error.

    Where none of several schemas fits, the one that the value follows furthest is told of.
    """
    branches = getattr(error.kind, "context", [])
    if branches and all(branches):
        furthest = max((errors[0] for errors in branches), key=lambda e: len(e.instance_path))
        if len(furthest.instance_path) > len(error.instance_path):
            return told(furthest)
        messages = dict.fromkeys(cut(errors[0].message) for errors in branches)
        return dotted(error.instance_path), cut("; ".join(messages))
    return dotted(error.instance_path), cut(error.message)


def dotted(path: list[str | int]) -> str:
    """Write a path as `items.2.price`."""
    return cut(".".join(map(str, path)))


def cut(text: str) -> str:
    """Shorten a text in its middle: messages begin with the value and end with what is wrong."""
    half = MOST_MESSAGE // 2
    return text if len(text) <= MOST_MESSAGE else f"{text[:half]} … {text[-half:]}"


class NotAnswer(ValueError):
    """A text that is not the JSON of an answer."""


def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON. Raises NotAnswer where a key occurs twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise NotAnswer(f"the key {shorten(twin)} occurs twice in an object")
    return made


def no_number(word: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's json takes."""
    raise NotAnswer(f"{word} is no number of JSON")


decode_exactly = json.JSONDecoder(
    object_pairs_hook=without_twins, parse_float=Number.parse, parse_constant=no_number
).decode
"""Decode as `core.template.decode_json` does, but refuse twin keys and know the character."""
decode_plainly = msgspec.json.Decoder().decode
decode_decimals = msgspec.json.Decoder(float_hook=Decimal).decode
"""The validator takes plain floats, or a Decimal for a number beyond their range."""


class AnswerReader:
    """Reads answers by a schema, which is compiled once."""

    def __init__(self, schema: AnswerSchema) -> None:
        self._validator = compiled(schema.schema)

    def read(self, text: str | None) -> tuple[Any, str | None]:
        """Give the value of an answer, or None and one line that says why it has none.

        Numbers are exact: whole ones of any size, others as `core.template.Number` where Python
        would write them differently; `core.template.json_text` writes them as they stood. A code
        fence around the JSON is seen through, where it is the only one.
        """
        if text is None or not (bare := text.strip(AROUND)):
            return None, "answer is empty"
        try:
            start, source = unfenced(bare)
            value = decode_exactly(source)
            plain = plainly(source)
        except json.JSONDecodeError as error:
            what = re.sub(r"( starting)? at$", "", error.msg)
            at = text.index(bare) + start + error.pos + 1
            return None, f"answer is not JSON: {what[0].lower()}{what[1:]} at character {at}"
        except NotAnswer as error:
            return None, f"answer is not JSON: {error}"
        except RecursionError:
            return None, "answer is not JSON: it is nested too deeply"
        except msgspec.DecodeError:
            return None, "answer is not JSON: an escape is half of a surrogate pair"
        except ValueError:
            return None, "answer is not JSON: a number has too many digits"
        if self._validator.is_valid(plain):
            return value, None
        place, message = told(next(iter(self._validator.iter_errors(plain))))
        return None, f"answer breaks the schema{f' at {place}' if place else ''}: {message}"


def plainly(source: str) -> Any:
    """Decode JSON for the validator, which takes no subclass of float."""
    try:
        return decode_plainly(source)
    except msgspec.ValidationError:
        return decode_decimals(source)


def unfenced(text: str) -> tuple[int, str]:
    """Give the JSON in a text and where it starts: what one code fence holds, or the whole text.

    A fence cannot stand inside JSON, whose strings have no line breaks. Raises NotAnswer where
    there are several.
    """
    if "```" not in text and "~~~" not in text:
        return 0, text
    blocks = list(FENCED.finditer(text))
    if len(blocks) > 1:
        raise NotAnswer(f"it has {len(blocks)} code blocks")
    if not blocks:
        return 0, text
    inside = blocks[0]["inside"]
    led = len(inside) - len(inside.lstrip(AROUND))
    return blocks[0].start("inside") + led, inside.strip(AROUND)
