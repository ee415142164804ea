"""The console for whatever people read: foreign text is shown on it and never obeyed."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from valar_batch.wording import visible


class Screen(Console):
    """A console on which text is neither markup nor a command to the terminal."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(highlight=False, markup=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """Make text ready for the screen: every line and every cell of a table comes by here."""
        return super().render_str(visible(text), **settings)
