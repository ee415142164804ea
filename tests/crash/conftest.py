"""Stages for the crash tests; what they had started ends with them."""

from __future__ import annotations

import pytest

from tests.crash.figures import FIGURES
from tests.crash.harness import KILLS, SEED, WORKS, Stage
from tests.crash.works import COURSES


@pytest.fixture
def stages(tmp_path, record_property):
    """Make stages; what is done on them goes into the figures."""
    made: list[Stage] = []
    figures = dict.fromkeys(FIGURES, 0)
    record_property("crash", figures)
    print(f"SEED={SEED}")  # noqa: T201 - shown where a test fails

    def make(course: str, works: int) -> Stage:
        made.append(Stage(tmp_path, COURSES[course], figures, WORKS if KILLS else works))
        return made[-1]

    yield make
    for stage in made:
        if stage.valar.process.poll() is None:
            stage.valar.stop()
