"""How options are declared once and shared by commands: groups of them are dataclasses."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

INPUT, RECIPE, TARGET, RUN = "Input", "Recipe", "Target", "Run"
OUTPUT, SCREEN = "Output", "Screen"
"""The panels of a command's help."""


def option(*names: str, text: str, panel: str, metavar: str | None = None, **more: Any) -> Any:
    """Declare an option of a group."""
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar, **more)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take groups of options: each dataclass parameter becomes its fields."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)
    }
    members = {name: dataclasses.fields(kind) for name, kind in groups.items()}

    def expanded(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in members[name]})
        command(**given)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name not in groups:
            hint = hints[parameter.name]
            parameters.append(parameter.replace(annotation=hint, kind=parameter.KEYWORD_ONLY))
            continue
        types = get_type_hints(groups[parameter.name], include_extras=True)
        parameters += (
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=(
                    inspect.Parameter.empty
                    if field.default is dataclasses.MISSING
                    else field.default
                ),
                annotation=types[field.name],
            )
            for field in members[parameter.name]
        )
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    expanded.__doc__ = command.__doc__
    expanded.__annotations__ = {p.name: p.annotation for p in parameters}
    return expanded
