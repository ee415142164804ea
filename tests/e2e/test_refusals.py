"""What is wrong gets its exit status and a message that a newcomer can act on; nothing is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import MODEL

GOOD = ("--model", MODEL, "--prompt", "{{ a }}")


@pytest.mark.parametrize(
    ("name", "content", "arguments", "code", "said"),
    [
        ("in.csv", "a\nx\n", ("--prompt", "{{ a }}"), 2, ["model: it is missing", "give --model"]),
        ("in.csv", "a\nx\n", ("--model", MODEL), 2, ["no --prompt", "the columns are: a"]),
        ("in.csv", "a\nx\n", (*GOOD, "--window", "asap"), 2, ["'asap' is not allowed", "standard"]),
        ("in.csv", "a\nx\n", (*GOOD, "--window", "soon"), 2, ["'soon' is not allowed"]),
        ("in.csv", "a\nx\n", (*GOOD, "--temperature", "9"), 2, ["between 0 and 2"]),
        ("in.csv", "a\nx\n", (*GOOD, "--batch-size", "100001"), 2, ["--batch-size", "100,000"]),
        ("in.csv", "a\nx\n", (*GOOD, "--set", "k"), 2, ["--set k", "metadata.tag=x"]),
        ("in.csv", "a\nx\n", (*GOOD, "--on-invalid", "fix"), 2, ["stop or skip"]),
        ("in.csv", "a\nx\n", ("--model", MODEL, "--prompt", "@no.txt"), 2, ["--prompt @no.txt"]),
        ("in.csv", "a\nx\n", (*GOOD, "--base-url", "http://example.org/v1"), 2, ["plain http"]),
        ("in.csv", "a\nx\n", (*GOOD, "--base-url", "valar"), 2, ["'valar' is not the address"]),
        ("in.csv", "b\nx\n", GOOD, 6, ["no column 'a'; the input has: b"]),
        ("in.csv", "a\n", GOOD, 6, ["in.csv", "no rows"]),
        ("in.csv", "", GOOD, 6, ["in.csv", "no rows"]),
        ("in.csv", "a,b\nx\n", GOOD, 6, ["row 1 (line 2)", "rows with problems: 1 of 1"]),
        ("in.jsonl", '{"a":"x"}\n{"a":\n', GOOD, 6, ["row 2", "JSON"]),
        ("in.jsonl", '{"a":"x"}\n[1]\n', GOOD, 6, ["row 2", "object"]),
        ("in.jsonl", '{"a":"x"}\n{"b":1}\n', GOOD, 6, ["row 2", "no column 'a'; the row has: b"]),
        ("in.jsonl", '{"a":null}\n', GOOD, 6, ["row 1", "a is null", "--null"]),
        ("in.jsonl", '{"a":""}\n', GOOD, 6, ["row 1", "empty text"]),
        (
            "in.jsonl",
            '{"a":"x","k":1}\n{"a":"y","k":2}\n{"a":"z","k":1}\n',
            (*GOOD, "--id", "k"),
            6,
            ["row 3, k: row 1 has the same id", "drop --id", "rows with problems: 1 of 3"],
        ),
        ("in.jsonl", '{"a":"x","k":null}\n', (*GOOD, "--id", "k"), 6, ["the id is null", "--id"]),
        (
            "in.jsonl",
            (
                '{"custom_id":"i","params":{"model":"m","input":"x",'
                '"metadata":{"completion_window":"asap"}}}\n'
            ),
            (),
            6,
            ["metadata.completion_window", "'asap' is not allowed here"],
        ),
        (
            "in.jsonl",
            '{"custom_id":"i","params":{"model":"m","messages":[]}}\n',
            (),
            6,
            [
                "messages: Valar does not take it",
                "use input",
                "input: it is missing",
                "or --fix mends it",
            ],
        ),
        ("in.parquet", "PAR1 is not enough", GOOD, 6, ["in.parquet", "Parquet"]),
        ("in.bin", "what is this", GOOD, 6, ["in.bin", "--input-format"]),
    ],
)
def test_refused_before_anything_is_sent(
    tmp_path, cli, valar, name, content, arguments, code, said
) -> None:
    """The exit status is the designed one, the message says where and what to do."""
    path = tmp_path / name
    path.write_text(content)
    done = cli("submit", path, *arguments, code=code)
    assert done.out == ""
    for words in said:
        assert words in done.err
    assert "Traceback" not in done.err
    assert valar.executions()["total"] == 0


def test_a_missing_file(tmp_path, cli) -> None:
    """A path that is not there is an input problem that names it."""
    assert "nowhere.csv" in cli("submit", tmp_path / "nowhere.csv", *GOOD, code=6).err


def test_a_single_request_over_the_limit(tmp_path, cli) -> None:
    """A row that fits in no batch is a problem of its row."""
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"a": "x" * 9000}) + "\n")
    done = cli("submit", path, *GOOD, "--batch-bytes", "8000", code=6)
    assert "row 1, request: the request has 9," in done.err


def test_all_problems_are_in_a_file(tmp_path, cli) -> None:
    """Twenty are shown with their count, all are listed in the file that is named."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"a": null}\n' * 50)
    done = cli("submit", path, *GOOD, code=6)
    assert "null in prompt: 50 rows" in done.err
    assert done.err.count("a is null") == 20
    named = next(line for line in done.err.splitlines() if line.startswith("all of them: "))
    lines = Path(named.removeprefix("all of them: ")).read_text().splitlines()
    assert [json.loads(line)["row"] for line in lines] == list(range(1, 51))


