"""The commands against a Valar that goes wrong by plan: whatever happens, it is exact."""

from __future__ import annotations

import json
import os
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import MODEL, Served

ROWS = 120
BATCHES = 3
LIST, POST = "GET /v1/batches", "POST /v1/batches"
MAPS, RESULTS = "GET /v1/batches/*", "GET /v1/batches/*/*"
EVERY_FAULT = Path(__file__).parents[2] / "samples" / "faults.toml"
MANY = int(os.environ.get("ROWS", "2000"))


def post(served: Served, path: str, body: object) -> object:
    """POST to the server itself, past our own client."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{served.port}{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {served.key}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def struck(served: Served) -> list[int]:
    """How often each fault of the plan struck."""
    return [fault["struck"] for fault in served.get("/local/faults")["faults"]]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A Valar that goes wrong as the tests tell it to."""
    folder = tmp_path_factory.mktemp("faulty")
    plan = folder / "plan.toml"
    plan.write_text("")
    served = Served(folder / "valar", ("--faults", str(plan))).start()
    yield served
    served.stop()


class Work:
    """An input of its own, the command that works on it, and what has to come of it."""

    def __init__(self, folder: Path, served: Served, rows: int, batch_size: int) -> None:
        self.rows = rows
        self.path, self.out = folder / "in.jsonl", folder / "out.jsonl"
        # Its words are those of no other test, so that all may use one server.
        words = (f"{folder.name}-{number}" for number in range(rows))
        self.path.write_text("".join(json.dumps({"a": word}) + "\n" for word in words))
        recipe = ("--model", MODEL, "--prompt", "{{ a }}", "--batch-size", batch_size)
        self.run = ("run", self.path, *recipe, "--to", self.out)
        self._served = served
        self._before = served.executions()["total"]

    def check(self) -> Counter:
        """Each row once, in order, with its own answer; each request executed once."""
        rows = [json.loads(line) for line in self.out.read_text().splitlines()]
        name = self.path.parent.name
        assert [row["a"] for row in rows] == [f"{name}-{number}" for number in range(self.rows)]
        for row in rows:
            ended_well = row["status"] == "completed"
            assert (row["output_text"] or "").split()[-1:] == ([row["a"]] if ended_well else [])
        assert len({row["response_id"] for row in rows}) == self.rows
        total = self._before + self.rows
        counts = {"total": total, "distinct": total, "repeated": []}
        assert self._served.executions() == counts
        return Counter(row["status"] for row in rows)


