"""What a RUN argument means: a run here, a batch of one, or any batch at Valar."""

from __future__ import annotations

from typing import Annotated

import typer

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="A run's id, the beginning of it, or its name; else the latest run."
    ),
]
RunOrBatchArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN|BATCH]",
        help="A run's id, the beginning of it, or its name; else the latest run. Or the id of any "
        "batch at Valar, also one that was not sent from here.",
    ),
]
