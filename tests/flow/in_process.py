"""A run without a process or a socket: the test is Valar, and writes the results as they come."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from valar_batch.core.identity import RunId
from valar_batch.core.wire import result_line
from valar_batch.flow.events import silent
from valar_batch.flow.prepare import prepare
from valar_batch.flow.requests import Order
from valar_batch.flow.submit import commit
from valar_batch.runs import spool
from valar_batch.runs.draft import Draft
from valar_batch.runs.home import Home
from valar_batch.runs.run import Run

MODEL = "openai/gpt-oss-120b"


def prepared_run(order: Order, home: Path) -> Run:
    """Prepare an input and make it a run."""
    place = Home(home)
    with Draft(place) as draft:
        prepared = prepare(order, draft, place, silent)
        return commit(prepared, draft, RunId(prepared.digest))


def response_body(status: str, text: str, **more: object) -> bytes:
    """Give a result that says `text`."""
    output = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
    body = {"object": "response", "id": "resp", "status": status, "model": MODEL, "output": output}
    return json.dumps({**body, **more}).encode()


def answer(folder, results: list[tuple[str, str, str]], frames: int = 1) -> None:
    """Let a batch be answered: its custom_ids with status and text, in this order.

    A batch whose requests are not all among them is settled without the others.
    """
    number = folder.number
    folder.mark_submitting("key")
    folder.mark_submitted(f"batch_{folder.read().attempt}_{number}")
    lines = [
        result_line(custom_id, status, response_body(status, text))
        for custom_id, status, text in results
    ]
    step = max(1, len(lines) // frames)
    for start in range(0, len(lines), step):
        spool.append(folder.spool_path, lines[start : start + step])
    statuses = dict(Counter(status for _, status, _ in results))
    whole = len({custom_id for custom_id, _, _ in results}) == folder.read().requests
    (folder.mark_collected if whole else folder.mark_settled)(statuses, 0)
