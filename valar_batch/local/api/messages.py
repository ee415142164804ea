"""Messages: a response object in this surface's shape, pure.

Source: API reference, Messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.outcome import output_text
from valar_batch.core.translation.translate import from_messages
from valar_batch.local.api.chat import refusal_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def message_params(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give the params of the response that answers a message which has passed every check.

    Tools are taken and ignored: the model never sees them.
    """
    seen = {name: value for name, value in body.items() if name not in ("tools", "tool_choice")}
    return from_messages(seen).params


def message(response: Mapping[str, Any], record_id: str) -> dict[str, Any]:
    """Give the message of a completed response: exactly one text block, and always `end_turn`."""
    usage = response["usage"]
    output = response["output"]
    return {
        "id": record_id,
        "type": "message",
        "role": "assistant",
        "model": response["model"],
        "content": [{"type": "text", "text": output_text(output) or refusal_text(output) or ""}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage["input_tokens"],
            "output_tokens": usage["output_tokens"],
        },
    }
