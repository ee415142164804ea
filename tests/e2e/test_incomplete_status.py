"""A status that does not name every request of a batch: no row is lost by it, or paid again."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.conftest import MODEL
from tests.e2e.test_foreign import post

RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--id", "id")
PLAN = """
[requests]
failed = 0.4

[[fault]]
kind = "map"
what = "lacks"
polls = 1
share = 0.5
"""


@pytest.fixture
def valar(serve, tmp_path):
    """A Valar whose first status of a batch lacks half of its requests."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    return serve("--faults", str(plan))


def test_a_lost_round_is_taken_up_whole(cli, valar, tmp_path) -> None:
    """Rows that were sent again and are not named at first are not sent a third time."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"id": f"r{n}", "a": f"w{n}"}) + "\n" for n in range(40)))
    out = tmp_path / "out.jsonl"
    cli("run", path, *RECIPE, "--to", out, code=3)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    failed = sorted(row["id"] for row in rows if row["status"] == "failed")
    assert failed
    run = cli("retry").out.strip()
    shutil.rmtree(cli.home / "runs" / run / "retries")
    done = cli("retry")
    assert f"attempt 2 with {len(failed)} rows was found at Valar and taken up" in done.err
    assert f"nothing to send again: {len(failed)} rows under way" in done.err
    repeated = valar.executions()["repeated"]
    assert sorted((item["custom_id"], item["count"]) for item in repeated) == [
        (name, 2) for name in failed
    ]


def test_a_batch_from_elsewhere_is_fetched_whole(cli, valar, tmp_path) -> None:
    """Its rows are those that it has, not those that the first status names."""
    ids = [f"k{n}" for n in range(20)]
    batch, out = post(valar, ids), tmp_path / "out.jsonl"
    cli("fetch", batch, "--to", out, code=None)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(row["custom_id"] for row in rows) == sorted(ids)
