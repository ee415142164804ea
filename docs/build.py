"""Write what is generated in the docs: `cli.md`, the pictures, and the outputs shown in the pages.

    python docs/build.py

`cli.md` comes from the program's own options. A page's `sh` and `python` blocks are run as they
stand; in its `console` blocks each line after `$ ` is run, and what is below it is what the program
printed. All of a page runs in one shell, on a terminal, in a temporary folder with a copy of the
samples and a home of its own. The pictures are such runs, drawn as the terminal looked at the end.
The notebook is run by this Python, in such a folder too.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap
import time
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.style import Style
from rich.text import Text

from valar_batch.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
CLI_PAGE = DOCS / "cli.md"
API_SUPPORT_PAGE = DOCS / "api-support.md"
VALUE_TYPES_PAGE = DOCS / "value-types.md"
PAGES = (ROOT / "README.md", DOCS / "guide.md", ROOT / "samples" / "README.md")
"""The pages whose commands are run."""
NOTEBOOK = ROOT / "samples" / "notebook.ipynb"

PICTURE_COLUMNS, PAGE_COLUMNS, LINES = 100, 110, 50
FOLDER = "/home/ada"
"""What the pages show in place of the temporary folder."""
HOME = ".valar-batch"
LABEL = """\
valar-batch run samples/reviews.csv --local --model zai-org/GLM-5.1-FP8 \\
    --id review_id --prompt 'Sentiment: {{ review }}' --to labelled.parquet"""
SHOW = "python samples/show.py labelled.parquet review status output_text"
PICTURES: Mapping[str, Sequence[str]] = {"run.svg": (LABEL, SHOW)}
PICTURE_LATENCY = "2"
"""Mean seconds of an answer in a picture: enough for the bars to have moved."""


# The reference of the commands


def cli_reference() -> str:
    """Give the text of `cli.md`."""
    group: Any = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        "Written by `make docs`; `valar-batch COMMAND --help` says the same.",
        "",
        "Data goes to standard output, everything else to standard error.",
        "",
        "| command | does |",
        "|---|---|",
        *(
            f"| [`{name}`](#{name}) | {cell(first_line(command.help))} |"
            for name, command in group.commands.items()
        ),
        "",
    ]
    for name, command in group.commands.items():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        usage = " ".join([f"valar-batch {name} [OPTIONS]", *(p.metavar for p in arguments)])
        lines += [f"## {name}", "", f"    {usage}", "", *paragraphs(command.help)]
        lines += table(("argument", "meaning"), [(f"`{p.metavar}`", p.help) for p in arguments])
        panels = dict.fromkeys(p.rich_help_panel or "Other" for p in options)
        for panel in sorted(panels, key=lambda panel: panel == "Other"):
            mine = [p for p in options if (p.rich_help_panel or "Other") == panel]
            lines += [f"**{panel}**", ""]
            lines += table(("option", "meaning"), [(spelling(p), meaning(p)) for p in mine])
    return "\n".join(lines).rstrip() + "\n"


def first_line(text: str) -> str:
    """Give the first sentence of a command's help."""
    return text.strip().partition("\n")[0]


def paragraphs(text: str) -> list[str]:
    """Give a help text's paragraphs, each on one line."""
    return [line for part in text.split("\n\n") for line in (" ".join(part.split()), "")]


def spelling(option: Any) -> str:
    """Write how an option is given."""
    value = option.metavar or KINDS.get(option.type_descriptor.annotation, "TEXT")
    names = ", ".join(f"`{name}`" for name in option.opts)
    return names if option.is_flag else f"{names} `{value}`"


KINDS = {int: "INTEGER", float: "NUMBER"}


def meaning(option: Any) -> str:
    """Write what an option does, and what holds without it."""
    text: str = option.help
    if option.required:
        text += " Required."
    if option.multiple:
        text += " May be given more than once."
    if option.default not in (None, False):
        text += f" Default: {option.default}."
    return text


def table(header: tuple[str, str], rows: Sequence[tuple[str, str]]) -> list[str]:
    """Write a table of two columns."""
    if not rows:
        return []
    head = [f"| {header[0]} | {header[1]} |", "|---|---|"]
    return [*head, *(f"| {cell(left)} | {cell(right)} |" for left, right in rows), ""]


