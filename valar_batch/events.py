"""What a `reporter` is told while `submit`, `fetch` and `run` are at work.

A reporter is any callable that takes one event. Events are frozen records; one call follows the
other, though not always in the same thread. In order of their first appearance:

`Preparing`   rows are read and checked
`Sending`     batches go to Valar
`Collecting`  requests settle, results are fetched
`Writing`     rows beside their answers go to the output
`Waiting`     a call failed and is tried again (any time)
`Notice`      a text for the user (any time)
"""

from __future__ import annotations

from valar_batch.flow.events import (
    Collecting,
    Event,
    Notice,
    Preparing,
    Reporter,
    Sending,
    Waiting,
    Writing,
)

__all__ = [
    "Collecting",
    "Event",
    "Notice",
    "Preparing",
    "Reporter",
    "Sending",
    "Waiting",
    "Writing",
]