@pytest.fixture
def work(tmp_path, faulty):
    """Work for three batches, begun without faults."""
    post(faulty, "/local/faults", {})
    return Work(tmp_path, faulty, ROWS, ROWS // BATCHES)


SOME = {"share": 0.1}
FEW = {"calls": [5, 6]}
"""For what holds the fetching up."""


def everywhere(kind: str, of_results: dict = SOME, **more: object) -> list[dict]:
    """Plan a fault for every kind of call: listing, sending, status and results."""
    places = (
        {"on": LIST, "calls": [1]},
        {"on": POST, "calls": [1, 3]},
        {"on": MAPS, "calls": [1]},
        {"on": RESULTS, **of_results},
    )
    return [{"kind": kind, **place, **more} for place in places]


PLANS = {
    "429": [
        {**fault, "as_date": number % 2 == 0}
        for number, fault in enumerate(everywhere("status", FEW, status=429, retry_after=1))
    ],
    "5xx": [
        {"kind": "status", "on": LIST, "status": 502, "calls": [1]},
        {"kind": "status", "on": POST, "status": 500, "calls": [1]},
        {"kind": "status", "on": POST, "status": 504, "calls": [3]},
        {"kind": "status", "on": MAPS, "status": 503, "calls": [1]},
        {"kind": "status", "on": RESULTS, "status": 500, **SOME},
    ],
    "5xx after the work": everywhere("status", status=503, processed=True),
    "dropped before": everywhere("drop", when="before"),
    "dropped after": everywhere("drop", when="after"),
    "dropped inside": everywhere("drop", when="inside"),
    "slow": everywhere("slow", seconds=0.3),
    "byte by byte": [
        {"kind": "slow", "on": MAPS, "calls": [1], "pause": 0.0001, "bytes": 50},
        {"kind": "slow", "on": RESULTS, "calls": [5, 6], "pause": 0.0001},
    ],
    "never": everywhere("never", FEW, processed=True),
    "shorter than its length": everywhere("truncated", under="the whole length"),
    "cut": everywhere("truncated"),
    "garbled": everywhere("garbled"),
    "a proxy's page": [
        {**fault, "status": 200 if number % 2 else 502, "processed": number == 1}
        for number, fault in enumerate(everywhere("html"))
    ],
    "a map that lacks ids": [{"kind": "map", "what": "lacks", "share": 0.2}],
    "a map with unknown ids": [{"kind": "map", "what": "unknown ids", "share": 0.2}],
    # The words keep it asking, so that it sees the map go back.
    "a map that goes back, with unknown words": [
        {"kind": "map", "what": "back", "share": 0.5, "polls": 2},
        {"kind": "map", "what": "word", "share": 0.2, "polls": 2},
    ],
    "late": [
        {"kind": "late", "asks": 2, "share": 0.1},
        {"kind": "late", "seconds": 1, "share": 0.1},
    ],
    "still running": [{"kind": "running", "asks": 2, "share": 0.1}],
}


@pytest.mark.parametrize("fault", PLANS)
def test_every_fault_is_survived(faulty, make_cli, work, fault) -> None:
    """One run under one kind of fault, which did strike wherever it was planned."""
    post(faulty, "/local/faults", {"fault": PLANS[fault]})
    make_cli(faulty, VALAR_BATCH_READ_TIMEOUT="1")(*work.run)
    assert min(struck(faulty)) > 0
    assert work.check() == {"completed": ROWS}


def test_requests_that_end_without_an_answer(faulty, make_cli, work) -> None:
    """Failed and cancelled rows have their reasons; a retry without the fault completes them."""
    post(faulty, "/local/faults", {"requests": {"failed": 0.2, "cancelled": 0.2}})
    cli = make_cli(faulty)
    cli(*work.run, code=3)
    assert work.check().keys() == {"completed", "failed", "cancelled"}
    rows = [json.loads(line) for line in work.out.read_text().splitlines()]
    drawn = "[rehearsal] this request was drawn to"
    assert {row["error"] for row in rows} == {
        None,
        f"{drawn} fail, as a share of them should (rehearsal_failure)",
        f"{drawn} be cancelled, as a share of them should (rehearsal_cancelled)",
    }


@pytest.mark.parametrize(("on", "status"), [(POST, 402), (MAPS, 401), (RESULTS, 402)])
def test_the_key_is_refused_from_some_call_on(faulty, make_cli, work, on, status) -> None:
    """It stops at once and keeps what it has; the same command goes on when the key is good."""
    fault = {"kind": "status", "status": status, "on": on, "from": 2}
    post(faulty, "/local/faults", {"fault": [fault]})
    cli = make_cli(faulty)
    cli(*work.run, code=5)
    assert not work.out.exists()
    assert min(struck(faulty)) > 0
    post(faulty, "/local/faults", {})
    cli(*work.run)
    assert work.check() == {"completed": ROWS}


def test_a_key_that_is_rotated(tmp_path, serve, make_cli) -> None:
    """Killed with an answer lost, the old key refused: the new key finds what is there."""
    plan = tmp_path / "plan.toml"
    plan.write_text("")
    valar = serve("--api-key", "new-key", "--faults", str(plan))
    work = Work(tmp_path, valar, ROWS, ROWS // BATCHES)
    lost = {"kind": "drop", "when": "after", "on": POST, "calls": [2]}
    refused = {"kind": "status", "status": 401, "on": POST, "from": 3, "key": valar.key}
    post(valar, "/local/faults", {"fault": [lost, refused]})
    old = make_cli(valar)
    old(*work.run, code=5)
    assert min(struck(valar)) > 0
    new = old.elsewhere(old.home, VALAR_API_KEY="new-key")
    new(*work.run)
    assert work.check() == {"completed": ROWS}


def test_a_reservation_that_expired(faulty, make_cli, work) -> None:
    """A batch whose answer was lost is found by its label, when its reservation is gone."""
    lost = {"kind": "drop", "when": "after", "on": POST, "calls": [1]}
    refused = {"kind": "status", "status": 402, "on": POST, "from": 2}
    post(faulty, "/local/faults", {"fault": [lost, refused]})
    cli = make_cli(faulty)
    cli(*work.run, code=5)
    post(faulty, "/local/faults", {"reservation_seconds": 0})
    cli(*work.run)
    assert work.check() == {"completed": ROWS}


def test_every_fault_at_once(tmp_path, serve, make_cli) -> None:
    """A plan that mixes all of them, given to the command line, ends complete and exact.

    ROWS sets how many rows go through it.
    """
    valar = serve("--faults", str(EVERY_FAULT), "--latency", "2")
    work = Work(tmp_path, valar, MANY, min(10_000, MANY // 3 + 1))
    process = make_cli(valar, VALAR_BATCH_READ_TIMEOUT="2").start(*work.run)
    _, said = process.communicate(timeout=3600)
    assert process.returncode == 3, said
    assert min(struck(valar)) > 0
    assert work.check().keys() == {"completed", "failed", "cancelled"}
