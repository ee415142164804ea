"""Repairs of Responses bodies: what has one right answer is rewritten, for `--fix`.

Repairs judge nothing: what they leave as it is, `check_params` refuses. Repairing twice changes
nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.fields import overlaid, set_path
from valar_batch.core.translation.rewriting import (
    UNNEEDED,
    Rewriting,
    chat_choice,
    chat_format,
)
from valar_batch.core.validate import ABSENT, lookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valar_batch.core.translation.rewriting import Translation


def repaired(params: Mapping[str, Any]) -> Translation:
    """Rewrite what has one right answer. `repairs` names each kind of change once.

    Where the old field and the new one say different things, both stay.
    """
    repairing = Repairing(params)
    repairing.drop_nulls()
    repairing.drop_ways_of_answering()
    repairing.rename_fields()
    repairing.rename_messages()
    repairing.flatten_tools()
    repairing.rewrite_input()
    repairing.lead_by_instructions()
    repairing.choose_window()
    return repairing.repair()


INSTRUCTIONS_LEAD = "instructions → a leading system message"

RENAMED: tuple[tuple[str, str], ...] = (
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
)
"""Fields of chat, each with the path that it has in Responses."""


class Repairing(Rewriting):
    """A Responses body that is being repaired; `params` are a copy of it, made anew in depth."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__()
        self.params = dict(params)

    def drop_nulls(self) -> None:
        """Drop fields that are null, at any depth: they say nothing."""
        if not has_null(self.params):
            return
        self.note("null fields dropped")
        self.params = without_null_fields(self.params)
        if self.params.get("text") == {}:
            del self.params["text"]

    def drop_default_verbosity(self) -> None:
        """Drop the verbosity that answers have anyway."""
        text = self.params.get("text")
        if isinstance(text, dict) and text.get("verbosity") in ("medium", None):
            self.params["text"] = {n: v for n, v in text.items() if n != "verbosity"}
            if not self.params["text"]:
                del self.params["text"]

    def drop_unneeded(self) -> None:
        """Drop what no answer depends on."""
        for name in [each for each in self.params if each in UNNEEDED]:
            del self.params[name]
            self.lose(f"{name} dropped")

    def drop_ways_of_answering(self) -> None:
        """Drop what is said of storing and streaming: there is one way."""
        if self.params.get("store", True) is not True:
            del self.params["store"]
            self.lose("store: false dropped")
        if "stream" in self.params:
            del self.params["stream"]
            self.params.pop("stream_options", None)
            self.lose("stream dropped")

    def rename_fields(self) -> None:
        """Move fields of chat to where Responses has them."""
        for old, path in RENAMED:
            value = self.params.get(old, ABSENT)
            if old == "response_format" and isinstance(value, dict):
                value = chat_format(value)
            if value is ABSENT or lookup(self.params, path) not in (ABSENT, value):
                continue
            if not isinstance(self.params.get(path.partition(".")[0], {}), dict) and "." in path:
                continue
            moved: dict[str, Any] = {}
            set_path(moved, path, value)
            del self.params[old]
            self.params = overlaid(self.params, moved)
            self.places[path] = old
            self.note(f"{old} → {path}")

    def rename_messages(self) -> None:
        """Make messages of chat the input."""
        messages = self.params.get("messages")
        if not isinstance(messages, list) or self.params.get("input", messages) != messages:
            return
        del self.params["messages"]
        self.params["input"] = self.chat_items(messages, "messages", "input")
        self.places["input"] = "messages"
        self.note("messages → input")

    def flatten_tools(self) -> None:
        """Take the tools of chat, and the choice of one, out of their objects."""
        tools, choice = self.params.get("tools"), self.params.get("tool_choice")
        flat = tools
        if isinstance(tools, list):
            flat = [
                self.chat_tool(each, f"tools.{n}", f"tools.{n}") for n, each in enumerate(tools)
            ]
        changed = {"tools": flat, "tool_choice": chat_choice(choice)}
        for name, value in changed.items():
            if value != self.params.get(name):
                self.params[name] = value
                self.note(f"{name} of chat → {name}")

    def rewrite_input(self) -> None:
        """Rewrite the roles and parts of the messages in the input."""
        given = self.params.get("input")
        path = "input.messages" if isinstance(given, dict) else "input"
        messages = given.get("messages") if isinstance(given, dict) else given
        if not isinstance(messages, list):
            return
        items = [
            self.message(message, f"{path}.{n}", f"{path}.{n}")
            for n, message in enumerate(messages)
        ]
        if any(new is not old for new, old in zip(items, messages, strict=True)):
            self.params["input"] = {"messages": items} if isinstance(given, dict) else items

    def lead_by_instructions(self) -> None:
        """Make instructions the system message that the input begins with."""
        text, given = self.params.get("instructions"), self.params.get("input")
        messages = given.get("messages") if isinstance(given, dict) else given
        if not isinstance(text, str) or not isinstance(messages, str | list) or not messages:
            return
        del self.params["instructions"]
        self.note(INSTRUCTIONS_LEAD)
        if not text:
            return
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        led = [{"role": "system", "content": text}, *messages]
        self.params["input"] = {"messages": led} if isinstance(given, dict) else led
        self.lead("input.messages" if isinstance(given, dict) else "input", len(messages))

    def lead(self, path: str, count: int) -> None:
        """Lead the places of the items back to where they were: each has moved by one."""
        moved = {f"{path}.{n + 1}": f"{path}.{n}" for n in range(count)}
        for place, origin in self.places.items():
            number, dot, rest = place.removeprefix(f"{path}.").partition(".")
            is_item = place.startswith(f"{path}.")
            moved[f"{path}.{int(number) + 1}{dot}{rest}" if is_item else place] = origin
        self.places = {**moved, f"{path}.0": "instructions"}

    def choose_window(self) -> None:
        """Take the window that batches have in place of the one for single requests."""
        metadata = self.params.get("metadata")
        if isinstance(metadata, dict) and metadata.get("completion_window") == "asap":
            self.params["metadata"] = {**metadata, "completion_window": "standard"}
            self.note("window asap → standard")


def has_null(value: Any) -> bool:
    """Whether an object has a null field, at any depth; JSON Schemas are not looked into."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if inner is None:
                return True
            if isinstance(inner, dict | list) and name not in SCHEMAS and has_null(inner):
                return True
        return False
    return isinstance(value, list) and any(map(has_null, value))


def without_null_fields(value: Any) -> Any:
    """Give a value without the null fields of its objects; JSON Schemas stay as they are."""
    if isinstance(value, dict):
        return {
            name: inner if name in SCHEMAS else without_null_fields(inner)
            for name, inner in value.items()
            if inner is not None
        }
    return list(map(without_null_fields, value)) if isinstance(value, list) else value


SCHEMAS = frozenset({"parameters", "schema"})
"""Where a JSON Schema stands, in which null is a value as any other."""
