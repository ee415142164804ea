"""Rehearsal answers: request params to a response object, pure and always the same.

The text is marked and never looks like a real label. Source of the shape: API reference,
Responses, the response object.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valar_batch.core.prices import BYTES_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MARK = "[rehearsal] "
MOST_WORDS = 16
MOST_ECHO = 200
"""Characters of the prompt that an answer repeats at most."""

ECHOED: Mapping[str, Any] = {
    "background": False,
    "max_output_tokens": None,
    "parallel_tool_calls": False,
    "reasoning": {},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""The settings that a response object repeats, each with its default."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer; `cut` says that max_output_tokens ended it."""

    text: str
    text_tokens: int
    reasoning_tokens: int
    cut: bool


def item_response_id(batch_id: str, custom_id: str) -> str:
    """Give the response id of a batch item."""
    digest = hashlib.blake2b(f"{batch_id}/{custom_id}".encode(), digest_size=12)
    return f"resp_{digest.hexdigest()}"


def response_object(
    params: Mapping[str, Any], params_hash: bytes, *, response_id: str, created_at: int, status: str
) -> dict[str, Any]:
    """Give the response object of a request in `status`: running, completed or failed.

    `params` have passed validation; `created_at` is Unix time in seconds. Only a completed
    response has an output and a usage that is not zero.
    """
    output = error = incomplete = None
    spent = usage(0, 0, 0, 0)
    if status == "completed":
        answer = rehearse(params, params_hash)
        output = output_items(answer, response_id, with_logprobs=wants_logprobs(params))
        incomplete = {"reason": "max_output_tokens"} if answer.cut else None
        tokens = input_tokens(params["input"])
        spent = usage(tokens, cached_tokens(tokens, params_hash), *output_tokens(answer))
    elif status == "failed":
        error = {
            "message": f"{MARK}this request was drawn to fail, as a share of them should",
            "code": "rehearsal_failure",
        }
    settings = {
        name: default if params.get(name) is None else params[name]
        for name, default in ECHOED.items()
    }
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "status": status,
        "model": params["model"],
        "metadata": params.get("metadata") or {},
        "output": output,
        "usage": spent,
        "error": error,
        "incomplete_details": incomplete,
        **settings,
    }


def rehearse(params: Mapping[str, Any], params_hash: bytes) -> Answer:
    """Write the answer: the mark and the first few words of the last user text.

    Under a small `max_output_tokens` the reasoning gives way down to half of it, then the text is
    cut.
    """
    draw = int.from_bytes(params_hash[8:12])
    words = last_user_text(params["input"]).split(None, MOST_WORDS)
    echo = " ".join(words[: MOST_WORDS // 4 + draw % (MOST_WORDS * 3 // 4)])[:MOST_ECHO]
    text = f"{MARK}an answer would stand here, to: {echo}"
    tokens = token_count(text)
    reasoning = 16 + draw // MOST_WORDS % 240
    most = params.get("max_output_tokens")
    if most is None:
        return Answer(text, tokens, reasoning, cut=False)
    reasoning = min(reasoning, max(most // 2, most - tokens))
    room = most - reasoning
    return Answer(text[: room * BYTES_PER_TOKEN], min(tokens, room), reasoning, cut=tokens > room)


def output_items(answer: Answer, response_id: str, *, with_logprobs: bool) -> list[dict[str, Any]]:
    """Give the output array: an empty reasoning item, and the message."""
    suffix = response_id.removeprefix("resp_")
    part: dict[str, Any] = {"type": "output_text", "text": answer.text, "annotations": []}
    if with_logprobs:
        part["logprobs"] = [
            {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}
            for token in split_tokens(answer.text)
        ]
    return [
        {"id": f"rs_{suffix}", "type": "reasoning", "summary": []},
        {
            "id": f"msg_{suffix}",
            "type": "message",
            "status": "incomplete" if answer.cut else "completed",
            "role": "assistant",
            "content": [part],
        },
    ]


def wants_logprobs(params: Mapping[str, Any]) -> bool:
    """Whether the request asks for one logprob per output token."""
    return "message.output_text.logprobs" in (params.get("include") or ())


def usage(read: int, cached: int, written: int, reasoning: int) -> dict[str, Any]:
    """Give the usage object; both details carry both counts, as the contract has them."""
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached, "reasoning_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"cached_tokens": 0, "reasoning_tokens": reasoning},
        "total_tokens": read + written,
    }


def output_tokens(answer: Answer) -> tuple[int, int]:
    """Give the output tokens, reasoning among them, and the reasoning tokens."""
    return answer.text_tokens + answer.reasoning_tokens, answer.reasoning_tokens


def cached_tokens(tokens: int, params_hash: bytes) -> int:
    """Give the cached part of the input: half of it, for every third request."""
    return 0 if params_hash[12] % 3 else tokens // 2


def input_tokens(source: Any) -> int:
    """Estimate the tokens of `input` from the bytes of its texts."""
    size = sum(len(text.encode()) for _, text in texts(source))
    return max(1, -(-size // BYTES_PER_TOKEN))


def token_count(text: str) -> int:
    """Count the tokens of an answer, a few characters each."""
    return -(-len(text) // BYTES_PER_TOKEN)


def split_tokens(text: str) -> list[str]:
    """Cut an answer into its tokens."""
    return [text[at : at + BYTES_PER_TOKEN] for at in range(0, len(text), BYTES_PER_TOKEN)]


def last_user_text(source: Any) -> str:
    """Give the last text that a user wrote in `input`, or the last text of all, or nothing."""
    last = ""
    user = None
    for role, text in texts(source):
        last = text
        user = text if role == "user" else user
    return last if user is None else user


def texts(source: Any) -> Iterator[tuple[str, str]]:
    """Walk the texts of `input`, in any of its three shapes, each with its role."""
    if isinstance(source, str):
        yield "user", source
        return
    for item in source["messages"] if isinstance(source, dict) else source:
        role = item.get("role") or ""
        for content in (item.get("content"), item.get("output"), item.get("arguments")):
            if isinstance(content, str):
                yield role, content
            elif isinstance(content, list):
                for part in content:
                    if isinstance(part, dict) and isinstance(part.get("text"), str):
                        yield role, part["text"]
