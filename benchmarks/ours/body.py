"""Writes the body of a prepared batch to standard output: `script BATCH_FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from valar_batch.runs.batch import BatchFolder


def main() -> None:
    """Decompress it."""
    sys.stdout.buffer.writelines(BatchFolder(Path(sys.argv[1])).body())


if __name__ == "__main__":
    main()
