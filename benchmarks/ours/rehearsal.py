"""`run --local` from start to end, and what of its CPU was the server's.

    python -m benchmarks.ours.rehearsal INPUT ROWS OUTPUT [COLUMN]

The server is a process apart; it is ended at last. Its figures are read where there is `/proc`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import PYTHON
from benchmarks.inputs import MODEL


def recipe(column: str = "text") -> tuple[str, ...]:
    """Give the options that make a prompt of a column."""
    return ("--model", MODEL, "--prompt", f"Sentiment of: {{{{ {column} }}}}", "--id", "id")


def server_cost(pid: int) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of another process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return cpu, peak / 1024


def main(source: str, rows: str, output: str, column: str = "text") -> None:
    """Run, and print what it cost."""
    command = [PYTHON, "-m", "valar_batch", "run", source, "--local", "--to", output, "--quiet"]
    began = time.perf_counter()
    client = subprocess.Popen([*command, *recipe(column)], stdin=subprocess.DEVNULL)  # noqa: S603
    # Ends with 0 only where every row was answered.
    _, status, usage = os.wait4(client.pid, 0)
    seconds = time.perf_counter() - began
    server = json.loads((Path(os.environ["VALAR_BATCH_HOME"]) / "local/server.json").read_text())
    cpu, peak = server_cost(server["pid"])
    os.kill(server["pid"], signal.SIGTERM)
    spent = usage.ru_utime + usage.ru_stime
    facts = {
        "peak": usage.ru_maxrss / 1024,
        "client_cpu": spent,
        "server_cpu": cpu,
        "server_peak": peak,
    }
    print(json.dumps({"items": int(rows), "seconds": seconds, "cpu": spent + cpu, "facts": facts}))
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(*sys.argv[1:])
