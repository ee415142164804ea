"""`serve`: the local Valar in the foreground, on a port of your choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from valar_batch.local.upstream.settings import UpstreamSettings

REHEARSAL = "Rehearsal"
UPSTREAM = "Upstream: real answers"


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
        float,
        typer.Option(
            "--latency",
            help="Mean seconds until a request is finished.",
            min=0,
            rich_help_panel=REHEARSAL,
        ),
    ] = 0.0,
    failure_share: Annotated[
        float,
        typer.Option(
            "--failure-share",
            help="Share of requests that fail.",
            min=0,
            max=1,
            rich_help_panel=REHEARSAL,
        ),
    ] = 0.0,
    faults: Annotated[
        Path | None,
        typer.Option(
            "--faults",
            help="Go wrong by this plan: errors, lost connections, late results, ….",
            metavar="PLAN.toml",
            rich_help_panel=REHEARSAL,
        ),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            "--upstream",
            help="Forward requests to this OpenAI-compatible server (Ollama, llama.cpp, vLLM, …), "
            "such as http://localhost:11434/v1.",
            metavar="URL",
            rich_help_panel=UPSTREAM,
        ),
    ] = None,
    upstream_key: Annotated[
        str,
        typer.Option(
            "--upstream-key",
            help="The key that it wants, if any.",
            metavar="KEY",
            envvar="UPSTREAM_API_KEY",
            rich_help_panel=UPSTREAM,
        ),
    ] = "",
    upstream_model: Annotated[
        str | None,
        typer.Option(
            "--upstream-model",
            help="Its model that answers for each of Valar's; without this, requests name its own "
            "models.",
            metavar="NAME",
            rich_help_panel=UPSTREAM,
        ),
    ] = None,
    upstream_concurrency: Annotated[
        int,
        typer.Option(
            "--upstream-concurrency",
            help="Requests that it is sent at a time.",
            min=1,
            metavar="N",
            rich_help_panel=UPSTREAM,
        ),
    ] = 8,
) -> None:
    """Serve the local Valar: the same API by the same rules, with rehearsal answers.

    Or with real ones, from --upstream. Its state stays in the home folder, so a server that is
    started again goes on where it was.
    """
    from valar_batch.cli.render import say
    from valar_batch.local.detached import token_of
    from valar_batch.local.faults.plan import load_plan
    from valar_batch.local.launch import folder_of
    from valar_batch.local.server import Settings, is_loopback, serve
    from valar_batch.session import open_home

    forwarding = forwarding_to(
        upstream,
        key=upstream_key,
        model=upstream_model,
        concurrency=upstream_concurrency,
        rehearses=bool(latency or failure_share),
    )
    plan = load_plan(faults) if faults else None
    home = open_home()
    home.create()
    # Real answers and rehearsals are kept apart, and so is what still waits for an answer.
    folder = folder_of(home.path) / ("upstream" if forwarding else "serve")
    folder.mkdir(mode=0o700, exist_ok=True)
    keys = tuple(api_key) if api_key else (token_of(folder),)

    def on_ready(real_port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        if forwarding:
            model = f", all to {forwarding.model}" if forwarding.model else ""
            say(f"the local Valar is up; its answers are real, from {forwarding.base_url}{model}.")
            say("Ctrl-C ends it; what is unanswered goes on at the next start.")
        else:
            say("the local Valar is up; its answers are rehearsals. Ctrl-C ends it.")
        if plan:
            say(f"it goes wrong on purpose, by {faults}: {plan.summary}.")
        say(f"export VALAR_BASE_URL=http://{shown}:{real_port}/v1")
        if not api_key:
            say(f"export VALAR_API_KEY={keys[0]}")
        if not is_loopback(host):
            say("other machines can reach it, and plain HTTP can be read on the way.")

    settings = Settings(
        api_keys=keys,
        latency=latency,
        failure_share=failure_share,
        upstream=forwarding,
        faults=plan,
    )
    serve(host, port, folder, settings, on_ready)


def forwarding_to(
    url: str | None, *, key: str, model: str | None, concurrency: int, rehearses: bool
) -> UpstreamSettings | None:
    """Give where requests are forwarded to; options that do not go together raise UsageError."""
    from valar_batch.errors import UsageError
    from valar_batch.local.upstream.settings import UpstreamSettings

    if url is None:
        if model is not None:
            raise UsageError("--upstream-model needs --upstream", hint="add --upstream URL")
        return None
    if rehearses:
        hint = "drop --latency and --failure-share: how long it takes is up to the upstream"
        raise UsageError("--upstream gives real answers, and those are not rehearsed", hint=hint)
    return UpstreamSettings(base_url=url, api_key=key, model=model, concurrency=concurrency)
