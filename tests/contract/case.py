"""What a row of the contract's tables is: a body, and the field it is refused for, if it is."""

from __future__ import annotations

import base64
from dataclasses import dataclass


class Absent:
    """What says that a field is left out; its name is the same in every process."""

    def __repr__(self):
        return "absent"


ABSENT = Absent()
"""As the value of a field in a change: the field is left out."""

TEXT_MODEL = "zai-org/GLM-5.1-FP8"
IMAGE_MODEL = "moonshotai/Kimi-K2.6"

FILES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/webp": b"RIFF\x00\x00\x00\x00WEBP",
    "image/gif": b"GIF89a",
    "image/tiff": b"II*\x00",
}
"""How files of each type begin."""


@dataclass(frozen=True)
class Case:
    """`change` is laid over a body that is taken. `param` is the refused field, None if taken.

    `anywhere` is False where the items of a batch have another rule, as for windows. `unserved`:
    the refusal is the server's alone, as for a model that validation cannot know of.
    """

    name: str
    change: dict[str, object]
    param: str | None = None
    anywhere: bool = True
    unserved: bool = False

    def body(self, valid: dict[str, object]) -> dict[str, object]:
        """Give the whole body."""
        return {
            key: value for key, value in {**valid, **self.change}.items() if value is not ABSENT
        }


def taken(field: str, *values: object) -> tuple[Case, ...]:
    """Give a case for each value that a field may have."""
    return tuple(Case(f"{field} {shown(value)}", {field: value}) for value in values)


def refused(field: str, *values: object, param: str | None = None) -> tuple[Case, ...]:
    """Give a case for each value that a field must not have; `param` is by default the field."""
    return tuple(
        Case(f"{field} {shown(value)}", {field: value}, param or field) for value in values
    )


def shown(value: object) -> str:
    """Give the beginning of a value, for a case's name."""
    return repr(value)[:60]


def image(kind: str, *, declared: str | None = None, size: int = 12) -> str:
    """Give a data URI of a file of a type, declared as that or as another, of `size` bytes."""
    return f"data:{declared or kind};base64,{encoded(kind, size)}"


def encoded(kind: str, size: int = 12) -> str:
    """Give a file of a type in base64."""
    return base64.b64encode(FILES[kind].ljust(size, b"\0")).decode()
