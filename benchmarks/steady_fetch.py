"""Memory, open files and connections of one long fetch, from its start to its end (Linux).

    python benchmarks/steady_fetch.py [--rows 1000000] [--faults samples/faults.toml]

A local Valar of its own serves the results. The rows are sent first, with `submit`; `fetch` is
what is watched: its resident memory, file descriptors and sockets are read every half second, and
the highest of each tenth of its time is printed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

COMMAND = (sys.executable, "-m", "valar_batch")
RECIPE = ("--model", "openai/gpt-oss-120b", "--prompt", "Sentiment of: {{ review }}", "--id", "id")
PAUSE = 0.5


class Reading(NamedTuple):
    """What a process holds: resident memory in MB, file descriptors, and how many are sockets."""

    memory: float
    files: int
    sockets: int


def read(pid: int) -> Reading:
    """Look at a process."""
    folder = Path("/proc", str(pid))
    resident = re.search(r"VmRSS:\s+(\d+) kB", folder.joinpath("status").read_text())
    targets = []
    for descriptor in folder.joinpath("fd").iterdir():
        try:
            targets.append(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    sockets = sum(target.startswith("socket:") for target in targets)
    return Reading(int(resident[1]) / 1024 if resident else 0.0, len(targets), sockets)


def serve(home: Path, faults: str | None) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start a local Valar; gives it, and the environment of its clients."""
    environment = {**os.environ, "VALAR_BATCH_HOME": str(home)}
    options = ("--faults", faults) if faults else ()
    server = subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "serve", "--port", "0", "--api-key", "the-key", *options],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    url = next(
        line.partition("=")[2].strip() for line in server.stderr or () if "BASE_URL=" in line
    )
    return server, {**environment, "VALAR_BASE_URL": url, "VALAR_API_KEY": "the-key"}


def watched(command: list[str], environment: dict[str, str]) -> list[Reading]:
    """Run a command and read what it holds until it ends."""
    readings = []
    process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own command
    while process.poll() is None:
        try:
            readings.append(read(process.pid))
        except (FileNotFoundError, ProcessLookupError):
            break
        time.sleep(PAUSE)
    if process.wait():
        raise SystemExit(f"fetch ended with {process.returncode}")
    return readings


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--faults", metavar="PLAN")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "in.jsonl")
        with path.open("w") as file:
            file.writelines(f'{{"id":"r{n}","review":"word {n}"}}\n' for n in range(asked.rows))
        server, environment = serve(Path(folder, "home"), asked.faults)
        try:
            submit = [*COMMAND, "submit", str(path), *RECIPE, "--quiet"]
            run = subprocess.run(  # noqa: S603 - our own command
                submit, env=environment, capture_output=True, text=True, check=True
            ).stdout.strip()
            began = time.monotonic()
            out = str(Path(folder, "out.parquet"))
            readings = watched([*COMMAND, "fetch", run, "--to", out, "--quiet"], environment)
            seconds = time.monotonic() - began
        finally:
            server.terminate()
            server.wait()
    print(f"fetch of {asked.rows:,} results in {seconds:.0f} s")
    print("part of the time   memory (MB)   files   sockets")
    tenth = max(1, -(-len(readings) // 10))
    for start in range(0, len(readings), tenth):
        part = readings[start : start + tenth]
        memory, files, sockets = (max(values) for values in zip(*part, strict=True))
        share = f"{start / len(readings):4.0%} to {(start + len(part)) / len(readings):4.0%}"
        print(f"{share:<16}{memory:14,.0f}{files:8}{sockets:10}")


if __name__ == "__main__":
    main()
