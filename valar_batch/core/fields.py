"""Fields of a request's body: set by dotted paths, laid over one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def set_path(fields: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted path, making the objects on the way; objects are laid over one another."""
    *parents, name = path.split(".")
    if not all((*parents, name)):
        raise UsageError(f"--set {path}: an empty name in the path", hint="as in metadata.tag=x")
    place = fields
    for parent in parents:
        inner = place.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {path}: {parent} is already set to {inner!r}")
        place = inner
    before = place.get(name)
    if isinstance(before, dict) and isinstance(value, dict):
        value = overlaid(before, value)
    place[name] = value


def overlaid(fields: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Give `fields` with those of `over` set, object by object; nothing given is changed."""
    merged = dict(fields)
    for name, value in over.items():
        inner = merged.get(name)
        if isinstance(inner, dict) and isinstance(value, dict):
            merged[name] = overlaid(inner, value)
        else:
            merged[name] = value
    return merged


def without_path(fields: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Give fields, whose names may be dotted paths, without what is at a path and below it."""
    left: dict[str, Any] = {}
    for name, value in fields.items():
        if f"{name}.".startswith(f"{path}."):
            continue
        inner = path.removeprefix(f"{name}.")
        left[name] = (
            without_path(value, inner) if inner != path and isinstance(value, dict) else value
        )
    return left


def without_nulls(value: Any) -> Any:
    """Give a value without the null fields of its objects."""
    if isinstance(value, dict):
        return {name: without_nulls(v) for name, v in value.items() if v is not None}
    return list(map(without_nulls, value)) if isinstance(value, list) else value


def same(value: Any) -> Any:
    """Give a value as it is."""
    return value
