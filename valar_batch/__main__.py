"""`python -m valar_batch` is `valar-batch`: streams and signals are in order before all else."""

from __future__ import annotations

import os
import sys

from valar_batch.cli.exit_status import Exit
from valar_batch.cli.interrupts import heed


def main() -> None:
    """Run the command line and end the process."""
    try:
        replace_closed_streams()
        heed.install()
        from valar_batch.cli.main import main as run_command_line

        run_command_line()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        status = Exit.INTERRUPTED
    else:
        status = 0
    leave(heed.stopped.status if heed.stopped else status)


def replace_closed_streams() -> None:
    """Give a stream that was closed by the shell (`>&-`) a place of its own.

    Else a file that is opened later would stand where the others write. What was to be data fails
    as it does where a pipe is closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")
    if sys.stdout is None:
        reader, writer = os.pipe()
        os.close(reader)
        sys.stdout = os.fdopen(writer, "w")


def leave(status: int) -> None:
    """End without Python's long goodbye, in which a signal would end in a traceback.

    What has to last is on the disk, and a thread that hangs in the network holds nobody up.
    """
    heed.end()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except OSError:
        status = status or Exit.PIPE_CLOSED
    os._exit(status)


if __name__ == "__main__":
    main()
