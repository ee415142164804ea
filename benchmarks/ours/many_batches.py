"""Makes many batches under way of a run with one, whose rows they share: `script RUN_FOLDER N`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec.structs import replace

from valar_batch.runs.run import Run


def main() -> None:
    """Copy the first batch."""
    run = Run(Path(sys.argv[1]))
    [first] = run.batches
    record = first.read()
    first.write(replace(record, batch_id="batch_0", of_batches=0))
    for number in range(1, int(sys.argv[2])):
        path = first.path.with_name(f"{number:05}")
        path.mkdir()
        os.link(first.rows_path, path / first.rows_path.name)
        copy = replace(record, number=number, batch_id=f"batch_{number}", of_batches=0)
        type(first)(path).write(copy)


if __name__ == "__main__":
    main()
