"""Bodies of other APIs as Responses params: OpenAI's two, and Anthropic's Messages.

A field that is null, or that says what would be so without it (`n: 1`, `logprobs: false`), means
nothing and is left out. What has no counterpart is a problem under its own name. What no answer
depends on (`stream`, `store: false`, what is told to a cache) is left out, and `repairs` says so.
What is translated is not checked: `check_params` does that with the params.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valar_batch.core.translation.bodies import is_default, translated
from valar_batch.core.translation.chat import CHAT, CHAT_DEFAULTS, CHAT_HINTS
from valar_batch.core.translation.message_items import system_message
from valar_batch.core.translation.messages import (
    MESSAGES,
    MESSAGES_DEFAULTS,
    MESSAGES_HINTS,
    led_by,
)
from valar_batch.core.translation.repairs import Repairing
from valar_batch.core.translation.rewriting import Translation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Translation", "from_chat", "from_messages", "from_responses"]


def from_chat(body: Mapping[str, Any]) -> Translation:
    """Translate the body of a Chat Completion."""
    return translated(body, CHAT, CHAT_DEFAULTS, CHAT_HINTS)


def from_messages(body: Mapping[str, Any]) -> Translation:
    """Translate the body of a Message."""
    handlers = {**MESSAGES, "messages": led_by(system_message(body.get("system")))}
    return translated(body, handlers, MESSAGES_DEFAULTS, MESSAGES_HINTS)


def from_responses(body: Mapping[str, Any]) -> Translation:
    """Translate the body of OpenAI's Responses API: what is only OpenAI's way of saying it."""
    repairing = Repairing(
        {
            name: value
            for name, value in body.items()
            if not is_default(RESPONSES_DEFAULTS, name, value)
        }
    )
    repairing.drop_nulls()
    repairing.drop_default_verbosity()
    repairing.drop_unneeded()
    repairing.drop_ways_of_answering()
    repairing.rewrite_input()
    repairing.lead_by_instructions()
    return repairing.translation()


RESPONSES_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "instructions": ("",),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "stream": (False,),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
}
"""What fields of OpenAI's Responses say that would be so without them."""
