"""What the docs say is what the program does."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import typer

from valar_batch.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("samples/*.md")])
TEXTS = {".md", ".py", ".sh", ".toml", ".svg", ".csv", ".jsonl", ".lock", ""}
SKIPPED = {"demo", "dist", "build", "__pycache__"}


pytest.importorskip("pty", reason="the pages are run on a pseudo-terminal")


def load_build():
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


build = load_build()


def name_of(page):
    return str(page.relative_to(ROOT))


def commands():
    """Every command of the program, by name, with the program itself first."""
    group = typer.main.get_command(app)
    return {"valar-batch": group, **group.commands}


def test_cli_page():
    """docs/cli.md is what `make docs` writes."""
    assert build.CLI_PAGE.read_text("utf-8") == build.cli_reference()


def test_api_support_page():
    """docs/api-support.md is what the rules say."""
    assert build.API_SUPPORT_PAGE.read_text("utf-8") == build.api_support()


@pytest.mark.parametrize("name", commands())
def test_help(name):
    """A command says what it does, and what each of its parameters does."""
    command = commands()[name]
    assert command.help
    assert [parameter.name for parameter in command.params if not parameter.help] == []


@pytest.mark.parametrize("page", build.PAGES, ids=name_of)
def test_page(page):
    """The commands of a page work, and print what the page says they print."""
    text = page.read_text("utf-8")
    printed, played = build.run_page(text)
    assert build.without_chance(printed) == build.without_chance(text)
    assert [(one.command, one.text) for one in played if one.status] == []
    assert any("valar-batch " in one.command for one in played)


def test_notebook():
    """The notebook runs without an error, and prints what is stored in it."""
    stored = nbformat.read(build.NOTEBOOK, nbformat.NO_CONVERT)
    assert build.run_notebook(stored) == stored


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links(page):
    """A relative link leads to a file and, with #, to a heading in it."""
    text = page.read_text("utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    for target in (target for target in targets if "://" not in target):
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, target


def test_reliability_page():
    """Each row of a table names tests, and those are there."""
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    proved = [line for line in rows if not line.startswith("| what happens |")]
    assert len(proved) > 50
    for row in proved:
        *_, cell, _ = row.split("|")
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
        assert named, row
        for path, name in named:
            assert re.search(rf"^def {name}\(", (ROOT / "tests" / path).read_text("utf-8"), re.M), (
                row
            )


def test_dependencies():
    """The design gives a reason for every dependency, and for nothing else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [re.match(r"[\w-]+", text)[0] for text in project["dependencies"]]
    section = (ROOT / "docs" / "design.md").read_text("utf-8").split("## Dependencies")[1]
    reasons = re.findall(r"^\| ([\w-]+) \| .", section.split("\n## ")[0], re.MULTILINE)
    assert reasons == ["package", *sorted(named)]


def texts():
    """The text files of the project."""
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        if path.is_file() and not hidden and path.suffix in TEXTS and not SKIPPED & {*parts}:
            yield path


def test_no_machine_paths():
    """No file names a folder of the machine that it was written on, or a package registry."""
    homes = r"/home/(?!ada\b)\w+|/Users/\w+|/root/|/tmp/tmp\w+|pypi\.org|pythonhosted"
    own = "|".join(re.escape(str(path)) for path in {ROOT, Path.home()} if len(path.parts) > 1)
    pattern = re.compile(f"{homes}|(?:{own})/")
    found = [(name_of(p), m[0]) for p in texts() if (m := pattern.search(p.read_text("utf-8")))]
    assert [each for each in found if each[0] != name_of(Path(__file__).resolve())] == []


def test_demo(tmp_path):
    """`samples/demo.sh` shows rows of an output, and can be run again."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    for _ in range(2):
        done = subprocess.run(
            ["sh", "samples/demo.sh"],
            cwd=tmp_path,
            env=build.environment(tmp_path),
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Auto open works." in done.stdout
        assert "300 rows: 300 completed" in done.stderr
        assert "error" not in done.stderr.lower()
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"home", "labelled.parquet"}
