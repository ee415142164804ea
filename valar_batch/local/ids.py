"""Ids of records: derived from what was sent, so that the same POSTs give the same ids anywhere."""

from __future__ import annotations

import hashlib
import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from valar_batch.core import rules

if TYPE_CHECKING:
    from collections.abc import Mapping

RESPONSES, CHAT, MESSAGES = rules.RESPONSES.path, rules.CHAT.path, rules.MESSAGES.path
PREFIXES: Mapping[str, str] = MappingProxyType(
    {RESPONSES: "resp_", CHAT: "chatcmpl-", MESSAGES: "msg_"}
)
"""What the ids of single requests begin with, by their endpoint."""
BATCH_PREFIX = "batch_"
PREFIX_END = re.compile("[_-]")

ITEM = re.compile(r"resp_([0-9a-f]{24})([0-9a-f]{6})")
"""The response id of a batch item: the digits of its batch, and its place there from 0."""


def derived_id(prefix: str, digest: bytes, before: int) -> str:
    """Give a record's id: from what was sent, and how often the same was sent before."""
    place = digest + before.to_bytes(8)
    return prefix + hashlib.blake2b(place, digest_size=12).hexdigest()


def digits_of(record_id: str) -> str:
    """Give an id without what it begins with."""
    return PREFIX_END.split(record_id, maxsplit=1)[-1]


def item_response_id(batch_id: str, place: int) -> str:
    """Give the response id of a batch item; places count from 0."""
    return f"resp_{batch_id.removeprefix(BATCH_PREFIX)}{place:06x}"


def item_of(response_id: str) -> tuple[str, int] | None:
    """Give the batch and the place of an item by its response id; None for any other id."""
    found = ITEM.fullmatch(response_id)
    return found and (BATCH_PREFIX + found[1], int(found[2], 16))
