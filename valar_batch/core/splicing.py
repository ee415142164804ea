"""Params around what varies: all else is written once, and the texts of rows are put into it."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import orjson

from valar_batch.core.template import SLOT, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from valar_batch.core.template import Template


class Skeleton:
    """Params in pieces: `head`, the system text's slot, `after_system`, the user's slot, `tail`.

    Without `has_system` there is only the user's slot. `instructions` lead the messages.
    """

    def __init__(
        self,
        fields: Mapping[str, Any],
        instructions: str | None,
        *,
        has_system: bool,
        has_images: bool,
    ) -> None:
        model = {"model": fields["model"]} if "model" in fields else {}
        user: Any = SLOT
        if has_system or instructions or has_images:
            user = [{"role": "user", "content": SLOT}]
        if has_system:
            user.insert(0, {"role": "system", "content": SLOT})
        if instructions:
            user.insert(0, {"role": "system", "content": instructions})
        written = json_text({**model, "input": user, **fields}).encode()
        self.head, *middle, self.tail = written.split(orjson.dumps(SLOT))
        self.after_system = middle[0] if middle else b""
        self.size = len(written)

    def lead(self, system: str | None) -> bytes:
        """Write what comes before the user's slot."""
        if system is None:
            return self.head
        return self.head + orjson.dumps(system) + self.after_system

    def all(
        self, rows: Sequence[Mapping[str, Any]], prompt: Template | None, system: Template | None
    ) -> list[bytes] | None:
        """Write the params of rows at once; None where one of them needs a look of its own.

        Without a `prompt`, the column of that name is the text.
        """
        texts: list[Any] | None
        texts = [row.get("prompt") for row in rows] if prompt is None else prompt.render_all(rows)
        if texts is None or set(map(type, texts)) != {str} or not all(texts):
            return None
        leads: Iterable[bytes] = repeat(self.head)
        if system is not None:
            systems = system.render_all(rows)
            if systems is None:
                return None
            leads = map(self.lead, systems)
        return list(map(b"".join, zip(leads, map(orjson.dumps, texts), repeat(self.tail))))
