"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path


def describe() -> str:
    """Name the processor, its cores, the memory, the system, Python, and the day."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return (
        f"{time.strftime('%Y-%m-%d')}: {processor()}, {os.cpu_count()} cores, {memory:.0f} GB, "
        f"{system}, {python}."
    )


def processor() -> str:
    """Name the processor."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
