"""`serve`: the local Valar in the foreground, on a port of your choice."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    port: Annotated[int, typer.Option("--port", help="0 takes any free port.")] = 8787,
    host: Annotated[
        str,
        typer.Option("--host", help="Address to listen on; other machines cannot reach loopback."),
    ] = "127.0.0.1",
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            "--api-key",
            help="A key to accept, repeatable; without one, a key is made once and shown.",
            metavar="KEY",
            envvar="VALAR_SERVE_API_KEY",
        ),
    ] = None,
    latency: Annotated[
        float, typer.Option("--latency", help="Mean seconds until a request is finished.", min=0)
    ] = 0.0,
    failure_share: Annotated[
        float,
        typer.Option("--failure-share", help="Share of requests that fail.", min=0, max=1),
    ] = 0.0,
) -> None:
    """Serve the local Valar: the same API by the same rules, with rehearsal answers.

    Its state stays in the home folder, so a server that is started again goes on where it was.
    """
    from valar_batch.cli.render import say
    from valar_batch.local.detached import token_of
    from valar_batch.local.launch import folder_of
    from valar_batch.local.server import Settings, is_loopback, serve
    from valar_batch.session import open_home

    home = open_home()
    home.create()
    folder = folder_of(home.path) / "serve"
    folder.mkdir(mode=0o700, exist_ok=True)
    keys = tuple(api_key) if api_key else (token_of(folder),)

    def on_ready(real_port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        say("the local Valar is up; its answers are rehearsals. Ctrl-C ends it.")
        say(f"export VALAR_BASE_URL=http://{shown}:{real_port}/v1")
        if not api_key:
            say(f"export VALAR_API_KEY={keys[0]}")
        if not is_loopback(host):
            say("other machines can reach it, and plain HTTP can be read on the way.")

    settings = Settings(api_keys=keys, latency=latency, failure_share=failure_share)
    serve(host, port, folder, settings, on_ready)