def cell(text: str) -> str:
    """Escape what would end a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


# Commands, really run


@dataclass(frozen=True)
class Played:
    """A command, what the terminal showed of it at its end (with colours), and its status."""

    command: str
    shown: list[str]
    status: int

    @property
    def text(self) -> str:
        """Give what was shown, without colours."""
        plain = (Text.from_ansi(line).plain.rstrip() for line in self.shown)
        return "".join(f"{line}\n" for line in plain)


class Screen:
    """The lines of a terminal, as far as rich's progress bars move in them.

    rich erases each line before it writes it anew, so a line is whatever was written to it since.
    """

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0

    def feed(self, output: str) -> None:
        """Take what was written to the terminal. Raises ValueError for a code it does not know."""
        for piece in re.split(r"(\r\n|\r|\n|\x1b\[[0-9;?]*[A-Za-z])", output):
            if piece in ("\r\n", "\n"):
                self._row += 1
                if self._row == len(self.lines):
                    self.lines.append("")
            elif piece == "\x1b[2K":
                self.lines[self._row] = ""
            elif piece == "\x1b[1A":
                self._row -= 1
            elif piece.startswith("\x1b[") and piece[-1] != "m" and piece[2] != "?":
                raise ValueError(f"the picture does not know the control code {piece!r}")
            elif piece != "\r" and not piece.startswith("\x1b[?"):
                self.lines[self._row] += piece

    def shown(self) -> list[str]:
        """Give the lines without the empty ones at the end."""
        lines = list(self.lines)
        while lines and not Text.from_ansi(lines[-1]).plain.strip():
            lines.pop()
        return lines


@contextlib.contextmanager
def sandbox() -> Iterator[Path]:
    """Give a temporary folder with the samples; the local Valar of its home has ended after it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        shutil.copytree(ROOT / "samples", folder / "samples")
        yield folder
        deadline = time.monotonic() + 20
        announcement = folder / HOME / "local" / "server.json"
        while announcement.exists() and time.monotonic() < deadline:
            time.sleep(0.1)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Give the environment of the commands: this Python's programs, and nothing of the user's."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    if shutil.which("jq") is None:  # its output is not shown, so anything that reads will do
        (programs / "jq").write_text("#!/bin/sh\nexec cat\n")
        (programs / "jq").chmod(0o755)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(programs)])
    return {
        "PATH": path,
        "HOME": str(folder),
        "VALAR_BATCH_HOME": str(folder / HOME),
        "VALAR_LOCAL_LINGER": "3",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **more,
    }


def play(commands: Sequence[str], columns: int, **more: str) -> list[Played]:
    """Run commands one after the other in one shell on a terminal."""
    with sandbox() as folder:
        script = folder / "script.sh"
        script.write_text(
            "".join(f"printf '\\036'\n{command}\nprintf '\\037%d' $?\n" for command in commands)
        )
        environ = environment(folder, **more)
        output = on_terminal(["sh", str(script)], columns, folder, environ)
    played = []
    for command, part in zip(commands, output.split("\x1e")[1:], strict=True):
        shown, _, status = part.rpartition("\x1f")
        screen = Screen()
        screen.feed(shown.replace(str(folder), FOLDER))
        played.append(Played(command, screen.shown(), int(status)))
    return played


def on_terminal(
    command: Sequence[str], columns: int, folder: Path, environ: Mapping[str, str]
) -> str:
    """Run a command in a pseudo-terminal, and give all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - the commands of our own pages
        command, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    output = bytearray()
    with contextlib.suppress(OSError):  # EIO: the last of them has closed the terminal
        while block := os.read(ours, 65536):
            output += block
    os.close(ours)
    process.wait()
    return output.decode()


# The pages


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, and where the text is in the page."""

    language: str
    text: str
    start: int
    end: int

    def commands(self) -> list[str]:
        """Give what is to be run: a block at once, a `console` block line by line."""
        if self.language == "sh":
            return [self.text.rstrip("\n")]
        if self.language == "python":
            return [f"python - <<'END'\n{self.text}END"]
        found = re.findall(r"^\$ (.*(?:\\\n.*)*)", self.text, re.MULTILINE)
        return [re.sub(r"\\\n> ", "\\\n", command) for command in found]


