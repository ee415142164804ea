"""What it costs to wait for 100 batches of 100,000 requests each."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import PYTHON, ROOT, script
from benchmarks.inputs import MODEL
from benchmarks.origin import Origin, await_port, certificate, free_port
from benchmarks.report import Figures, Goal, number
from benchmarks.status_origin import CHANGING, STILL, TAGGED, custom_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Bench

TITLE = "Polling"
REQUESTS, BATCHES = 100_000, 100
MOST_PERCENT = 2.0
VALAR = (PYTHON, "-m", "valar_batch")
HEADER = (
    "", "polls a minute", "each batch every, s", "MB a minute", "CPU, % of a core",
    "CPU ms a poll", "first look, CPU s", "resident MB",
)  # fmt: skip
NOTE = (
    "A window of the whole `fetch` command, after its first look at all batches; over TLS. MB are "
    "those of bodies, as they are on the wire."
)
KINDS = {
    (CHANGING, True): "every status is another, gzip",
    (CHANGING, False): "every status is another",
    (STILL, True): "nothing changes, gzip",
    (TAGGED, True): "nothing changes, ETag",
}


def measure(bench: Bench) -> Iterator[Figures]:
    """Let `fetch` wait, and read what its process used in a window of time."""
    if not Path("/proc/self/stat").exists():
        print("poll is left out: it reads /proc", file=sys.stderr)
        return
    run = make_run(bench.folder)
    shown = KINDS if bench.full else list(KINDS)[:1]
    waits = {KINDS[kind]: wait(bench, run, kind[0], is_zipped=kind[1]) for kind in shown}
    yield Figures(
        f"Waiting for {BATCHES} batches of {REQUESTS:,} requests",
        HEADER,
        [[name, *one.cells()] for name, one in waits.items()],
        notes=[NOTE],
        goals=[Goal("CPU of polling", max(one.percent for one in waits.values()), MOST_PERCENT,
                    at_most=True, unit="%")],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wait:
    """What was counted in a window of `seconds`."""

    seconds: float
    polls: int
    bytes: int
    cpu: float
    first_cpu: float
    resident: float

    @property
    def percent(self) -> float:
        """CPU time, of what a core has."""
        return 100 * self.cpu / self.seconds

    def cells(self) -> list[str]:
        """Lay it out."""
        minute = 60 / self.seconds
        figures = [self.polls * minute, BATCHES * self.seconds / max(1, self.polls)]
        figures += [self.bytes * minute / 1e6, self.percent]
        figures += [1e3 * self.cpu / max(1, self.polls), self.first_cpu, self.resident]
        return [number(figure) for figure in figures]


def wait(bench: Bench, run: str, kind: str, *, is_zipped: bool) -> Wait:
    """Start `fetch`, and watch it once it has asked for every batch."""
    with (
        serving(bench.folder, kind, is_zipped=is_zipped) as origin,
        fetching(bench.folder, run, origin) as pid,
    ):
        while figures(origin)["polls"] < BATCHES:
            time.sleep(0.5)
        time.sleep(2)
        first_cpu, before, began = cpu_of(pid), figures(origin), time.perf_counter()
        time.sleep(bench.pick(20, 120))
        cpu, after, seconds = cpu_of(pid), figures(origin), time.perf_counter() - began
        return Wait(
            seconds,
            after["polls"] - before["polls"],
            after["bytes"] - before["bytes"],
            cpu - first_cpu,
            first_cpu,
            resident_of(pid),
        )


def make_run(folder: Path) -> str:
    """Send one batch with `submit`, and make many of it; gives the run."""
    rows = folder / "rows.jsonl"
    with rows.open("w") as file:
        file.writelines(f'{{"id":"{name}","text":"short"}}\n' for name in custom_ids(REQUESTS))
    with serving(folder, STILL, is_zipped=False) as origin:
        sent = subprocess.run(  # noqa: S603 - our own command
            [*VALAR, "submit", rows, "--model", MODEL, "--prompt", "{{ text }}", "--id", "id"],
            env=environment(folder, origin), cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
    run = sent.stdout.strip()
    path = folder / "home" / "runs" / run
    subprocess.run(script("ours.many_batches", path, BATCHES), cwd=ROOT, check=True)  # noqa: S603
    return run


def environment(folder: Path, origin: Origin) -> dict[str, str]:
    """The environment of a command that speaks to the origin."""
    return {
        **os.environ,
        "VALAR_BATCH_HOME": str(folder / "home"),
        "VALAR_API_KEY": "the-key",
        "VALAR_BASE_URL": origin.base_url,
        "SSL_CERT_FILE": str(origin.authority),
    }


@contextlib.contextmanager
def serving(folder: Path, kind: str, *, is_zipped: bool) -> Iterator[Origin]:
    """Serve statuses until the context ends; always at one port, which a run remembers."""
    kept = folder / "port"
    if not kept.exists():
        kept.write_text(str(free_port()))
    port, authority = int(kept.read_text()), certificate(folder)
    options: list[Any] = ["--port", port, "--certificate", authority, "--requests", REQUESTS]
    options += ["--kind", kind, *["--zipped"] * is_zipped]
    server = subprocess.Popen(script("status_origin", *options), cwd=ROOT)  # noqa: S603
    try:
        await_port(port, server)
        yield Origin(f"https://localhost:{port}/v1", authority)
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def fetching(folder: Path, run: str, origin: Origin) -> Iterator[int]:
    """Let `fetch` wait for a run until the context ends; gives its process."""
    with subprocess.Popen(  # noqa: S603 - our own command
        [*VALAR, "fetch", run, "--to", folder / "out.jsonl"],
        env=environment(folder, origin), cwd=ROOT, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            yield process.pid
        finally:
            process.kill()


def figures(origin: Origin) -> dict[str, int]:
    """Ask the origin what it counted."""
    trusting = ssl.create_default_context(cafile=origin.authority)
    with urllib.request.urlopen(f"{origin.base_url}/figures", context=trusting) as answer:  # noqa: S310
        found: dict[str, int] = json.load(answer)
    return found


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_of(pid: int) -> float:
    """The memory that a process holds, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2
