"""The program: its commands, and what becomes of an error or an interrupt."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valar_batch import __version__, durable
from valar_batch.cli import (
    clean,
    fetch,
    list_runs,
    models,
    preview,
    resume,
    retry,
    run,
    serve,
    status,
    submit,
    validate,
)
from valar_batch.cli.exit_status import Exit, status_of_error
from valar_batch.cli.grouping import grouped
from valar_batch.cli.interrupts import Stopped
from valar_batch.errors import StateError, ValarBatchError

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="valar-batch",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("run", run.command),
    ("submit", submit.command),
    ("status", status.command),
    ("fetch", fetch.command),
    ("resume", resume.command),
    ("retry", retry.command),
    ("list", list_runs.command),
    ("validate", validate.command),
    ("preview", preview.command),
    ("models", models.command),
    ("serve", serve.command),
    ("clean", clean.command),
)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Turn an error of a command into words and an exit status."""

    @functools.wraps(command)
    def run_command(**given: Any) -> None:
        try:
            command(**given)
        except ValarBatchError as error:
            show_error(error)
            code = status_of_error(error)
        except Stopped as stopped:
            if not stopped.is_told:
                say_why(stopped)
            code = stopped.status
        except BrokenPipeError:
            discard_stdout()
            code = Exit.PIPE_CLOSED
        except OSError as error:
            show_error(error_of_system(error))
            code = Exit.STOPPED
        else:
            return
        raise typer.Exit(code)

    return run_command


for _name, _command in COMMANDS:
    app.command(_name)(guarded(grouped(_command)))


def show_version(value: bool) -> None:  # noqa: FBT001 - typer's callback
    """Print the version and end."""
    if value:
        typer.echo(f"valar-batch {__version__}")
        raise typer.Exit


@app.callback()
def program(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Send bulk prompts through Valar's Batch API and bring every answer home."""


def main() -> None:
    """Run the command line and exit; see `__main__` for signals."""
    # httpx's own command line, which would load rich, pygments and click.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    raise_file_limit()
    app()


def error_of_system(error: OSError) -> ValarBatchError:
    """Put a fault of the disk or the system into words."""
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in durable.FULL:
        hint = "nothing that was done is lost: make room and repeat the command"
        return StateError(f"{os.strerror(error.errno)}{place}", hint=hint)
    return StateError(
        f"{error.strerror or error}{place}",
        hint="nothing that was done is lost: mend the cause and repeat the command",
    )


def say_why(stopped: Stopped) -> None:
    """Say why the command ends, where it has not said so itself."""
    from valar_batch.cli.render import say

    say(stopped.why)


def show_error(error: ValarBatchError) -> None:
    """Say what happened, and the next step."""
    from valar_batch.cli.render import screen

    out = screen()
    out.print("error:", style="bold red", end=" ")
    out.print(error.message)
    if error.hint:
        out.print(f"  {error.hint}", style="cyan")


def raise_file_limit() -> None:
    """Allow as many open files as the system lets us: a run of 1,000 batches holds 1,000 locks."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))


def discard_stdout() -> None:
    """Keep Python from flushing into a closed pipe at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
