"""How deeply JSON may be nested: the same on every Python, and within what all steps can take."""

from __future__ import annotations

import re
from itertools import accumulate

DEEPEST = 200
"""Levels of arrays and objects. Decoders and encoders give up between 254 and 1,000 of them, at a
depth that depends on who calls them."""

STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
OTHERS = bytes(byte for byte in range(256) if byte not in STEPS)


def is_too_deep(text: bytes) -> bool:
    """Whether JSON is nested more deeply than it may be; nearly all is told by a count."""
    if len(text) <= DEEPEST or text.count(b"[") + text.count(b"{") <= DEEPEST:
        return False
    steps = map(STEPS.__getitem__, without_strings(text).translate(None, OTHERS))
    return any(depth > DEEPEST for depth in accumulate(steps))


def without_strings(text: bytes) -> bytes:
    """Give JSON without its strings."""
    return STRINGS.sub(b"", text)