def test_skipped_rows_stay_in_the_output(tmp_path, cli, valar) -> None:
    """With --on-invalid skip a bad row has its place, the status invalid, and the reason."""
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text(
        '{"k":"a","a":"one"}\n{"k":"b","a":null}\n{broken\n{"k":"a","a":"two"}\n{"k":"d","a":"three"}\n'
    )
    done = cli(
        "run", path, *GOOD, "--id", "k", "--on-invalid", "skip", "--batch-size", "2",
        "--to", out, code=3,
    )  # fmt: skip
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row.get("k"), row["status"]) for row in rows] == [
        ("a", "completed"),
        ("b", "invalid"),
        (None, "invalid"),
        ("a", "invalid"),
        ("d", "completed"),
    ]
    assert [row["error"] for row in rows[1:4]] == [
        "row 2, prompt: a is null",
        rows[2]["error"],
        "row 4, k: row 1 has the same id",
    ]
    assert rows[2]["error"].startswith("row 3: ")
    assert "2 completed, 3 invalid" in done.err
    assert valar.executions() == {"total": 2, "distinct": 2, "repeated": []}


def test_every_row_invalid(tmp_path, cli, valar) -> None:
    """A run without one request is finished at once and sends nothing."""
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"a":null}\n{"a":null}\n')
    cli("run", path, *GOOD, "--on-invalid", "skip", "--to", out, code=3)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["status"] for row in rows] == ["invalid", "invalid"]
    assert valar.get("/v1/batches") == []


def test_ids_that_valar_refuses_are_mapped_and_joined_back(tmp_path, cli) -> None:
    """Upper case, mail addresses, URLs, numbers: every id works, the original stays."""
    ids = ["Ünï", "user@example.org", "https://a/b?c=d", "{F-1}", "UPPER", "ok", 7]
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps({"id": i, "a": f"w{n}"}) + "\n" for n, i in enumerate(ids)))
    cli("run", path, *GOOD, "--id", "id", "--to", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == ids
    assert all(f"w{n}" in row["output_text"] for n, row in enumerate(rows))
    assert [row["custom_id"] for row in rows[5:]] == ["ok", "7"]


def test_failed_rows(tmp_path, serve, make_cli) -> None:
    """Requests that fail are fetched for their error; the run ends with 3 and says what to do."""
    cli = make_cli(serve("--failure-share", "0.3"))
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps({"a": f"w{n}"}) + "\n" for n in range(200)))
    done = cli("run", path, *GOOD, "--to", out, code=3)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    failed = [row for row in rows if row["status"] == "failed"]
    assert 30 < len(failed) < 90
    assert all(row["error"] and row["output_text"] is None for row in failed)
    assert {row["status"] for row in rows} == {"completed", "failed"}
    assert f"{len(failed)} failed" in done.err


def test_a_wrong_key(tmp_path, cli) -> None:
    """A refused key ends with 5, names the variable, keeps the run, and never shows the key."""
    path = tmp_path / "in.csv"
    path.write_text("a\nx\n")
    wrong = cli.elsewhere(cli.home, VALAR_API_KEY="sk-very-secret")
    done = wrong("submit", path, *GOOD, code=5)
    assert "VALAR_API_KEY" in done.err
    assert "sk-very-secret" not in done.err + done.out
    for file in cli.home.rglob("*"):
        assert not file.is_file() or b"sk-very-secret" not in file.read_bytes()
    run = cli("submit", path, *GOOD).out.strip()
    assert run in done.out


