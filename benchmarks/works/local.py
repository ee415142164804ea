"""The local Valar: a rehearsal from start to end, and how fast it answers by itself."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.harness import PYTHON, Contender, compare, script
from benchmarks.inputs import MODEL, reviews, write_jsonl
from benchmarks.ours.rehearsal import server_cost
from benchmarks.report import Comparison, Figures, Goal, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.harness import Bench, Sample

TITLE = "The local Valar"
NAME = "run --local"
KEY = "any"
ROWS = 100_000
# wrk asks for the results one after the other, as the client does.
WRK_SCRIPT = """
local place = -1
function request()
  place = (place + 1) % {rows}
  local path = string.format("/v1/batches/{batch}/review-%08d", place)
  return wrk.format("GET", path, {{Authorization = "Bearer {key}"}})
end
"""


def measure(bench: Bench) -> Iterator[Comparison | Figures]:
    """Measure a rehearsal, then the server alone."""
    yield rehearsal(bench)
    if shutil.which("wrk"):
        yield served(bench)


def rehearsal(bench: Bench) -> Comparison:
    """Rehearse 100,000 reviews: prepared, sent, answered, fetched and joined to Parquet."""
    home, output = bench.folder / "home", bench.folder / "out.parquet"

    def anew() -> None:
        shutil.rmtree(home, ignore_errors=True)
        output.unlink(missing_ok=True)

    source = write_jsonl(bench.folder / "reviews.jsonl", ROWS)
    contender = Contender(
        NAME,
        script("ours.rehearsal", source, ROWS, output, "review"),
        before=anew,
        environment={"VALAR_BATCH_HOME": str(home)},
    )
    samples = compare([contender], 1 if not bench.full else min(3, bench.rounds))
    found = samples[NAME]
    seconds = statistics.median(sample.seconds for sample in found)
    goal = Goal(f"{ROWS:,} rows by {NAME}", seconds, 60, at_most=True, unit="s")
    note = (
        f"The client took {median_of(found, 'client_cpu'):.1f} s of CPU and "
        f"{median_of(found, 'peak'):.0f} MB, the server {median_of(found, 'server_cpu'):.1f} s and "
        f"{median_of(found, 'server_peak'):.0f} MB. CPU in the table is that of both."
    )
    return Comparison("A rehearsal", "rows", samples, NAME, [note], [goal])


def median_of(samples: Sequence[Sample], fact: str) -> float:
    """Give the median of a fact over the rounds."""
    return statistics.median(float(sample.facts[fact]) for sample in samples)


def served(bench: Bench) -> Figures:
    """Send one full batch, ask for its status, and let wrk ask for its results."""
    body = body_of(ROWS)
    with server(bench.folder / "served") as (pid, port):
        began, cpu = time.perf_counter(), server_cost(pid)[0]
        batch = json.loads(ask(port, "POST", "/v1/batches", body))["id"]
        posted = time.perf_counter() - began, server_cost(pid)[0] - cpu
        statuses = []
        cpu = server_cost(pid)[0]
        for _ in range(5):
            began = time.perf_counter()
            if ask(port, "GET", f"/v1/batches/{batch}").count(b"COMPLETED") != ROWS:
                raise SystemExit("the status does not name every request as completed")
            statuses.append(time.perf_counter() - began)
        status = statistics.median(statuses), (server_cost(pid)[0] - cpu) / len(statuses)
        lua = bench.folder / "results.lua"
        lua.write_text(WRK_SCRIPT.format(rows=ROWS, batch=batch, key=KEY))
        cpu = server_cost(pid)[0]
        got, rate = wrk(port, lua, bench.pick(5, 15))
        each = (server_cost(pid)[0] - cpu) / got
        _, peak = server_cost(pid)
    rows = [
        [f"POST of {ROWS:,} requests, {len(body) / 1e6:.0f} MB", *(f"{s:.2f} s" for s in posted)],
        [f"status of {ROWS:,} requests", *(f"{1e3 * s:.0f} ms" for s in status)],
        ["a result", f"{1e6 / rate:.0f} µs", f"{1e6 * each:.0f} µs"],
    ]
    rates = f"{number(rate)} results a second; a whole core of the server is {number(1 / each)}."
    notes = [f"wrk with 50 connections took {rates}", f"The server's peak is {number(peak)} MB."]
    return Figures("The server alone", ("", "time", "CPU of the server"), rows, notes)


@contextlib.contextmanager
def server(home: Path) -> Iterator[tuple[int, int]]:
    """Serve in a process of its own; give its id and its port."""
    command = [PYTHON, "-m", "valar_batch", "serve", "--port", "0", "--api-key", KEY]
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "VALAR_BATCH_HOME": str(home)},
    ) as process:
        try:
            for line in process.stderr or ():
                if found := re.search(r"VALAR_BASE_URL=.*:(\d+)/v1", line):
                    yield process.pid, int(found[1])
                    break
        finally:
            process.terminate()


def ask(port: int, method: str, path: str, body: bytes | None = None) -> bytes:
    """Call the server. Raises SystemExit for anything but a 200."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request(method, path, body, {"Authorization": f"Bearer {KEY}"})
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{method} {path} was answered with {answer.status}: {content[:300]!r}")
    return content


def body_of(rows: int) -> bytes:
    """Make the body of a batch, as the client sends it."""
    requests = [
        {"custom_id": row["id"], "params": {"model": MODEL, "input": row["review"]}}
        for row in reviews(rows)
    ]
    return json.dumps({"endpoint": "/v1/responses", "requests": requests}).encode()


def wrk(port: int, lua: Path, seconds: int) -> tuple[int, float]:
    """Let wrk ask; give how many results came, and how many a second."""
    command = ["wrk", "-t1", "-c50", f"-d{seconds}", "-s", str(lua), f"http://127.0.0.1:{port}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    if "Non-2xx" in printed:
        raise SystemExit(printed)
    count, rate = re.search(r"(\d+) requests in", printed), re.search(r"/sec: *([\d.]+)", printed)
    if count is None or rate is None:
        raise SystemExit(printed)
    return int(count[1]), float(rate[1])
