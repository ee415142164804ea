"""Outputs through the real command line: formats, folders of parts, columns, and when to refuse."""

from __future__ import annotations

import gzip
import json
import time

import duckdb
import pandas as pd
import polars as pl
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.conftest import MODEL

ROWS = [{"id": f"w{n}", "n": n} for n in range(25)]
RECIPE = ("--model", MODEL, "--prompt", "{{ id }}", "--batch-size", "10")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def seen(rows) -> list[tuple[object, ...]]:
    """Give what every output of the run must have in each row."""
    return [(row["id"], int(row["n"]), row["status"], row["output_text"]) for row in rows]


def text_rows(content: bytes, delimiter: str | None) -> list[dict]:
    lines = content.decode().splitlines()
    if delimiter is None:
        return [json.loads(line) for line in lines]
    header = lines[0].split(delimiter)
    return [dict(zip(header, line.split(delimiter), strict=True)) for line in lines[1:]]


READ = {
    "out.parquet": lambda path: pq.read_table(path).to_pylist(),
    "out.arrow": lambda path: pyarrow.feather.read_table(path).to_pylist(),
    "out.feather": lambda path: pl.read_ipc(path).to_dicts(),
    "out.jsonl": lambda path: text_rows(path.read_bytes(), None),
    "out.jsonl.gz": lambda path: text_rows(gzip.decompress(path.read_bytes()), None),
    "out.ndjson.zst": lambda path: text_rows(unpacked(path), None),
    "out.tsv": lambda path: text_rows(path.read_bytes(), "\t"),
    "out.tsv.gz": lambda path: text_rows(gzip.decompress(path.read_bytes()), "\t"),
    "parts/": lambda path: pl.read_parquet(path).to_dicts(),
}


def unpacked(path) -> bytes:
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read()


def test_every_format_has_the_same_rows(path, tmp_path, cli, valar) -> None:
    """One run, fetched once, is written in every format without another call or another key."""
    run = cli("submit", path, *RECIPE).out.strip()
    cli("fetch", run, "--to", tmp_path / "first.jsonl")
    valar.stop()
    wanted = seen(text_rows((tmp_path / "first.jsonl").read_bytes(), None))
    assert [row[:3] for row in wanted] == [(f"w{n}", n, "completed") for n in range(25)]
    for name, read in READ.items():
        cli("fetch", run, "--to", f"{tmp_path}/{name}")
        assert seen(read(tmp_path / name)) == wanted, name
        cli("fetch", run, "--to", f"{tmp_path}/{name}")  # its own output it may replace


def test_settings_of_parquet_and_arrow(path, tmp_path, cli) -> None:
    """Row groups and compression are as they were asked for."""
    cli("run", path, *RECIPE, "--to", tmp_path / "o.parquet", "--row-group-size", "7",
        "--compression", "snappy")  # fmt: skip
    metadata = pq.ParquetFile(tmp_path / "o.parquet").metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [7, 7, 7, 4]
    assert {group.column(0).compression for group in groups} == {"SNAPPY"}
    cli("fetch", "--to", tmp_path / "o.arrow", "--row-group-size", "20", "--compression", "lz4")
    with pyarrow.ipc.open_file(tmp_path / "o.arrow") as file:
        assert file.num_record_batches == 2


def test_arrow_through_a_pipe(path, cli) -> None:
    """On standard output Arrow is a stream, which needs no end to be read from."""
    process = cli.start("run", path, *RECIPE, "--to", "-", "--format", "arrow", "-q")
    out, _ = process.communicate(timeout=60)
    assert seen(pyarrow.ipc.open_stream(out).read_all().to_pylist())[24][0] == "w24"


def test_columns(path, tmp_path, cli) -> None:
    """--columns chooses and orders, of the input's and of the outcome's; the whole response too."""
    cli("run", path, *RECIPE, "--to", tmp_path / "o.jsonl", "--columns", "status,id")
    lines = (tmp_path / "o.jsonl").read_text().splitlines()
    assert lines[3] == '{"status":"completed","id":"w3"}'
    done = cli("fetch", "--to", "-", "--columns", "response", "--columns", "custom_id")
    row = json.loads(done.out.splitlines()[1])
    assert list(row) == ["response", "custom_id"]
    assert row["response"]["object"] == "response"
    cli("fetch", "--to", tmp_path / "o.parquet", "--keep-response")
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.column_names[-1] == "response"
    assert json.loads(table["response"][1].as_py()) == row["response"]


def test_columns_that_are_not_there_stop_before_paying(path, tmp_path, cli, valar) -> None:
    """A misspelt column is said before anything is sent."""
    done = cli("run", path, *RECIPE, "--to", tmp_path / "o.csv", "--columns", "id,stauts", code=2)
    assert "there is no column 'stauts'" in done.err
    assert valar.executions()["total"] == 0
    assert not (tmp_path / "o.csv").exists()


