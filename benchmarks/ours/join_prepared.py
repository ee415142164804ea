"""join_prepared FOLDER ROWS BATCH [typed]: a run with all its results, and both as plain files."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import orjson
import zstandard

from benchmarks.inputs import MODEL, SENTENCES, response, write_jsonl
from valar_batch.core.answer_schema import read_schema
from valar_batch.core.identity import RunId
from valar_batch.core.pack import Limits
from valar_batch.core.recipe import Recipe
from valar_batch.core.wire import result_line
from valar_batch.flow.events import silent
from valar_batch.flow.prepare import prepare
from valar_batch.flow.requests import Order
from valar_batch.flow.submit import commit
from valar_batch.runs import spool
from valar_batch.runs.draft import Draft
from valar_batch.runs.home import Home

FRAME = 1000
LABELS = ("positive", "negative", "neutral")
SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "enum": list(LABELS)},
        "score": {"type": "number"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "spam": {"type": "boolean"},
    },
    "required": ["label", "score", "reasons", "spam"],
    "additionalProperties": False,
}


def typed_text(number: int) -> str:
    """Write an answer that fits the schema."""
    answer = {
        "label": LABELS[number % 3],
        "score": number % 1000 / 1000,
        "reasons": [SENTENCES[number % len(SENTENCES)][:60], "the lid"],
        "spam": number % 10 == 0,
    }
    return orjson.dumps(answer).decode()


def main(folder: Path, rows: int, batch: int, *, typed: bool) -> None:
    """Prepare the input as `submit` does, and let its batches be collected."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = read_schema(SCHEMA, "verdict") if typed else None
    recipe = Recipe(model=MODEL, prompt="Sentiment of: {{ review }}", id_column="id", answer=schema)
    path = write_jsonl(folder / "in.jsonl", rows)
    order = Order(str(path), recipe, "https://valar.example", limits=Limits(requests=batch))
    home = Home(folder / "home")
    with Draft(home) as draft:
        prepared = prepare(order, draft, home, silent)
        run = commit(prepared, draft, RunId(prepared.digest))
    draw, number = random.Random(7), 0  # noqa: S311 - no secret
    with (
        (folder / "results.jsonl").open("wb") as plain,
        (folder / "results.jsonl.zst").open("wb") as packed,
        zstandard.ZstdCompressor(level=3).stream_writer(packed) as compressed,
    ):
        for folder_of_batch in run.batches:
            folder_of_batch.mark_submitting("key")
            folder_of_batch.mark_submitted(f"batch_{folder_of_batch.number}")
            ids = folder_of_batch.custom_ids()
            for start in range(0, len(ids), FRAME):
                lines = []
                for custom_id in ids[start : start + FRAME]:
                    body = response(custom_id, number, typed_text(number) if typed else None)
                    lines.append(result_line(custom_id, "completed", orjson.dumps(body)))
                    number += 1
                draw.shuffle(lines)
                spool.append(folder_of_batch.spool_path, lines)
                plain.writelines(lines)
                compressed.write(b"".join(lines))
            folder_of_batch.mark_collected({"completed": len(ids)}, 0)
    (folder / "done").touch()


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), typed="typed" in sys.argv)
