"""The process of a command that works through many rows."""

from __future__ import annotations

import contextlib
import gc
import sys

OBJECTS_BETWEEN_COLLECTIONS = 50_000


def ready_for_many_rows() -> None:
    """Set the process up for many rows: they make many objects and next to no cycles.

    Looking for cycles at Python's usual pace costs a tenth and more of all CPU time. Only a
    command does this, for its process is its own.
    """
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
    leave_pandas_out()


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas, where that is installed: half of a command's start.

    It does so at the first values that it is given, to see whether they are a Series, and looks
    just once. Whoever asks for pandas, as a user's model may, still gets it.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    sys.modules["pandas"] = None  # type: ignore[assignment]  # for Python: it cannot be imported
    with contextlib.suppress(ImportError, AttributeError):
        pa.array([])
    del sys.modules["pandas"]
