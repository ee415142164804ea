"""Bodies field by field: each that means something is handed to what translates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.fields import set_path
from valar_batch.core.translation.rewriting import Rewriting
from valar_batch.core.validate import lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valar_batch.core.translation.rewriting import Translation

    Handler = Callable[[Rewriting, str, Any], None]


def translated(
    body: Mapping[str, Any],
    handlers: Mapping[str, Handler],
    defaults: Mapping[str, tuple[Any, ...]],
    hints: Mapping[str, str],
) -> Translation:
    """Hand each field that means something to its handler; the `messages` become the input."""
    rewriting = Rewriting()
    rewriting.places["input"] = "messages"
    for name, value in body.items():
        if is_default(defaults, name, value):
            continue
        if handler := handlers.get(name):
            handler(rewriting, name, value)
        else:
            rewriting.refuse(name, "Valar has no counterpart for it", hints.get(name, "drop it"))
    return rewriting.translation()


def kept(rewriting: Rewriting, name: str, value: Any) -> None:
    """Keep a field as it is."""
    rewriting.params[name] = value


def to(path: str) -> Handler:
    """Give the handler that moves a field to a path."""

    def moved(rewriting: Rewriting, name: str, value: Any) -> None:
        before = rewriting.places.get(path)
        if before is not None and lookup(rewriting.params, path) != value:
            message = f"{before} and {name} say different things"
            rewriting.refuse(name, message, "keep one of them")
            return
        rewriting.places[path] = name
        set_path(rewriting.params, path, value)

    return moved


def dropped(what: str) -> Handler:
    """Give the handler that leaves a field out, and says so."""

    def lost(rewriting: Rewriting, name: str, value: Any) -> None:
        rewriting.lose(what)

    return lost


def unsaid(rewriting: Rewriting, name: str, value: Any) -> None:
    """Leave out what goes with another field."""


def is_default(defaults: Mapping[str, tuple[Any, ...]], name: str, value: Any) -> bool:
    """Whether a field says no more than its absence would: null, or its default."""
    return value is None or any(
        value == default and isinstance(value, bool) == isinstance(default, bool)
        for default in defaults.get(name, ())
    )