def test_logprobs_and_reasons(path, tmp_path, cli) -> None:
    """Logprobs are a column where they were asked for; an answer that was cut says so."""
    out = tmp_path / "o.parquet"
    cli("run", path, *RECIPE, "--set", 'include=["message.output_text.logprobs"]',
        "--max-output-tokens", "12", "--to", out)  # fmt: skip
    for row in pq.read_table(out).to_pylist():
        assert "".join(entry["token"] for entry in row["logprobs"]) == row["output_text"]
        assert row["incomplete_reason"] == "max_output_tokens"
    plain = tmp_path / "plain.parquet"
    cli("run", path, *RECIPE, "--to", plain)
    assert "logprobs" not in pq.read_schema(plain).names


def test_a_recipe_file(path, tmp_path, cli) -> None:
    """A recipe is the run that the same flags are; a flag beside it wins."""
    (tmp_path / "r.toml").write_text(
        f'model = "{MODEL}"\nprompt = "{{{{ id }}}}"\ntemperature = 0.5\n'
    )
    flags = ("--model", MODEL, "--prompt", "{{ id }}", "--temperature")
    run = cli("submit", path, *flags, "0.5").out
    assert cli("submit", path, "--recipe", tmp_path / "r.toml").out == run
    other = cli("submit", path, *flags, "1").out
    assert cli("submit", path, "--recipe", tmp_path / "r.toml", "--temperature", "1").out == other
    done = cli("submit", path, "--recipe", tmp_path / "no.toml", code=2)
    assert "no.toml: No such file" in done.err


def rows_in(folder) -> list[int]:
    """Count the rows of a folder of parts, with the tools that people read it with."""
    return [
        len(duckdb.read_parquet(f"{folder}/*.parquet").fetchall()),
        pl.scan_parquet(folder).select(pl.col("status").count()).collect().item(),
        len(pd.read_parquet(folder, columns=["status"])),
    ]


def parts_in(folder) -> int:
    """Count the parts that are there: of two rows each, but for the last one's single row."""
    return len(list(folder.glob("part-*.parquet")))


def test_parts_can_be_read_while_the_run_goes_on(path, tmp_path, serve, make_cli) -> None:
    """Each batch is a whole file as soon as it is here; DuckDB, Polars and pandas read them."""
    cli, out = make_cli(serve("--latency", "4")), tmp_path / "parts"
    process = cli.start("run", path, *RECIPE, "--batch-size", "2", "--to", f"{out}/")
    counts = []
    before = 0
    while process.poll() is None:
        seen_before, before = before, parts_in(out)
        if before == seen_before:
            time.sleep(0.005)
        else:
            found = rows_in(out)
            assert all(2 * before - 1 <= count <= 2 * parts_in(out) for count in found)
            counts += found
    assert process.wait() == 0, process.stderr.read()
    assert 0 < min(counts) < 25  # it was really read on the way
    assert rows_in(out) == [25, 25, 25]
    table = pl.read_parquet(out).sort("n")
    assert table["id"].to_list() == [row["id"] for row in ROWS]
    assert {path.name for path in out.iterdir()} == {f"part-{n:05d}.parquet" for n in range(13)}


def test_parts_without_waiting(path, tmp_path, serve, make_cli) -> None:
    """--no-wait writes every part, with pending rows; a later fetch replaces them."""
    cli, out = make_cli(serve("--latency", "3")), tmp_path / "parts"
    run = cli("submit", path, *RECIPE).out.strip()
    cli("fetch", run, "--no-wait", "--to", f"{out}/", code=4)
    table = pl.read_parquet(out)
    assert table["id"].to_list() == [row["id"] for row in ROWS]
    assert "pending" in table["status"]
    cli("fetch", run, "--to", f"{out}/")
    assert pl.read_parquet(out)["status"].unique().to_list() == ["completed"]


def test_a_folder_that_is_not_this_runs(path, tmp_path, cli, valar) -> None:
    """Parts of another run, or any other file, are refused before paying."""
    out = tmp_path / "parts"
    out.mkdir()
    other = ("--model", MODEL, "--prompt", "other {{ id }}", "--batch-size", "5")
    cli("run", path, *other, "--to", out)  # an empty folder is free
    done = cli("run", path, *RECIPE, "--to", out, code=2)
    assert "holds files that this run did not write" in done.err
    assert valar.executions()["total"] == 25
    cli("run", path, *RECIPE, "--to", out, "--overwrite")
    assert {path.name for path in out.iterdir()} == {f"part-{n:05d}.parquet" for n in range(3)}
    assert pl.read_parquet(out)["output_text"].str.contains("other").sum() == 0
    (out / "notes.txt").write_text("mine")
    done = cli("fetch", "--to", out, code=2)
    assert "holds files that this run did not write" in done.err
    assert (out / "notes.txt").read_text() == "mine"
