"""What is shown of a run's progress, and where."""

from __future__ import annotations

import pytest

from valar_batch.errors import UsageError
from valar_batch.events import Collecting, Notice, Preparing, Sending, Waiting, Writing
from valar_batch.flow.events import silent
from valar_batch.progress import displaying
from valar_batch.progress.notebook import STYLE, as_html, as_text, bar_lines
from valar_batch.progress.steps import Step, describe, steps_of

STEPS = [
    Step("preparing", 1200, None, "3 rows with problems", is_rated=True),
    Step("sending", 2, 2, "70.8 kB of 70.8 kB"),
    Step("settling", 1197, 1197),
    Step("fetching", 300, 1197, "2 <failed>", is_rated=True),
    Step("writing", 0, 0, is_rated=True),
]

TEXT = """\
preparing ━━━━━━━━━━━━━━━━━━━━━━━━━━━━           1,200  3 rows with problems
sending   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━          2 of 2  70.8 kB of 70.8 kB
settling  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━  1,197 of 1,197
fetching  ━━━━━━━─────────────────────    300 of 1,197  2 <failed>
writing   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━          0 of 0
a notice & more"""


def test_bars_as_text_and_as_html() -> None:
    """The bars of a notebook: one text, whose HTML only adds where a bar is faint."""
    lines, texts = bar_lines(STEPS), ["a notice & more"]
    assert as_text(lines, texts) == TEXT
    html = as_html(lines, texts)
    inner = html.removeprefix(f'<pre style="{STYLE}">').removesuffix("</pre>")
    plain = inner.replace('<span style="opacity:.3">', "").replace("</span>", "")
    assert plain == TEXT.replace("&", "&amp;").replace("<failed>", "&lt;failed&gt;")
    assert inner.count('<span style="opacity:.3">─') == 1


@pytest.mark.parametrize(
    ("event", "steps"),
    [
        (Preparing(7, 6, 1), [Step("preparing", 7, None, "1 row with problems", is_rated=True)]),
        (Sending(2, 1, 2000, 3000), [Step("sending", 1, 2, "2.0 kB of 2.0 kB")]),
        (
            Collecting(9, 8, 7, {"completed": 5, "failed": 2}, 1234, 16),
            [
                Step("settling", 8, 9),
                Step("fetching", 7, 9, "2 failed, 1,234 tokens", is_rated=True),
            ],
        ),
        (Writing(9, 4), [Step("writing", 4, 9, is_rated=True)]),
        (Notice("x"), []),
        (Waiting("GET /x", 3.2, "503"), []),
    ],
)
def test_which_steps_an_event_moves(event, steps) -> None:
    """Bars and lines say the same of an event; what is no step is a line only."""
    assert steps_of(event) == steps
    assert describe(event)


def test_nothing_is_shown_where_nobody_looks(capfd) -> None:
    """Off a terminal and out of a notebook, a library is quiet unless it is asked."""
    for progress in ("auto", "none", None):
        with displaying(progress) as report:
            assert report is silent
    with displaying("plain") as report:
        report(Writing(2, 2))
    with pytest.raises(UsageError, match="not 'loud'"), displaying("loud"):
        pass
    assert capfd.readouterr() == ("", "written 2 of 2 rows\n")
