"""Kills its own process with SIGKILL just before a step on the disk or to the network.

A step is what Python's audit events tell of: a file below CRASH_UNDER that is opened to be written
or synced, made, renamed or removed, or a connection that is begun. CRASH_STEPS names a file that
lists them as they come; CRASH_AT, a number and a pattern, says before which of the steps that fit
the process dies.
"""

import os
import re
import signal
import sys

EVENTS = {
    "open": "write",
    "os.mkdir": "make",
    "os.rename": "rename",
    "os.remove": "remove",
    "os.rmdir": "remove",
    "os.truncate": "truncate",
    "socket.connect": "connect",
}
WRITING = os.O_WRONLY | os.O_RDWR


def watch(under: str, listing: int, number: int, pattern: re.Pattern[str]) -> None:
    """List each step, and die before one of them."""
    left = number

    def hook(event: str, given: tuple[object, ...]) -> None:
        nonlocal left
        if event not in EVENTS or (event == "open" and not given[2] & WRITING):
            return
        place = str(given[event in ("os.rename", "socket.connect")])
        if event != "socket.connect" and not place.startswith(under):
            return
        step = f"{EVENTS[event]} {place.removeprefix(under)}"
        os.write(listing, f"{step}\n".encode())
        if pattern.search(step):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if "CRASH_STEPS" in os.environ:
    count, _, what = os.environ["CRASH_AT"].partition(" ")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    listing = os.open(os.environ["CRASH_STEPS"], flags, 0o600)
    watch(os.environ["CRASH_UNDER"], listing, int(count), re.compile(what))
