"""The tables of the benchmarks say what was measured; a page keeps what was not measured anew."""

from __future__ import annotations

import pytest

from benchmarks.harness import PYTHON, Contender, Sample, compare, ratio
from benchmarks.report import Comparison, Figures, Goal, as_text, fill, number, write_page

TIMED = "from benchmarks.timed import timed\nwith timed({}) as facts: facts['sum'] = sum(range({}))"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567.8, "1,234,568"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.1234, "0.12"),
        (0.01234, "0.012"),
        (-12.34, "-12.3"),
    ],
)
def test_numbers_have_three_digits_that_say_something(value, text) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("goal", "cells"),
    [
        (Goal("speed", 2.5, 2), ["speed", "≥ 2.00 ×", "2.50 ×", "reached"]),
        (Goal("speed", 1.5, 2), ["speed", "≥ 2.00 ×", "1.50 ×", "**not reached**"]),
        (
            Goal("peak", 300, 400, at_most=True, unit="MB"),
            ["peak", "≤ 400 MB", "300 MB", "reached"],
        ),
        (
            Goal("peak", 401, 400, at_most=True, unit="MB"),
            ["peak", "≤ 400 MB", "401 MB", "**not reached**"],
        ),
        (Goal("speed", None, 2), ["speed", "≥ 2.00 ×", "", "not measured"]),
    ],
    ids=["reached", "missed", "below", "above", "unmeasured"],
)
def test_goals_say_whether_they_are_reached(goal, cells) -> None:
    assert goal.cells() == cells


def sample(rate: float, peak: float = 10.0) -> Sample:
    return Sample(items=100, seconds=100 / rate, cpu=0.001, peak=peak, facts={})


def test_a_comparison_shows_medians_and_how_far_the_rounds_lie_apart() -> None:
    samples = {"ours": [sample(10), sample(20), sample(12)], "theirs": [sample(3)] * 3}
    figures = Comparison("Reading", "rows", samples, "ours", notes=["A note."]).figures()
    assert as_text(figures).splitlines() == [
        "Reading",
        "          rows/s  spread  ours : it  CPU µs each  peak MB",
        "  ours      12.0     83%       1.00         10.0     10.0",
        "  theirs    3.00      0%       4.00         10.0     10.0",
        "  A note.",
    ]


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    samples = {"ours": [sample(10), sample(30), sample(20)], "theirs": [sample(10)] * 3}
    assert ratio(samples, "ours", "theirs") == pytest.approx(2.0)
    assert ratio(samples, "ours", "absent") is None


def test_contenders_run_in_turn_and_are_checked(capfd) -> None:
    seen = []
    contenders = [
        Contender(
            name,
            [PYTHON, "-c", TIMED.format(7, limit)],
            before=lambda name=name: seen.append(name),
            check=lambda done: seen.append(done.facts["sum"]),
        )
        for name, limit in (("a", 3), ("b", 5))
    ]
    contenders.append(Contender("c", ["never"], needs=["no-such-program", "json"]))
    samples = compare(contenders, rounds=2)
    assert seen == ["a", 3, "b", 10, "b", 10, "a", 3]
    assert {name: [one.items for one in found] for name, found in samples.items()} == {
        "a": [7, 7],
        "b": [7, 7],
    }
    assert all(one.seconds > 0 and one.peak > 1 for found in samples.values() for one in found)
    assert "c is left out: no no-such-program\n" in capfd.readouterr().err


def test_a_contender_that_fails_says_why() -> None:
    with pytest.raises(SystemExit, match=r"(?s)a ended with 1:\n.*ZeroDivisionError"):
        compare([Contender("a", [PYTHON, "-c", "1 / 0"])], rounds=1)


PAGE = """# Page
<!-- goals -->
<!-- /goals -->
<!-- fetch -->
old
<!-- /fetch -->
<!-- join -->
kept
<!-- /join -->
"""


def test_a_page_keeps_what_was_not_measured_anew(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    for work, reached in (("join", 3.0), ("fetch", 1.0), ("fetch", 2.5)):
        goals = [Goal(f"{work} | fast", reached, 2.0)]
        tables = [Figures("T", ["", "n"], [["a", "1"]], goals=goals)]
        write_page(page, work, work.title(), tables, f"measure {work}")
    text = page.read_text()
    goals = text.partition("<!-- goals -->\n")[2].partition("<!-- /goals -->")[0]
    assert goals.splitlines()[2:] == [
        "| Join | join \\| fast | ≥ 2.00 × | 3.00 × | reached |",
        "| Fetch | fetch \\| fast | ≥ 2.00 × | 2.50 × | reached |",
    ]
    assert text.count("| a | 1 |") == 2
    assert "Command: `measure fetch`." in text
    assert "old" not in text


def test_a_page_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for 'poll'"):
        fill(PAGE, "poll", "text")
