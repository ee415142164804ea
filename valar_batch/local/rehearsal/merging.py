"""Several schemas as one: what a value must be that fits them all, for the making of instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIGHTER: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Give the keywords of both. Where two of a kind cannot be met, the later one stands."""
    both = {**one, **other}
    for keyword in one.keys() & other.keys():
        first, second = one[keyword], other[keyword]
        if first != second:
            both[keyword] = met(keyword, first, second)
    return both


def met(keyword: str, first: Any, second: Any) -> Any:
    """Give the value of a keyword that means both values."""
    if keyword in TIGHTER:
        return TIGHTER[keyword](first, second)
    match keyword:
        case "properties" | "patternProperties":
            common = first.keys() & second.keys()
            return {
                **first,
                **second,
                **{name: {"allOf": [first[name], second[name]]} for name in common},
            }
        case "required":
            return list(dict.fromkeys([*first, *second]))
        case "enum":
            return [value for value in first if value in second]
        case "type":
            return common_types(first, second)
        case "items" | "additionalProperties" | "propertyNames" | "contains":
            return {"allOf": [first, second]}
    return second


def common_types(first: str | list[str], second: str | list[str]) -> list[str]:
    """Give the types that both allow; whole numbers are numbers."""
    ones, others = types_of(first), types_of(second)
    common = [name for name in ones if name in others]
    if "integer" not in common and {"integer", "number"} <= {*ones, *others}:
        common = [*(name for name in common if name != "number"), "integer"]
    return common


def types_of(stated: str | list[str]) -> list[str]:
    """Give the names in `type`."""
    return [stated] if isinstance(stated, str) else stated
