"""Times the work of a contender in its own process; imports and what else comes first stay outside.

What it prints, one line of JSON, is what the harness reads.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def cpu_seconds() -> float:
    """CPU time of this process so far, with its threads and the processes that it waited for."""
    usages = (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@contextmanager
def timed(items: int) -> Iterator[dict[str, Any]]:
    """Time a block that works through `items`; what it puts into the dict is for checks."""
    facts: dict[str, Any] = {}
    began, cpu = time.perf_counter(), cpu_seconds()
    yield facts
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    told = {"items": items, "seconds": seconds, "cpu": cpu, "facts": facts, **peak()}
    print(json.dumps(told), flush=True)


def peak() -> dict[str, float]:
    """The most memory that this process ever held, in MB; nothing where /proc does not say it."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return {}
    return {"peak": int(found[1]) / 1024} if found else {}