RUN = re.compile(r"^```(sh|console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[Block]:
    """Find the blocks of a page that are run."""
    return [
        Block(match[1], match[2], match.start(2), match.end(2))
        for match in re.finditer(
            r"^```(sh|console|python)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
        )
    ]


def run_page(page: str) -> tuple[str, list[Played]]:
    """Run the blocks of a page: the page with what its `console` blocks print, and the commands."""
    found = blocks(page)
    commands = [command for block in found for command in block.commands()]
    played = iter(play(commands, PAGE_COLUMNS))
    pieces, at, all_played = [], 0, []
    for block in found:
        mine = [next(played) for _ in block.commands()]
        all_played += mine
        if block.language == "console":
            shown = "".join(f"$ {one.command}\n{one.text}" for one in mine)
            pieces += [page[at : block.start], shown]
            at = block.end
    return "".join([*pieces, page[at:]]), all_played


def without_chance(text: str) -> str:
    """Take out what differs from run to run: times of day, and marks made from an input's path."""
    text = re.sub(r"(\d{4}-)?\d\d-\d\d \d\d:\d\d", "TIME", text)
    return re.sub(r"-[0-9a-f]{8}\.jsonl", "-MARK.jsonl", text)


# The pictures

SVG = textwrap.dedent("""\
    <svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: "Fira Code", "DejaVu Sans Mono", Menlo, Consolas, monospace;
        font-size: {char_height}px;
        line-height: {line_height}px;
    }}
    .{unique_id}-title {{ font-family: sans-serif; font-size: 16px; }}
    {styles}
    </style>
    <defs>
    <clipPath id="{unique_id}-clip-terminal">
    <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
    </defs>
    {chrome}
    <g transform="translate({terminal_x}, {terminal_y})"
        clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
    </svg>
    """)
"""As rich's own, with the reader's fonts in place of one from the network."""


def picture(commands: Sequence[str], name: str) -> str:
    """Run commands and draw the terminal as it looks at the end."""
    console = Console(
        record=True,
        width=PICTURE_COLUMNS,
        file=StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    for one in play(commands, PICTURE_COLUMNS, VALAR_LOCAL_LATENCY=PICTURE_LATENCY):
        if one.status:
            raise RuntimeError(f"{one.command}\nended with {one.status}:\n{one.text}")
        console.print(Text.assemble(("$ ", "bold green"), (one.command, "bold")))
        for line in one.shown:
            console.print(in_pieces(line), no_wrap=True, crop=False, overflow="ignore")
        console.print()
    console.print(Text("$ ", "bold green"), end="")
    return console.export_svg(title="valar-batch", code_format=SVG, unique_id=Path(name).stem)


def in_pieces(line: str) -> Text:
    """Give a line whose words and wide characters are placed each for itself.

    So they stand in their columns, however wide the reader's font draws the ones before them.
    """
    text = Text.from_ansi(line)
    for match in re.finditer(r"[\u2e80-\uffef]|[^\s\u2e80-\uffef]+", text.plain):
        text.stylize(Style(meta={"at": match.start()}), *match.span())
    return text


# The notebook


def run_notebook(notebook: Any) -> Any:
    """Run a notebook's cells: the same notebook, with what they print now."""
    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    fresh = nbformat.from_dict(copy.deepcopy(notebook))
    metadata = copy.deepcopy(notebook.metadata)
    with sandbox() as folder:
        kernel = AsyncKernelManager(
            # Without any folder of kernels there is the one of this Python alone.
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            kernel_name="python3",
            connection_file=str(folder / "kernel.json"),
            transport="ipc",
        )
        client = NotebookClient(
            fresh,
            km=kernel,
            timeout=300,
            record_timing=False,
            resources={"metadata": {"path": str(folder / "samples")}},
        )
        client.owns_km = True  # so that the kernel ends with the run
        client.execute(env=environment(folder, PYTHONPATH=str(ROOT)))
        text = nbformat.writes(fresh).replace(str(folder), FOLDER)
    printed = nbformat.reads(text, nbformat.NO_CONVERT)
    printed.metadata = metadata  # without the version of this Python
    return printed


def write_notebook() -> None:
    """Store what the notebook prints."""
    import nbformat

    notebook = nbformat.read(NOTEBOOK, nbformat.NO_CONVERT)
    nbformat.write(run_notebook(notebook), NOTEBOOK)


# The table of what the API takes


def api_support() -> str:
    """Give the text of `api-support.md`."""
    script = [sys.executable, str(DOCS / "api_support.py")]
    return subprocess.run(script, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout  # noqa: S603


# The table of value types


def value_types() -> str:
    """Compute the text of `value-types.md`, by runs through every format."""
    with sandbox() as folder:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.value_types", str(folder)],
            cwd=ROOT,
            env=environment(folder),
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
    return done.stdout


def main() -> None:
    """Write everything anew."""
    CLI_PAGE.write_text(cli_reference(), "utf-8")
    API_SUPPORT_PAGE.write_text(api_support(), "utf-8")
    for page in PAGES:
        page.write_text(run_page(page.read_text("utf-8"))[0], "utf-8")
    for name, commands in PICTURES.items():
        path = DOCS / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(picture(commands, name), "utf-8")
    write_notebook()
    VALUE_TYPES_PAGE.write_text(value_types(), "utf-8")


if __name__ == "__main__":
    main()
