"""Rows that carry a whole request, of Valar or of another API: told by their shape."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from valar_batch.core import rules
from valar_batch.core.problems import Problem
from valar_batch.core.translation.repairs import repaired
from valar_batch.core.translation.translate import (
    Translation,
    from_chat,
    from_messages,
    from_responses,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RESPONSES, CHAT, MESSAGES = rules.RESPONSES.path, rules.CHAT.path, rules.MESSAGES.path

TRANSLATIONS: Mapping[str, Callable[[Mapping[str, Any]], Translation]] = {
    RESPONSES: from_responses,
    CHAT: from_chat,
    MESSAGES: from_messages,
}
"""The other APIs whose requests are taken, by their paths; `/v1/responses` is OpenAI's."""


def api_of_line(row: Mapping[str, Any], body: Mapping[str, Any]) -> str | Problem:
    """Say which API a line of an OpenAI Batch file is for; without a `url` its body tells."""
    method, url = row.get("method"), row.get("url")
    if method is not None and method != "POST":
        return Problem("not allowed", "method", f"{method!r} is not POST")
    if url is None:
        return CHAT if "messages" in body else RESPONSES
    path = f"/v1/{str(url).strip('/').removeprefix('v1/')}"
    if path in (RESPONSES, CHAT):
        return path
    hint = f"requests for {RESPONSES} and {CHAT} are taken"
    return Problem("not allowed", "url", f"{url!r} has no counterpart", hint)


def api_of_item(params: Mapping[str, Any]) -> str | None:
    """Say which API an item with `params` is for: Anthropic's by its shape, or None for Valar's.

    Anthropic's have `messages` of user and assistant, and the `max_tokens` that it requires.
    """
    messages = params.get("messages")
    if "max_tokens" not in params or "input" in params or not isinstance(messages, list):
        return None
    roles = [message.get("role") for message in messages if isinstance(message, dict)]
    return MESSAGES if all(role in ("user", "assistant") for role in roles) else None


class Rewritten:
    """A body as Responses params: translated from an API, then repaired, each where it applies.

    `losses` are what the user should hear of it.
    """

    def __init__(self, body: dict[str, Any], name: str, api: str | None, *, fix: bool) -> None:
        self._steps: list[Translation] = []
        self._prefix = f"{name}." if api else ""
        self.params = body
        if api is not None:
            self._take(TRANSLATIONS[api](body))
        if fix:
            self._take(repaired(self.params))
        self.changes = tuple(what for step in self._steps for what in step.repairs)

    def _take(self, step: Translation) -> None:
        self._steps.append(step)
        self.params = step.params

    def problems(self, found: list[Problem]) -> list[Problem]:
        """Give all problems under the row's own names: those `found` in the params, and its own.

        What was found in what has no counterpart is said once.
        """
        own = [problem for step in self._steps for problem in step.problems]
        if not (own or found):
            return own
        more = [replace(problem, field=self._place(problem.field)) for problem in found]
        said = [problem.field for problem in own]
        fresh = [p for p in more if not any(meet(p.field, field) for field in said)]
        return [replace(p, field=f"{self._prefix}{p.field}") for p in (*own, *fresh)]

    def _place(self, path: str) -> str:
        for step in reversed(self._steps):
            path = step.place(path)
        return path


def meet(path: str, other: str) -> bool:
    """Whether one of two paths is at or below the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def offered(problems: list[Problem], *, fix: bool) -> list[Problem]:
    """Give problems with the hints that only the client has: its options that would help."""
    return [replace(problem, hint=hint_for(problem, fix=fix)) for problem in problems]


def hint_for(problem: Problem, *, fix: bool) -> str:
    """Say what to do: with `fix`, what could be mended has been."""
    if problem.kind == "missing field" and problem.field.rpartition(".")[2] == "model":
        return "give --model"
    mended = "--fix mends it" if problem.fixable and not fix else ""
    return "; or ".join(filter(None, (problem.hint, mended)))
