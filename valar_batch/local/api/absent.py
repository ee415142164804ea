"""What the API does not have: a 404 for every other call, saying what there is instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valar_batch.local.refusals import not_found

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from valar_batch.errors import NotFound

OFFERED = (
    "GET /v1/models, POST /v1/responses, GET /v1/responses/ID, POST /v1/chat/completions, "
    "POST /v1/messages, POST and GET /v1/batches, GET /v1/batches/ID, GET /v1/batches/ID/CUSTOM_ID"
)


def absent(method: str, path: str, segments: Sequence[str], offered: Collection[str]) -> NotFound:
    """Give the refusal of a call that is not there; `offered` are the methods of its path."""
    instead = hint_of(method, segments)
    if not instead:
        instead = f"the path takes {', '.join(offered)}" if offered else f"there is {OFFERED}"
    return not_found(f"there is no {method} {path}: {instead}")


def hint_of(method: str, segments: Sequence[str]) -> str:
    """Say what to do instead of a call that other APIs have, or nothing."""
    match segments:
        case ["", "v1", "chat", "completions", *_]:
            return "completions are not stored; only POST /v1/chat/completions is there"
        case ["", "v1", "messages", "count_tokens"]:
            return "token counts come back in usage"
        case ["", "v1", "messages", "batches", *_]:
            return "send batches of /v1/responses to POST /v1/batches"
        case ["", "v1", "batches" | "responses", _, "cancel"]:
            return "nothing can be cancelled"
        case ["", "v1", "batches" | "responses", _, *_] if method == "DELETE":
            return "nothing can be deleted"
    return ""
