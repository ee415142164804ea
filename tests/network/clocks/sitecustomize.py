"""Lets a test set the clocks of a command: a file named by CLOCKS holds two numbers of seconds.

The first is added to the time of day, the second to the clock that goes on while a machine sleeps.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

PLACE = Path(os.environ["CLOCKS"])
real_time, real_gettime = time.time, time.clock_gettime


def shifts() -> tuple[float, float]:
    """Read what the test wants at this moment."""
    try:
        wall, slept = PLACE.read_text().split()
    except FileNotFoundError:
        return 0.0, 0.0
    return float(wall), float(slept)


time.time = lambda: real_time() + shifts()[0]
time.clock_gettime = lambda clock: (
    real_gettime(clock) + (shifts()[1] if clock == time.CLOCK_BOOTTIME else 0.0)
)
