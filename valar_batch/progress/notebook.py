"""Bars in a notebook: one output of the cell, changed in place; no widgets are needed."""

from __future__ import annotations

import html
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from valar_batch.flow.events import Notice, Waiting
from valar_batch.progress.steps import WIDTH, Step, describe, steps_of

if TYPE_CHECKING:
    from valar_batch.flow.events import Event

STYLE = (
    "margin:0;background:none;color:inherit;font-family:var(--jp-code-font-family,monospace);"
    "font-size:13px;line-height:1.4;white-space:pre-wrap;word-break:normal"
)

SECONDS = 0.2
"""Between two changes of what is shown."""


class NotebookBars:
    """A bar for each step, and what there is to say below them.

    What stays at the end holds no times, so the same run leaves the same output.
    """

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._began: dict[str, tuple[float, int]] = {}
        self._texts: list[str] = []
        self._waiting = ""
        self._display: Any = None
        self._at = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._began, self._waiting = {}, ""
            if self._steps or self._texts:
                self._show()

    def __call__(self, event: Event) -> None:
        """Take in the event, and show it if it is time for that."""
        with self._lock:
            now = time.monotonic()
            self._waiting = describe(event) if isinstance(event, Waiting) else ""
            if isinstance(event, Notice):
                self._texts.append(event.text)
            for step in steps_of(event):
                self._steps[step.name] = step
                self._began.setdefault(step.name, (now, step.done))
            if now - self._at >= SECONDS:
                self._at = now
                self._show()

    def _show(self) -> None:
        lines = bar_lines([self._timed(step) for step in self._steps.values()])
        texts = [*self._texts, self._waiting] if self._waiting else self._texts
        bundle = {"text/plain": as_text(lines, texts), "text/html": as_html(lines, texts)}
        if self._display is None:
            import IPython.display

            display: Any = IPython.display.display
            self._display = display(bundle, raw=True, display_id=True)
        else:
            self._display.update(bundle, raw=True)

    def _timed(self, step: Step) -> Step:
        """Add the time that is left, while that can be known."""
        began, first = self._began.get(step.name, (0.0, step.done))
        if not step.is_rated or step.total is None or not first < step.done < step.total:
            return step
        seconds = (time.monotonic() - began) * (step.total - step.done) / (step.done - first)
        left = f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
        return replace(step, detail=", ".join(filter(None, (step.detail, left))))


class BarLine(NamedTuple):
    """A step as text: before the bar, its two parts, after the bar."""

    before: str
    done: str
    rest: str
    after: str


def bar_lines(steps: list[Step]) -> list[BarLine]:
    """Draw steps below one another. One without a known end is drawn whole: it has counts only."""
    counts = [f"{s.done:,}" if s.total is None else f"{s.done:,} of {s.total:,}" for s in steps]
    width = max(map(len, counts), default=0)
    lines = []
    for step, count in zip(steps, counts, strict=True):
        filled = WIDTH * step.done // step.total if step.total else WIDTH
        after = f"  {count:>{width}}  {step.detail}".rstrip()
        lines.append(BarLine(f"{step.name:<9} ", "━" * filled, "─" * (WIDTH - filled), after))
    return lines


def as_text(lines: list[BarLine], texts: list[str]) -> str:
    """Put the lines below one another, the texts below them."""
    return "\n".join([*map("".join, lines), *texts])


def as_html(lines: list[BarLine], texts: list[str]) -> str:
    """Give the same in the colours of the page around it, the rest of each bar faint."""
    written = [
        f'{before}{done}<span style="opacity:.3">{rest}</span>{html.escape(after)}'
        for before, done, rest, after in lines
    ]
    text = "\n".join([*written, *map(html.escape, texts)])
    return f'<pre style="{STYLE}">{text}</pre>'
