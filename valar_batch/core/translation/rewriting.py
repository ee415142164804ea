"""Rewriting request bodies into Responses params: what translations and repairs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from valar_batch.core.problems import Problem
from valar_batch.core.rules.shared import TEXT_AND_IMAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NO_PLACES: Mapping[str, str] = {}

UNNEEDED = frozenset({"safety_identifier", "prompt_cache_retention"})
"""Fields of OpenAI's that no answer depends on."""


class Translation(NamedTuple):
    """What became of a body. Nothing that was given is changed.

    `params` are the Responses body. `problems` are what has no counterpart there, under the body's
    own field names, and what they are about is left in `params` as it was, or left out. `repairs`
    are short words for what was changed, once each: of a translation only what got lost in it.
    `places` leads from paths in `params` to those in the body, where they differ.
    """

    params: dict[str, Any]
    problems: list[Problem]
    repairs: tuple[str, ...]
    places: Mapping[str, str] = NO_PLACES

    def place(self, path: str) -> str:
        """Give the path in the body of what is at a path in the params."""
        head, tail = path, ""
        while head:
            if head in self.places:
                return self.places[head] + tail
            head, dot, name = head.rpartition(".")
            tail = f"{dot}{name}{tail}"
        return path


class Rewriting:
    """The state of one rewriting: what is found out on the way to a Translation."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.places: dict[str, str] = {}
        self._repairs: dict[str, bool] = {}
        self._custom_calls: set[str] = set()
        self._open_functions: dict[str, str] = {}

    def translation(self) -> Translation:
        """Give what came of it, with what got lost."""
        lost = tuple(what for what, is_loss in self._repairs.items() if is_loss)
        return Translation(self.params, self.problems, lost, self.places)

    def repair(self) -> Translation:
        """Give what came of it, with all that was changed. A repair judges nothing."""
        return Translation(self.params, [], tuple(self._repairs), self.places)

    def note(self, what: str) -> None:
        """Note a change that keeps what is meant."""
        self._repairs.setdefault(what, False)

    def lose(self, what: str) -> None:
        """Note a change that gives something up, which the user should hear of."""
        self._repairs[what] = True

    def refuse(self, field: str, message: str, hint: str = "") -> None:
        """Note what has no counterpart."""
        self.problems.append(Problem("no counterpart", field, message, hint))

    def message(self, message: Any, place: str, path: str) -> Any:
        """Rewrite the role and the parts of a message; what is no message stays as it is.

        `place` is where it was, `path` where it goes.
        """
        if not isinstance(message, dict) or message.get("type", "message") != "message":
            return message
        changes: dict[str, Any] = {}
        if message.get("role") == "developer":
            changes["role"] = "system"
            self.note("role developer → system")
        content = message.get("content")
        if isinstance(content, list):
            own = message.get("role") == "assistant"
            parts = [
                self._part(part, f"{place}.content.{n}", f"{path}.content.{n}", own=own)
                for n, part in enumerate(content)
            ]
            if any(new is not old for new, old in zip(parts, content, strict=True)):
                changes["content"] = parts
        return {**message, **changes} if changes else message

    def _part(self, part: Any, place: str, path: str, *, own: bool) -> Any:
        """Rewrite a part of a chat message; `own` text is that of the model."""
        kind = part.get("type") if isinstance(part, dict) else None
        text = "output_text" if own else "input_text"
        if kind == "text":
            self.note(f"text → {text}")
            return {**part, "type": text}
        if kind == "refusal" and own:
            self.note(f"refusal → {text}")
            return {"type": text, "text": part.get("refusal")}
        if kind == "image_url":
            image = part.get("image_url")
            self.note("image_url → input_image")
            rest = {name: value for name, value in part.items() if name != "image_url"}
            if not isinstance(image, dict):
                return {**rest, "type": "input_image", "image_url": image}
            self.places[f"{path}.image_url"] = f"{place}.image_url.url"
            self.places[f"{path}.detail"] = f"{place}.image_url.detail"
            given = {name: value for name, value in image.items() if value is not None}
            return {**rest, **given_as_url(given), "type": "input_image"}
        if kind in ("input_audio", "file"):
            self.refuse(place, f"{kind} parts have no counterpart", TEXT_AND_IMAGES)
        return part

    def chat_items(self, messages: list[Any], place: str, path: str) -> list[Any]:
        """Rewrite chat messages: tool calls and their results become items of their own."""
        items: list[Any] = []
        for position, message in enumerate(messages):
            where = f"{place}.{position}"
            for item in self._chat(message, where, f"{path}.{len(items)}"):
                self.places[f"{path}.{len(items)}"] = where
                items.append(item)
        return items

    def _chat(self, message: Any, place: str, path: str) -> Iterator[Any]:
        if not isinstance(message, dict) or message.get("type", "message") != "message":
            yield message
            return
        role, name = message.get("role"), message.get("name")
        plain = {
            field: value
            for field, value in message.items()
            if field not in CALLS and (value is not None or field == "content")
        }
        for field in plain:
            if field not in CHAT_MESSAGE:
                self.refuse(f"{place}.{field}", f"{field} of a message has no counterpart")
        if role == "assistant":
            yield from self._assistant(message, plain, place, path)
        elif role == "tool" and isinstance(message.get("tool_call_id"), str):
            call_id = message["tool_call_id"]
            kind = "custom_tool_call" if call_id in self._custom_calls else "function_call"
            yield self._result(f"{kind}_output", call_id, message, place, path)
        elif role == "function" and isinstance(name, str) and name in self._open_functions:
            call_id = self._open_functions.pop(name)
            yield self._result("function_call_output", call_id, message, place, path)
        elif role in ("tool", "function"):
            field = "tool_call_id" if role == "tool" else "name"
            self.refuse(f"{place}.{field}", "the result belongs to no call before it")
            yield message
        else:
            yield self.message(plain, place, path)

    def _assistant(
        self, message: dict[str, Any], plain: dict[str, Any], place: str, path: str
    ) -> Iterator[Any]:
        calls, legacy = message.get("tool_calls") or [], message.get("function_call")
        if plain.get("content") is None and message.get("refusal"):
            plain["content"] = message["refusal"]
        if plain.get("content") or not (calls or legacy):
            yield alone_as_text(self.message(plain, place, path), "output_text")
        for position, call in enumerate(calls if isinstance(calls, list) else [calls]):
            yield self._call(call, f"{place}.tool_calls.{position}")
        if isinstance(legacy, dict):
            call_id = f"function_call_{path.rpartition('.')[2]}"
            self._open_functions[str(legacy.get("name"))] = call_id
            yield {"type": "function_call", "call_id": call_id, **legacy}

    def _call(self, call: Any, place: str) -> Any:
        """Rewrite a call of a tool."""
        kind = call.get("type", "function") if isinstance(call, dict) else None
        inner = call.get(kind) if kind in ("function", "custom") else None
        if not isinstance(inner, dict):
            self.refuse(place, "this is no call of a function or custom tool")
            return call
        if kind == "custom":
            self._custom_calls.add(str(call.get("id")))
        item_kind = "function_call" if kind == "function" else "custom_tool_call"
        return {"type": item_kind, "call_id": call.get("id"), **inner}

    def _result(
        self, kind: str, call_id: str, message: dict[str, Any], place: str, path: str
    ) -> dict[str, Any]:
        """Give the result of a call; text alone is text."""
        plain = {"role": "user", "content": message.get("content")}
        content = alone_as_text(self.message(plain, place, path), "input_text")["content"]
        self.places[f"{path}.output"] = f"{place}.content"
        self.places[f"{path}.call_id"] = f"{place}.tool_call_id"
        return {"type": kind, "call_id": call_id, "output": content}

    def chat_tool(self, tool: Any, place: str, path: str) -> Any:
        """Rewrite a tool of chat: what is inside `function` or `custom` comes out of it."""
        kind = tool.get("type") if isinstance(tool, dict) else None
        inner = tool.get(kind) if kind in ("function", "custom") else None
        if not isinstance(inner, dict):
            return tool
        self.places[path] = f"{place}.{kind}"
        flat = {"type": kind, **given_fields(inner)}
        grammar = flat.get("format")
        if isinstance(grammar, dict) and isinstance(grammar.get("grammar"), dict):
            flat["format"] = {"type": "grammar", **grammar["grammar"]}
        return flat


CHAT_MESSAGE = frozenset({"role", "content", "name", "tool_call_id"})
CALLS = frozenset({"tool_calls", "function_call", "refusal", "annotations"})
"""What of a chat message goes elsewhere; `annotations` are about an answer and say nothing."""


def given_as_url(image: dict[str, Any]) -> dict[str, Any]:
    """Give an image of chat with its URL where Responses has it."""
    return {"image_url" if name == "url" else name: value for name, value in image.items()}


def given_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields that are not null."""
    return {name: value for name, value in fields.items() if value is not None}


def alone_as_text(message: dict[str, Any], kind: str) -> dict[str, Any]:
    """Give a message whose only part is a text of this kind with that text as its content."""
    match message.get("content"):
        case [{"type": found, "text": str(text)}] if found == kind:
            return {**message, "content": text}
    return message


def chat_format(given: dict[str, Any]) -> dict[str, Any]:
    """Rewrite a `response_format` of chat: what is inside `json_schema` comes out of it."""
    inner = given.get("json_schema")
    if given.get("type") != "json_schema" or not isinstance(inner, dict):
        return given
    return {"type": "json_schema", **given_fields(inner)}


def chat_choice(given: Any) -> Any:
    """Rewrite a `tool_choice` of chat: the name of the tool comes out of its object."""
    kind = given.get("type") if isinstance(given, dict) else None
    inner = given.get(kind) if kind in ("function", "custom") else None
    return {"type": kind, **inner} if isinstance(inner, dict) else given
