"""What the crash harness did, as a table at the end of a session, also where workers shared it."""

from __future__ import annotations

import sys

FIGURES = (
    "kills",
    "servers",
    "restarts",
    "rows",
    "requests",
    "executions",
    "faults",
    "differences",
)
"""Processes killed, local Valars killed, commands given again; rows compared; requests that are to
be executed, retries among them, and those that were; faults that struck; outputs that differ."""


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the figures of each test that has some, and their sums."""
    found = {
        report.nodeid.rpartition("::")[2].removeprefix("test_"): properties["crash"]
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        and "crash" in (properties := dict(report.user_properties))
    }
    if not found:
        return
    found["all"] = {name: sum(one[name] for one in found.values()) for name in FIGURES}
    width = max(map(len, found))
    terminalreporter.section("crashes")
    terminalreporter.line(" ".join([" " * width, *(f"{name:>11}" for name in FIGURES)]))
    for name, figures in found.items():
        counts = " ".join(f"{figures[column]:>11,}" for column in FIGURES)
        terminalreporter.line(f"{name:<{width}} {counts}")
    terminalreporter.line(f"python -m pytest {' '.join(map(str, sys.argv[1:]))}")
