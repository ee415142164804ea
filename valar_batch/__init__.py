"""Send bulk prompts through Valar's Batch API and bring every answer home.

    import valar_batch

    table = valar_batch.run("reviews.csv", model="…", prompt="Sentiment: {{ review }}")

`submit`, `status`, `fetch` and `run` do what the commands of those names do. The first use of one
imports what it needs; `import valar_batch` alone imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from valar_batch.errors import (
    ApiError,
    BillingRefused,
    ConnectionFailed,
    DoubtError,
    InputError,
    KeyRefused,
    NotFound,
    RateLimited,
    RemoteError,
    RequestRefused,
    ServerFault,
    StateError,
    UnreadableAnswer,
    UsageError,
    ValarBatchError,
)

if TYPE_CHECKING:
    from valar_batch.library import (
        ProblemsFound,
        Run,
        Standing,
        Summary,
        Written,
        fetch,
        run,
        status,
        submit,
    )

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "BillingRefused",
    "ConnectionFailed",
    "DoubtError",
    "InputError",
    "KeyRefused",
    "NotFound",
    "ProblemsFound",
    "RateLimited",
    "RemoteError",
    "RequestRefused",
    "Run",
    "ServerFault",
    "Standing",
    "StateError",
    "Summary",
    "UnreadableAnswer",
    "UsageError",
    "ValarBatchError",
    "Written",
    "fetch",
    "run",
    "status",
    "submit",
]

if not TYPE_CHECKING:  # a type checker would take it to have any attribute

    def __getattr__(name: str) -> object:
        """Import what is heavy when it is first asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from valar_batch import library

        globals()[name] = value = getattr(library, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
