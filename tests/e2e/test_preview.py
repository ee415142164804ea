"""preview shows what would be sent, and sends nothing."""

from __future__ import annotations

import json

import pytest

from tests.conftest import MODEL

ROWS = 'id,text\na,Good\nb,\nc,Größe 漢字\nd,"two\nlines"\n'
RECIPE = ("--model", MODEL, "--prompt", "Say: {{ text }}", "--id", "id")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(ROWS)
    return path


@pytest.fixture
def nobody(make_cli):
    """A command line without a key and without a Valar."""
    return make_cli(VALAR_BASE_URL="http://127.0.0.1:9/v1")


def test_the_first_rows_are_shown_readably(path, nobody) -> None:
    """Each message under its role, then the other fields; three rows unless told otherwise."""
    done = nobody("preview", path, *RECIPE, "--system", "Be brief.", "--temperature", "0.5")
    blocks = [part.splitlines() for part in done.out.strip().split("\n\n")]
    assert [block[0].split(" ─")[0] for block in blocks] == ["row 1, a", "row 2, b", "row 3, c"]
    assert blocks[2][1:] == [
        "system", "Be brief.", "user", "Say: Größe 漢字", f"model: {MODEL}", "temperature: 0.5",
    ]  # fmt: skip
    assert done.err == ""


def test_chosen_rows(path, nobody) -> None:
    """--row shows that row, -n another count; a row that is not there is said."""
    done = nobody("preview", path, *RECIPE, "--row", "4", "--row", "1")
    assert done.out.count("user\n") == 2
    assert "Say: two\nlines\n" in done.out
    assert nobody("preview", path, *RECIPE, "-n", "1").out.count("user\n") == 1
    assert "--row 9: " in nobody("preview", path, *RECIPE, "--row", "9", code=2).err


def test_the_exact_requests(path, tmp_path, nobody, cli, valar) -> None:
    """`--all --json` is a file of items: sent as such, it is the same requests, row for row."""
    done = nobody("preview", path, *RECIPE, "--all", "--json")
    items = [json.loads(line) for line in done.out.splitlines()]
    assert [item["custom_id"] for item in items] == ["a", "b", "c", "d"]
    assert items[3]["params"] == {"model": MODEL, "input": "Say: two\nlines"}
    (tmp_path / "items.jsonl").write_text(done.out)
    run = cli("submit", path, *RECIPE).out
    assert cli("submit", tmp_path / "items.jsonl").out == run
    assert valar.executions()["total"] == 4
    assert (
        cli("preview", path, *RECIPE, "--row", "2", "--json").out == done.out.splitlines()[1] + "\n"
    )


def test_rows_with_problems(tmp_path, nobody) -> None:
    """A row that cannot be sent says why, with its place; the others are shown."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a"}\nnonsense\n{"texts": "c"}\n')
    done = nobody("preview", path, *RECIPE[:4], code=6)
    assert "row 1, r-1" in done.out
    assert f"{path} row 2: the line is not valid JSON" in done.err
    assert f"{path} row 3, prompt: no column 'text'; the row has: texts" in done.err


def test_images_and_items(tmp_path, nobody) -> None:
    """An image is named and not printed; a finished request is shown by its messages."""
    params = {
        "model": "google/gemma-4-31B-it",
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": "https://example.com/a.png"},
            ]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        ],
    }  # fmt: skip
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"custom_id": "one", "params": params}))
    done = nobody("preview", path)
    assert "What is it?\n[image https://example.com/a.png]\nfunction_call\n" in done.out
