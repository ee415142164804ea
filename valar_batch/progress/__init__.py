"""Reporters: bars on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

from valar_batch.errors import UsageError
from valar_batch.flow.events import silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valar_batch.flow.events import Reporter

_terminal = threading.Lock()
"""Held by the bars that Python has on the terminal: they are drawn for one call at a time."""


@contextlib.contextmanager
def reporting(progress: str, *, quiet: bool) -> Iterator[Reporter]:
    """Give the reporter for `--progress` and `--quiet`."""
    if progress not in ("auto", "bar", "plain"):
        raise UsageError(f"--progress is auto, bar or plain, not {progress!r}")
    if progress == "auto":
        progress = "bar" if on_terminal() else "plain"
    with shown("none" if quiet else progress) as report:
        yield report


@contextlib.contextmanager
def displaying(progress: str | None) -> Iterator[Reporter]:
    """Give the reporter for a call from Python; it is as quiet as a library where nobody looks.

    `auto` is bars in a notebook and on a terminal, and nothing elsewhere; None is nothing.
    """
    if progress not in ("auto", "bar", "plain", "none", None):
        raise UsageError(f"progress is auto, bar, plain or none, not {progress!r}")
    with contextlib.ExitStack() as stack:
        kind = progress or "none"
        if kind in ("auto", "bar") and in_notebook():
            kind = "notebook"
        elif kind == "auto":
            kind = "none"
            if on_terminal() and _terminal.acquire(blocking=False):
                stack.callback(_terminal.release)
                kind = "bar"
        yield stack.enter_context(shown(kind))


@contextlib.contextmanager
def shown(kind: str) -> Iterator[Reporter]:
    """Give the reporter of a kind: bar, notebook, plain or none."""
    if kind == "bar":
        from valar_batch.progress.terminal import Bars

        with Bars() as bars:
            yield bars
    elif kind == "notebook":
        from valar_batch.progress.notebook import NotebookBars

        with NotebookBars() as notebook_bars:
            yield notebook_bars
    elif kind == "plain":
        from valar_batch.progress.terminal import PlainLines

        lines = PlainLines()
        yield lines
        lines.finish()
    else:
        yield silent


def on_terminal() -> bool:
    """Whether somebody looks at standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which shows rich output."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython and ipython.get_ipython(), "kernel", None) is not None
