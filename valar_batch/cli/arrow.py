"""pyarrow as a command needs it: without pandas."""

from __future__ import annotations

import contextlib
import sys


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
