"""Fetching: from many GETs to the spool on the disk, beside clients that throw results away."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import origin
from benchmarks.harness import ROOT, Contender, Sample, compare, ratio, run, script
from benchmarks.report import Comparison, Figures, Goal, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.harness import Bench
    from benchmarks.origin import Origin

TITLE = "Fetching"
OURS = "valar-batch"
WRK = "wrk (nothing decoded)"
CONNECTIONS = 200
HTTPX_CONNECTIONS = 100
KEY = "sk-benchmark"
CURL_AT_MOST = 300
"""What `curl --parallel-max` takes."""


@dataclass(frozen=True)
class Sent:
    """A run of so many rows that was sent to an origin, and waits in `folder` to be fetched."""

    folder: Path
    origin: Origin
    rows: int

    @property
    def environment(self) -> dict[str, str]:
        """What every client of it needs."""
        return {
            "VALAR_BATCH_HOME": str(self.folder / "home"),
            "VALAR_API_KEY": KEY,
            "SSL_CERT_FILE": str(self.origin.authority),
        }

    def send(self) -> None:
        """Make the run, by the real command."""
        self.folder.mkdir(parents=True)
        rows = self.folder / "rows.jsonl"
        with rows.open("w") as file:
            file.writelines(
                f'{{"id":"{one}","word":"x"}}\n' for one in origin.custom_ids(self.rows)
            )
        command = [sys.executable, "-m", "valar_batch", "submit", rows, "--id", "id", "--quiet"]
        command += ["--model", "openai/gpt-oss-120b", "--prompt", "Say {{ word }}"]
        subprocess.run(  # noqa: S603 - our own command
            [*command, "--base-url", self.origin.base_url],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        (self.folder / "home").rename(self.folder / "kept")

    def begin_again(self) -> None:
        """Nothing of it is fetched."""
        shutil.rmtree(self.folder / "home", ignore_errors=True)
        shutil.copytree(self.folder / "kept", self.folder / "home")

    def check(self, _: Sample) -> None:
        """Every result must be in the spool, with its own answer."""
        from valar_batch.runs.spool import read_lines

        [spool] = self.folder.glob("home/runs/*/batches/*/results.jsonl.zst")
        left = set(origin.custom_ids(self.rows))
        for line in read_lines(spool):
            result = json.loads(line)
            text = result["response"]["output"][0]["content"][0]["text"]
            if text != origin.answer_text(result["custom_id"]):
                raise SystemExit(f"{OURS} has another answer for {result['custom_id']}")
            left.remove(result["custom_id"])
        if left:
            raise SystemExit(f"{OURS} has lost {len(left)} results")

    def ours(self, connections: int) -> Contender:
        """Fetch it."""
        return Contender(
            OURS,
            script("ours.fetch", connections),
            before=self.begin_again,
            check=self.check,
            environment=self.environment,
        )

    def rival(
        self, name: str, module: str, rows: int, connections: int, needs: Sequence[str] = ()
    ) -> Contender:
        """Fetch so many of the same results by a script of ours."""
        command = script(f"rivals.{module}", self.origin.base_url, rows, connections)
        return Contender(name, command, needs, check=all_right, environment=self.environment)

    def wrk(self, seconds: int) -> Contender:
        """As many answers as wrk can take from the origin."""
        lua = ROOT / "benchmarks" / "rivals" / "fetch_wrk.lua"
        command = ["wrk", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}s"]
        command += [f"--script={lua}", self.origin.base_url, "--", str(self.rows)]
        return Contender(WRK, command, needs=["wrk"], reads=told_by_wrk)

    def curl(self, rows: int) -> Contender:
        """Into a file each, as `curl --parallel` is meant."""
        folder, config = self.folder / "curl", self.folder / "curl.conf"
        with config.open("w") as file:
            for one in origin.custom_ids(rows):
                file.write(f'url = "{self.origin.base_url}/{origin.PATH}/{one}"\n')
                file.write(f'output = "{folder}/{one}"\n')
        most = min(CONNECTIONS, CURL_AT_MOST)
        command = ["curl", "-q", "--silent", "--parallel", "--parallel-max", str(most)]
        command += ["--cacert", str(self.origin.authority), "--config", str(config)]

        def before() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

        def check(_: Sample) -> None:
            for one in origin.custom_ids(rows):
                if not origin.is_right(one, (folder / one).read_bytes()):
                    raise SystemExit(f"curl has no answer for {one}")

        return Contender(
            "curl --parallel, a file each",
            command,
            needs=["curl"],
            before=before,
            check=check,
            reads=lambda _: {"items": rows},
        )


def all_right(sample: Sample) -> None:
    """Every answer must be that of its row."""
    if sample.facts["right"] != sample.items:
        raise SystemExit(f"{sample.facts['right']:,} of {sample.items:,} answers are right")


def told_by_wrk(printed: str) -> dict[str, Any]:
    """Read how many answers came in which time, all of them good."""
    found = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", printed)
    if found is None or "Non-2xx" in printed:
        raise SystemExit(f"wrk failed:\n{printed}")
    seconds = float(found[2]) * {"ms": 0.001, "s": 1, "m": 60}[found[3]]
    return {"items": int(found[1]), "seconds": seconds}


def measure(bench: Bench) -> Iterator[Comparison | Figures]:
    """Measure against others, then late servers, then servers that refuse."""
    yield against_others(bench, tls=True)
    yield against_others(bench, tls=False)
    yield from_far_away(bench)
    yield refused(bench)


def against_others(bench: Bench, *, tls: bool) -> Comparison:
    """All clients on the same results; the slow ones on fewer of them."""
    rows, few = bench.pick(20_000, 100_000), bench.pick(1_000, 5_000)
    folder = bench.folder / ("tls" if tls else "plain")
    with origin.serving(folder, rows, tls=tls) as server:
        sent = Sent(folder / "run", server, rows)
        sent.send()
        contenders = [
            sent.ours(CONNECTIONS),
            sent.wrk(bench.pick(3, 10)),
            sent.rival("aiohttp", "fetch_aiohttp", rows, CONNECTIONS, needs=("aiohttp",)),
        ]
        if tls:
            contenders += [
                sent.curl(rows),
                sent.rival("httpx", "fetch_httpx", few, HTTPX_CONNECTIONS),
                sent.rival("openai", "fetch_openai", few, HTTPX_CONNECTIONS, needs=("openai",)),
            ]
        samples = compare(contenders, bench.rounds)
    goals = [
        Goal("the rate of wrk, which decodes nothing", ratio(samples, OURS, WRK), 0.3),
        Goal(
            "the rate of aiohttp, which throws results away", ratio(samples, OURS, "aiohttp"), 2.5
        ),
        Goal("the rate of httpx at its default limits", ratio(samples, OURS, "httpx"), 40),
    ]
    by = f"{rows:,} results of 1.8 KB by {'nginx, one worker' if origin.NGINX else 'our server'}"
    return Comparison(
        f"Fetching {by}, over {'TLS' if tls else 'plain http'}, {CONNECTIONS} connections",
        "results",
        samples,
        OURS,
        notes=[
            "Ours decodes each result and has it durably on the disk; the others throw it away.",
            f"httpx and openai fetch {few:,} results, over {HTTPX_CONNECTIONS} connections.",
        ],
        goals=goals if tls else [],
    )


def from_far_away(bench: Bench) -> Figures:
    """A server that answers after 100 ms: what the connections allow is connections / latency."""
    latency, rows, goals = 0.1, [], []
    for connections, count in (
        (200, bench.pick(10_000, 50_000)),
        (1024, bench.pick(30_000, 100_000)),
    ):
        folder = bench.folder / f"far-{connections}"
        with origin.serving(folder, count, latency=latency) as server:
            sent = Sent(folder / "run", server, count)
            sent.send()
            sample = run(sent.ours(connections))
        limit = connections / latency
        share = sample.rate / limit
        each = 1e6 * sample.cpu / sample.items
        rows.append(
            [f"{connections:,}", number(limit), number(sample.rate), f"{share:.0%}", number(each)]
        )
        goals.append(Goal(f"of connections / latency, at {connections:,} connections", share, 0.7))
    return Figures(
        "Fetching from a server that answers after 100 ms, over TLS",
        ["connections", "connections / latency", "results/s", "share", "CPU µs each"],
        rows,
        notes=["From the first poll to the last result on the disk, the climb from 16 included."],
        goals=goals,
    )


def refused(bench: Bench) -> Figures:
    """A server that answers 429 beyond a rate: what comes, and what is lost to refusals."""
    seconds = bench.pick(10, 40)
    rows, curves = [], {}
    for permitted in (500, 2000):
        for retry_after in ("", "1"):
            count = permitted * seconds
            folder = bench.folder / f"refusing-{permitted}-{retry_after or 'no'}"
            options = {"latency": 0.02, "rate": permitted, "retry_after": retry_after}
            with origin.serving(folder, count, tls=False, **options) as server:
                sent = Sent(folder / "run", server, count)
                sent.send()
                run(sent.ours(CONNECTIONS))
                bins = counts(server)
            served, lost = (sum(values) for values in zip(*bins, strict=True))
            rate = served / (len(bins) / 10)
            kind = f"Retry-After: {retry_after}" if retry_after else "no Retry-After"
            curves[f"{permitted:,}/s, {kind}"] = (permitted, bins)
            rows.append(
                [
                    f"{permitted:,}/s, {kind}",
                    number(rate),
                    f"{rate / permitted:.0%}",
                    f"{lost / (served + lost):.1%}",
                ]
            )
    picture = ROOT / "docs" / "images" / "refusals.svg"
    return Figures(
        "Fetching from a server that refuses (429) beyond a rate, 20 ms away",
        ["permitted", "results/s", "of what is permitted", "calls refused"],
        rows,
        notes=[f"From the first call to the last, {seconds} s of what is permitted."],
        picture="images/refusals.svg" if bench.full and draw(curves, picture) else "",
    )


def counts(server: Origin) -> list[list[int]]:
    """What was served and refused in each tenth of a second."""
    context = ssl.create_default_context(cafile=str(server.authority))
    with urllib.request.urlopen(f"{server.base_url}/counts", context=context) as answer:  # noqa: S310
        found: list[list[int]] = json.load(answer)
    return found


def draw(curves: dict[str, tuple[int, list[list[int]]]], path: Path) -> bool:
    """Draw what was permitted, served and refused over time; whether matplotlib is there."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        return False
    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 5), sharex="col", layout="constrained")
    for (name, (permitted, bins)), area in zip(curves.items(), axes.flat, strict=True):
        whole = [bins[start : start + 10] for start in range(0, len(bins) - 9, 10)]
        for place, label in enumerate(("served", "refused")):
            area.plot([sum(pair[place] for pair in second) for second in whole], label=label)
        area.axhline(permitted, linestyle=":", color="grey", label="permitted")
        area.set_title(name, fontsize=9)
        area.set_ylim(0)
    axes[1][0].set_xlabel("seconds")
    axes[0][0].set_ylabel("calls per second")
    axes[0][1].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return True
