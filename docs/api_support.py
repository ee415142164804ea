"""Write `api-support.md`: what Valar takes and refuses, from the rules that the program goes by.

python docs/api_support.py
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from valar_batch.core.prices import shipped_prices
from valar_batch.core.rules import (
    ALL_WINDOWS,
    BATCH_WINDOWS,
    IMAGE_TYPES,
    MAX_BATCH_BYTES,
    MAX_IDEMPOTENCY_KEY_LENGTH,
    MAX_IMAGE_BYTES,
    MAX_IMAGES,
    RESPONSES,
    SURFACES,
)
from valar_batch.core.shapes import (
    Anything,
    Array,
    Either,
    Field,
    Flag,
    ImageUrl,
    Kinds,
    Null,
    Number,
    Object,
    Refused,
    Text,
    WebUrl,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valar_batch.core.rules import Surface
    from valar_batch.core.shapes import Shape

    Row = tuple[str, str]

INTRODUCTION = """\
# What Valar takes and refuses

Written by `make docs` from `valar_batch/core/rules/`, which three users share: the check before \
anything is sent, the local Valar, and this page.

A path such as `input[message].content[input_text].text` reads: in the list `input`, an object of \
type `message`; in its list `content`, one of type `input_text`; its field `text`. A field in bold \
is required; a refused type stands for its dated variants, too. A refusal is a 400 \
`invalid_request_error` whose `param` is the path, with positions in place of the brackets: \
`input.0.content.0.text`.
"""


def page() -> str:
    """Give the text of the page."""
    sections = [Section(surface).text() for surface in SURFACES]
    return "\n".join([INTRODUCTION, *sections, images(), windows(), posts()])


class Section:
    """The part of the page on one surface. What occurs in several places is laid out in one."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._places: dict[Shape, str] = {}
        self._taken: list[Row] = []
        self._refused: list[Row] = []
        self._walk(surface.body, "")

    def text(self) -> str:
        """Give what each field may be, and what is refused."""
        surface = self._surface
        rest = "are passed on" if surface.body.rest is not None else "are refused"
        lines = [
            f"## {surface.name}: `POST {surface.path}`",
            "",
            *table([("field", "may be"), *self._taken]),
            "",
            f"Other fields {rest}.",
            "",
        ]
        if self._refused:
            lines += [*table([("refused", "instead"), *self._refused]), ""]
        return "\n".join(lines)

    def _walk(self, shape: Shape, path: str) -> None:
        """Go through what is inside of the value at a path."""
        match shape:
            case Object(fields=fields):
                for field in fields:
                    self._field(field, f"{path}.{field.name}".lstrip("."))
            case Kinds(kinds=kinds, refused=refused):
                for each in refused:
                    self._refuse(f"`{path}[{each.name}]`", each)
                for kind, each in kinds:
                    self._walk(each, f"{path}[{kind}]")
            case Array(of=of):
                self._walk(of, path if isinstance(of, Kinds) else f"{path}[]")
            case Text(barred=barred):
                for word in barred:
                    self._refused.append((f"`{word}` in `{path}`", "remove it"))

    def _field(self, field: Field | Refused, path: str) -> None:
        if isinstance(field, Refused):
            self._refuse(f"`{path}`", field)
            return
        if field.name == "type":
            return
        name = f"**`{path}`**" if field.required else f"`{path}`"
        what = described(field.shape)
        parts = field.shape.shapes if isinstance(field.shape, Either) else (field.shape,)
        if field.hint and not field.required:
            self._refuse(f"`{path}` other than {what}", field)
        for part in parts:
            place = self._places.setdefault(part, path)
            if place != path and has_fields(part):
                what += f", as `{place}`"
        self._taken.append((name, what))
        for part in parts:
            if self._places[part] == path:
                self._walk(part, path)

    def _refuse(self, what: str, rule: Field | Refused) -> None:
        mended = rule.fixable and self._surface is RESPONSES
        self._refused.append((what, f"{rule.hint}; `--fix` does it" if mended else rule.hint))


def has_fields(shape: Shape) -> bool:
    """Whether there is more to say of a value than one line."""
    match shape:
        case Array(of=of):
            return has_fields(of)
        case Object(fields=fields):
            return bool(fields)
    return isinstance(shape, Kinds)


def described(shape: Shape, *, many: bool = False) -> str:
    """Say in words what a value may be, or what `many` values may."""
    match shape:
        case Text():
            return text_described(shape)
        case Number():
            return number_described(shape)
        case Flag(only=only):
            return "`true` or `false`" if only is None else f"`{str(only).lower()}`"
        case Array(of=of, shortest=shortest, longest=longest):
            most = "" if longest is None else f" of at most {longest:,}"
            return f"a {'non-empty ' if shortest else ''}list{most} of {described(of, many=True)}"
        case Kinds(kinds=kinds, default=default):
            words = ", ".join(f"`{kind}`" for kind, _ in kinds)
            noun = "objects" if many else "an object"
            return f"{noun} of type {words}" + (f" (`{default}` if none is given)" * bool(default))
        case Either(shapes=shapes):
            return ", or ".join(described(each, many=many) for each in shapes)
    return WORDS[type(shape)][many]


WORDS = {
    ImageUrl: ("an http or https URL, or a data URI with an image",) * 2,
    WebUrl: ("an http or https URL",) * 2,
    Null: ("`null`",) * 2,
    Anything: ("anything",) * 2,
    Object: ("an object", "objects"),
}
"""What one value may be, and several."""


def text_described(shape: Text) -> str:
    """Say in words what a text may be."""
    if shape.choices:
        return ", ".join(f"`{word}`" for word in shape.choices)
    if shape.pattern is not None:
        return f"text that matches `{shape.pattern.pattern}`"
    most = "" if shape.longest is None else f" of at most {shape.longest:,} characters"
    return f"{'non-empty ' if shape.shortest else ''}text{most}"


def number_described(shape: Number) -> str:
    """Say in words what a number may be."""
    low, high = shape.low, shape.high
    if low is not None and low == high:
        return f"`{low:g}`"
    kind = "a whole number" if shape.whole else "a number"
    return f"{kind} from {low:g} on" if high is None else f"{kind} from {low:g} to {high:g}"


def images() -> str:
    """Describe the rules of images."""
    takers = [f"`{name}`" for name, model in shipped_prices().models.items() if model.images]
    return f"""\
## Images

At most {MAX_IMAGES} in a request, each of at most {MAX_IMAGE_BYTES:,} bytes decoded, \
{", ".join(IMAGE_TYPES.values())}; the declared media type is the one that the image has. Models \
that take images, of those known here: {", ".join(takers)}.
"""


def windows() -> str:
    """Describe the completion windows."""
    return f"""\
## Windows

`metadata.completion_window` is one of {", ".join(f"`{each}`" for each in ALL_WINDOWS)} that the \
model has. `flex` needs `background: true`, so it is for Responses alone. A batch item may have \
{" or ".join(f"`{each}`" for each in BATCH_WINDOWS)}; `flex` there is let through with a warning.
"""


def posts() -> str:
    """Describe what holds for every POST."""
    return f"""\
## Every POST

The body is JSON of less than {MAX_BATCH_BYTES:,} bytes. An `Idempotency-Key` has 1 to \
{MAX_IDEMPOTENCY_KEY_LENGTH} characters. A key of its own, with the same body, gives the answer \
that there is; with another body it is a 400 `idempotency_error`.
"""


def table(rows: Sequence[Row]) -> list[str]:
    """Lay out a table, whose first row is its header."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [lines[0], "|---|---|", *lines[1:]]


if __name__ == "__main__":
    sys.stdout.write(page())
