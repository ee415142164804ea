"""What it costs to upload a batch, beside curl with the same bytes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import benchmarks.works.poll as polling
from benchmarks.harness import ROOT, Contender, compare, ratio, script
from benchmarks.inputs import MODEL, write_jsonl
from benchmarks.report import Comparison, Goal
from benchmarks.status_origin import STILL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Bench

TITLE = "Uploading"
OURS, CURL, CURL_BINARY = "valar-batch", "curl -T", "curl --data-binary"
NOTE = (
    "Over TLS on one machine, in one connection. Ours is read off the compressed file, and checked "
    "against its SHA-256 on the way; curl sends a plain file as it is. Its time and CPU are those "
    "of its whole process. `--data-binary` holds the file in memory."
)


def measure(bench: Bench) -> Iterator[Comparison]:
    """Send the same bytes in each way."""
    rows = bench.pick(100_000, 400_000)
    path = write_jsonl(bench.folder / "rows.jsonl", rows)
    with polling.serving(bench.folder, STILL, is_zipped=False) as origin:
        environment = polling.environment(bench.folder, origin)
        recipe = ["--model", MODEL, "--prompt", "{{ review }}" * bench.pick(4, 8), "--id", "id"]
        subprocess.run(  # noqa: S603 - our own command
            [*polling.VALAR, "submit", path, *recipe],
            env=environment, cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        [batch, *_] = sorted((bench.folder / "home" / "runs").glob("run-*/batches/*"))
        body = bench.folder / "body.json"
        with body.open("wb") as file:
            zstd = script("ours.body", batch)
            subprocess.run(zstd, stdout=file, cwd=ROOT, check=True)  # noqa: S603
        megabytes = body.stat().st_size // 1_000_000
        curl = ["curl", "-sS", "-f", "--cacert", origin.authority, "-H", "Expect:", "-X", "POST"]
        url = f"{origin.base_url}/batches"

        def read(_: str) -> dict[str, int]:
            return {"items": megabytes}

        contenders = [
            Contender(OURS, script("ours.submit", batch, origin.base_url, origin.authority)),
            Contender(CURL, [*curl, "-T", body, url], needs=["curl"], reads=read),
            Contender(
                CURL_BINARY, [*curl, "--data-binary", f"@{body}", url], needs=["curl"], reads=read
            ),
        ]
        samples = compare(contenders, bench.rounds)
    goal = Goal("speed of curl --data-binary", ratio(samples, OURS, CURL_BINARY), 0.8)
    title = f"Uploading a batch of {body.stat().st_size / 1e6:,.0f} MB"
    yield Comparison(title, "MB", samples, OURS, notes=[NOTE], goals=[goal])
