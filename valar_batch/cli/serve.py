"""`serve`: the local Valar in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    port: Annotated[int, typer.Option("--port", help="0 takes any free port.")] = 8787,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; loopback unless you say otherwise.")
    ] = "127.0.0.1",
) -> None:
    """Serve the local Valar."""
    raise typer.Exit(1)
