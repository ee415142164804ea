"""A chat as the upstream streams it, put together chunk by chunk, pure.

What Valar streams differs a little: one choice, nothing of the upstream's own, and each call of a
tool whole in one chunk. Source: API reference, Chat Completions; OpenAI's, streaming.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from valar_batch.core.outcome import output_text
from valar_batch.errors import UnreadableAnswer
from valar_batch.local.api.chat import chat_calls, reasoning_text, refusal_text
from valar_batch.local.upstream.answering import reasoning_in, text_or

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from valar_batch.local.api.chat import Output

Delta = dict[str, Any]


@dataclass(slots=True)
class Assembly:
    """The chat so far; `take` each chunk, and `completion` is the whole once it has ended."""

    model: str
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)

    def take(self, chunk: Any) -> Iterator[Delta]:
        """Take a chunk, and give what is passed on of it at once: text and reasoning."""
        if not isinstance(chunk, dict) or chunk.get("error"):
            raise UnreadableAnswer("the upstream broke its answer off with an error")
        self.model = text_or(chunk.get("model"), self.model)
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        for choice in (chunk.get("choices") or ())[:1]:
            delta = choice.get("delta") or {}
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            self.logprobs += (choice.get("logprobs") or {}).get("content") or ()
            reasoning, text = reasoning_in(delta), text_or(delta.get("content"), "")
            refusal = text_or(delta.get("refusal"), "")
            for said, kept, name in (
                (reasoning, self.reasoning, "reasoning_content"),
                (text, self.text, "content"),
                (refusal, self.refusal, "refusal"),
            ):
                if said:
                    kept.append(said)
                    yield {name: said}
            for piece in delta.get("tool_calls") or ():
                self._extend_call(piece)

    def tool_calls(self) -> list[dict[str, Any]]:
        """Give the calls of tools, whole."""
        return [self.calls[index] for index in sorted(self.calls)]

    def completion(self) -> dict[str, Any]:
        """Give the chat completion that was streamed; one without an end is unreadable."""
        if self.finish_reason is None:
            raise UnreadableAnswer("the upstream broke its answer off")
        message = {
            "content": "".join(self.text) or None,
            "reasoning_content": "".join(self.reasoning),
            "refusal": "".join(self.refusal),
            "tool_calls": self.tool_calls(),
        }
        choice = {
            "finish_reason": self.finish_reason,
            "message": message,
            "logprobs": {"content": self.logprobs},
        }
        return {"model": self.model, "choices": [choice], "usage": self.usage}

    def _extend_call(self, piece: Mapping[str, Any]) -> None:
        """Add a piece of a call: its name comes first, and what the tool is given bit by bit."""
        kind = "custom" if piece.get("type") == "custom" or "custom" in piece else "function"
        given = "input" if kind == "custom" else "arguments"
        # Some servers number no calls; then each piece is a call.
        index = piece.get("index")
        index = len(self.calls) if index is None else index
        call = self.calls.setdefault(
            index, {"id": f"call_{index}", "type": kind, kind: {"name": "", given: ""}}
        )
        call["id"] = text_or(piece.get("id"), call["id"])
        inside = piece.get(kind) or {}
        call[kind]["name"] = text_or(inside.get("name"), call[kind]["name"])
        call[kind][given] += text_or(inside.get(given), "")


def deltas_of(output: Output) -> Iterator[Delta]:
    """Give a whole answer as deltas, for an upstream that does not stream."""
    for name, text in (
        ("reasoning_content", reasoning_text(output)),
        ("content", output_text(output)),
        ("refusal", refusal_text(output)),
    ):
        if text:
            yield {name: text}
    yield from call_deltas(chat_calls(output))


def call_deltas(calls: Iterable[Mapping[str, Any]]) -> Iterator[Delta]:
    """Give the calls of tools, each whole in one delta."""
    for index, call in enumerate(calls):
        yield {"tool_calls": [{"index": index, **call}]}