def test_no_key(tmp_path, make_cli) -> None:
    """Without a key the message says what to set and how to try for free."""
    path = tmp_path / "in.csv"
    path.write_text("a\nx\n")
    done = make_cli()("submit", path, *GOOD, code=2)
    assert "VALAR_API_KEY" in done.err
    assert "--local" in done.err


def test_a_model_that_valar_does_not_have(tmp_path, cli) -> None:
    """The first batch goes alone: the refusal is led back to its row, one upload spent."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"a": f"w{n}"}) + "\n" for n in range(30)))
    arguments = ("--model", "no/such-model", "--prompt", "{{ a }}", "--batch-size", "10")
    done = cli("submit", path, *arguments, code=1)
    assert "in.jsonl row 1, model" in done.err
    assert "model 'no/such-model' is not served here" in done.err
    states = [batch["state"] for batch in cli.json("status")["batches"]]
    assert states == ["prepared"] * 3


def test_an_output_that_exists_is_not_replaced(tmp_path, cli, valar) -> None:
    """A stranger's file is refused before anything is sent; the run's own file is replaced."""
    path, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    path.write_text("a\nx\n")
    out.write_text("precious")
    done = cli("run", path, *GOOD, "--to", out, code=2)
    assert "--overwrite" in done.err
    assert out.read_text() == "precious"
    assert valar.executions()["total"] == 0
    assert cli.json("list") == []
    cli("run", path, *GOOD, "--to", out, "--overwrite")
    cli("run", path, *GOOD, "--to", out)
    assert json.loads(out.read_text())["status"] == "completed"
    path.write_text("a\nz\n")
    cli("run", path, *GOOD, "--to", out, code=2)
    assert valar.executions()["total"] == 1
    assert len(cli.json("list")) == 1


def test_the_input_is_not_written_over(tmp_path, cli, valar) -> None:
    """Not even with --overwrite, nor by a fetch, nor with a file that would join a folder's."""
    path, folder = tmp_path / "in.csv", tmp_path / "folder"
    path.write_text("a\nx\n")
    folder.mkdir()
    (folder / "in.csv").write_text("a\ny\n")
    before = path.read_bytes(), sorted(folder.iterdir())
    for given, to in ((path, path), (folder, folder / "out.csv"), (folder, f"{folder}/")):
        done = cli("run", given, *GOOD, "--to", to, "--overwrite", code=2)
        assert "is the input, or would be read as a part of it" in done.err
    assert valar.executions()["total"] == 0
    run = cli("submit", path, *GOOD).out.strip()
    cli("fetch", run, "--to", path, "--overwrite", code=2)
    assert (path.read_bytes(), sorted(folder.iterdir())) == before


def test_a_home_that_cannot_be_used(tmp_path, cli) -> None:
    """A home that is a file is an error in words, with the variable that mends it."""
    path = tmp_path / "in.csv"
    path.write_text("a\nx\n")
    done = cli.elsewhere(path)("submit", path, *GOOD, code=1)
    assert "VALAR_BATCH_HOME" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("to", ["out.xlsx", "out", "no/such/folder/out.csv"])
def test_outputs_that_cannot_be_written(tmp_path, cli, valar, to) -> None:
    """An output that could not be written in the end is refused at the beginning."""
    path = tmp_path / "in.csv"
    path.write_text("a\nx\n")
    cli("run", path, *GOOD, "--to", tmp_path / to, code=2)
    assert valar.executions()["total"] == 0


def test_validate_says_all_of_it_and_sends_nothing(tmp_path, make_cli) -> None:
    """Counts, bytes, tokens and cost without a key; 6 where there are problems."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"a":"x"}\n{"a":null}\n{"a":"y"}\n')
    cli = make_cli()
    done = cli("validate", path, *GOOD, "--max-output-tokens", "100", code=6)
    assert "3 rows: 2 requests in 1 batch" in done.err
    assert "row 2, prompt: a is null" in done.err
    report = json.loads(cli("validate", path, *GOOD, "--null", "", "--json", code=6).out)
    assert report["problems"] == [{"kind": "empty", "field": "prompt", "rows": 1}]
    assert (report["rows"], report["requests"], report["batches"]) == (3, 2, 1)
    assert report["output_cost_usd_limit"] is None
    assert not list((cli.home / "runs").glob("*"))
