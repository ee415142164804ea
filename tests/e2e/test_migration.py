"""Files that were written for other batch APIs run as they are; mistakes are mended on request."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import valar_batch
from tests.conftest import MODEL as TEXT_MODEL
from tests.e2e.foreign_requests import MODEL, anthropic_items, openai_lines
from valar_batch.core.identity import custom_id_for_value
from valar_batch.events import Notice

SAMPLES = "samples"


def write(path, rows):
    """Write rows as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path):
    """Read rows of JSONL."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def nobody(make_cli):
    """A command line without key and target."""
    return make_cli()


@pytest.mark.parametrize(
    ("make", "count"), [(openai_lines, 1000), (anthropic_items, 500)], ids=["openai", "anthropic"]
)
def test_a_whole_file_runs_as_it_is(make, count, cli, valar, tmp_path) -> None:
    """Every row becomes the params that were written by hand beside it, is answered, and joined on
    its own custom_id; what preview writes of it is the very same run, and is answered the same.
    """
    rows, params = make(count, seed=4)
    items = [
        {"custom_id": custom_id_for_value(row["custom_id"]), "params": wanted}
        for row, wanted in zip(rows, params, strict=True)
    ]
    given, translated = write(tmp_path / "given.jsonl", rows), tmp_path / "translated.jsonl"
    translated.write_text(cli("preview", given, "--model", MODEL, "--all", "--json").out)
    assert read(translated) == items
    ran = cli.json("run", given, "--model", MODEL, "--to", tmp_path / "out.jsonl")
    out = read(tmp_path / "out.jsonl")
    assert [{name: row[name] for name in rows[0]} for row in out] == rows
    assert [row["valar_custom_id"] for row in out] == [item["custom_id"] for item in items]
    assert ran["statuses"] == {"completed": count}
    again = cli.json("run", translated, "--to", tmp_path / "again.jsonl")
    assert again["run"] == ran["run"]
    names = [name for name in out[0] if name not in {*rows[0], "valar_custom_id"}]
    assert [[row[name] for name in names] for row in read(tmp_path / "again.jsonl")] == [
        [row[name] for name in names] for row in out
    ]
    assert valar.executions()["total"] == count


def test_lines_without_method_and_url_in_other_formats(nobody, tmp_path) -> None:
    """The body tells what it is; in CSV it is JSON text, in Parquet a struct or text."""
    chat = {"model": "m", "messages": [{"role": "user", "content": "a"}], "max_tokens": 5}
    own = {"model": "m", "instructions": "s", "input": "b"}
    expected = [
        {"custom_id": "1", "params": {
            "model": TEXT_MODEL, "input": [{"role": "user", "content": "a"}],
            "max_output_tokens": 5}},
        {"custom_id": "2", "params": {
            "model": TEXT_MODEL, "input": [
                {"role": "system", "content": "s"}, {"role": "user", "content": "b"}]}},
    ]  # fmt: skip
    ids, bodies = ["1", "2"], [chat, own]
    texts = list(map(json.dumps, bodies))
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    (tmp_path / "in.csv").write_text(f"custom_id,body\n1,{quoted[0]}\n2,{quoted[1]}\n")
    pq.write_table(pa.table({"custom_id": ids, "body": bodies}), tmp_path / "struct.parquet")
    pq.write_table(pa.table({"custom_id": ids, "body": texts}), tmp_path / "text.parquet")
    write(tmp_path / "in.jsonl", [dict(custom_id=i, body=b) for i, b in zip(ids, bodies)])  # noqa: B905, C408
    for name in ("in.csv", "struct.parquet", "text.parquet", "in.jsonl"):
        done = nobody("preview", tmp_path / name, "--model", TEXT_MODEL, "--all", "--json")
        assert list(map(json.loads, done.out.splitlines())) == expected, name


BAD_LINES = [
    ({"body": {"messages": [{"role": "user", "content": "x"}], "stop": ["a"], "n": 3}},
     ["body.stop", "body.n"]),
    ({"body": {"messages": [{"role": "user", "content": []}], "max_tokens": 0}},
     ["body.messages.0.content", "body.max_tokens"]),
    ({"url": "/v1/embeddings", "body": {"input": "x"}}, ["url"]),
    ({"method": "GET", "body": {}}, ["method"]),
    ({"body": "x"}, ["body"]),
    ({"body": 5}, ["body"]),
    ({}, ["body"]),
    ({"body": {"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "input_audio"}]}]}},
     ["body.messages.0.content.1", "body.messages.0.content.0.image_url.url"]),
    ({"url": "/v1/responses", "body": {"input": "x", "previous_response_id": "r"}},
     ["body.previous_response_id"]),
    ({"url": "/v1/responses", "body": {"instructions": "s", "input": [
        {"role": "user", "content": "x"}, {"role": "boss", "content": "y"}]}},
     ["body.input.1.role"]),
    ({"body": {"input": "fine"}}, []),
]  # fmt: skip


def test_lines_that_cannot_be_translated(nobody, tmp_path) -> None:
    """Each is refused with its row and every field, as it is called there."""
    lines = [
        {
            "custom_id": f"c{n}", "url": "/v1/chat/completions", **line,
            **({"body": {"model": TEXT_MODEL, **body}}
               if isinstance(body := line.get("body"), dict) else {}),
        }
        for n, (line, _) in enumerate(BAD_LINES)
    ]  # fmt: skip
    lines[-1]["url"] = None
    path = write(tmp_path / "in.jsonl", lines)
    done = nobody("validate", path, "--json", code=6)
    report = json.loads(done.out)
    assert (report["rows"], report["requests"]) == (len(lines), 1)
    (listed,) = (nobody.home / "problems").iterdir()
    found = [(problem["row"], problem["field"]) for problem in read(listed)]
    assert found == [
        (row, field) for row, (_, fields) in enumerate(BAD_LINES, 1) for field in fields
    ]


def test_items_that_cannot_be_translated(nobody, tmp_path) -> None:
    """Anthropic's items name the fields under params; Valar's own are told apart."""
    user = {"role": "user", "content": "x"}
    message = {"model": TEXT_MODEL, "max_tokens": 5, "messages": [user]}
    cases = [
        ({**message, "thinking": {"type": "enabled"}, "top_k": 3},
         ["params.thinking", "params.top_k"]),
        ({**message, "stop_sequences": ["x"], "max_tokens": 0},
         ["params.stop_sequences", "params.max_tokens"]),
        ({**message, "messages": [{"role": "user", "content": [{"type": "document"}]}]},
         ["params.messages.0.content.0"]),
        ({**message, "system": [{"type": "text"}]}, ["params.system.content.0.text"]),
        ({"model": TEXT_MODEL, "messages": [user]}, ["input", "messages"]),
        ({**message, "messages": [{"role": "system", "content": "s"}, user]},
         ["input", "max_tokens", "messages"]),
        ({"model": TEXT_MODEL, "input": "x", "max_tokens": 5}, ["max_tokens"]),
    ]  # fmt: skip
    items = [{"custom_id": f"c{n}", "params": params} for n, (params, _) in enumerate(cases)]
    nobody("validate", write(tmp_path / "in.jsonl", items), code=6)
    (listed,) = (nobody.home / "problems").iterdir()
    found = [(problem["row"], problem["field"]) for problem in read(listed)]
    assert found == [(row, f) for row, (_, fields) in enumerate(cases, 1) for f in fields]


def test_models_of_elsewhere_are_named_once(nobody) -> None:
    """A model that Valar may not have is said once with its rows; --model takes its place."""
    path = f"{SAMPLES}/openai-batch.jsonl"
    told = nobody("validate", path).err.splitlines()
    assert told[:3] == [
        "translated: 4 × /v1/chat/completions, 2 × /v1/responses",
        "fixed: 1 × store: false dropped",
        (
            "model 'gpt-4o-mini' is not in this version's table: `valar-batch models` lists what "
            "Valar serves (rows that name it: 6; --model MODEL takes its place)"
        ),
    ]
    assert "gpt-4o-mini" not in nobody("validate", path, "--model", MODEL).err


@pytest.mark.parametrize(
    ("sample", "translated", "fixed"),
    [
        ("openai-batch", {"/v1/chat/completions": 4, "/v1/responses": 2},
         {"store: false dropped": 1}),
        ("anthropic-batch", {"/v1/messages": 5}, {"cache_control dropped": 1}),
    ],
)  # fmt: skip
def test_the_samples(sample, translated, fixed, nobody) -> None:
    """They have nothing to refuse."""
    report = nobody.json("validate", f"{SAMPLES}/{sample}.jsonl", "--model", MODEL)
    assert (report["problems"], report["translated"], report["fixed"]) == ([], translated, fixed)


MISTAKEN = {
    "messages": [{"role": "developer", "content": "s"}, {"role": "user", "content": [
        {"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "https://x/a"}},
    ]}],
    "instructions": "i",
    "max_completion_tokens": 5,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "reasoning_effort": "low",
    "store": False,
    "stream": True,
    "metadata": {"completion_window": "asap"},
    "top_p": None,
}  # fmt: skip
MENDED = {
    "model": MODEL,
    "metadata": {"completion_window": "standard"},
    "max_output_tokens": 5,
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
    "reasoning": {"effort": "low"},
    "input": [
        {"role": "system", "content": "i"},
        {"role": "system", "content": "s"},
        {"role": "user", "content": [
            {"type": "input_text", "text": "x"},
            {"type": "input_image", "image_url": "https://x/a"},
        ]},
    ],
}  # fmt: skip
REPAIRS = {
    "null fields dropped": 2,
    "store: false dropped": 2,
    "stream dropped": 2,
    "max_completion_tokens → max_output_tokens": 2,
    "response_format → text.format": 2,
    "reasoning_effort → reasoning.effort": 2,
    "role developer → system": 2,
    "text → input_text": 2,
    "image_url → input_image": 2,
    "messages → input": 2,
    "instructions → a leading system message": 2,
    "window asap → standard": 2,
}


def test_fix_mends_and_says_what(cli, valar, tmp_path, monkeypatch) -> None:
    """Without it each mistake is a problem that says that --fix mends it; with it each is
    rewritten and counted, for validate, preview, run and Python alike.
    """
    rows = [{"custom_id": f"c{n}", "params": {"model": MODEL, **MISTAKEN}} for n in (1, 2)]
    path = write(tmp_path / "in.jsonl", rows)
    refused = cli("validate", path, "--json", code=6)
    assert {each["field"] for each in json.loads(refused.out)["problems"]} == {
        "input", "messages", "instructions", "max_completion_tokens", "response_format",
        "reasoning_effort", "store", "stream", "metadata.completion_window",
    }  # fmt: skip
    (listed,) = (cli.home / "problems").iterdir()
    offers = {p["field"] for p in read(listed) if p["hint"].endswith("; or --fix mends it")}
    assert offers == {
        "messages", "instructions", "max_completion_tokens", "response_format",
        "reasoning_effort", "store", "stream", "metadata.completion_window",
    }  # fmt: skip
    report = cli.json("validate", path, "--fix")
    assert (report["problems"], report["fixed"], report["translated"]) == ([], REPAIRS, {})
    previewed = cli("preview", path, "--fix", "--all", "--json").out
    assert list(map(json.loads, previewed.splitlines())) == [
        {"custom_id": f"c{n}", "params": MENDED} for n in (1, 2)
    ]
    done = cli("run", path, "--fix", "--to", tmp_path / "out.jsonl")
    assert [f"fixed: {n} × {what}" for what, n in REPAIRS.items()] == [
        line for line in done.err.splitlines() if line.startswith("fixed")
    ]
    assert [row["status"] for row in read(tmp_path / "out.jsonl")] == ["completed"] * 2
    for name, value in {"VALAR_BATCH_HOME": cli.home, "VALAR_BASE_URL": valar.base_url}.items():
        monkeypatch.setenv(name, str(value))
    events: list[object] = []
    run = valar_batch.submit(rows, fix=True, api_key=valar.key, reporter=events.append)
    assert (run.fixed, run.batches_sent) == (REPAIRS, 0)
    assert Notice("fixed: 2 × messages → input") in events
    assert valar.executions()["total"] == 2


def test_fix_on_columns_options_and_recipes(nobody, tmp_path) -> None:
    """Ready columns and --set are mended too, by a recipe as by the option."""
    content = [{"type": "text", "text": "x"}]
    rows = [{"messages": [{"role": "user", "content": content}]}, {"messages": [
        {"role": "user", "content": "y"}]}]  # fmt: skip
    path = write(tmp_path / "in.jsonl", rows)
    options = ("--model", TEXT_MODEL, "--set", "max_tokens=5", "--set", "instructions=i")
    assert nobody("preview", path, *options, code=2).err == (
        "error: max_tokens: Valar does not take it; instructions: Valar does not take it\n"
        "  use max_output_tokens; or --fix mends it\n"
    )
    (tmp_path / "recipe.toml").write_text("fix = true\n")
    previews = [
        nobody("preview", path, *options, *flag, "--all", "--json").out
        for flag in (["--fix"], ["--recipe", tmp_path / "recipe.toml"])
    ]
    assert previews[0] == previews[1]
    lead = {"role": "system", "content": "i"}
    assert [json.loads(line)["params"] for line in previews[0].splitlines()] == [
        {"model": TEXT_MODEL, "max_output_tokens": 5, "input": [lead, {
            "role": "user", "content": [{"type": "input_text", "text": "x"}]}]},
        {"model": TEXT_MODEL, "max_output_tokens": 5,
         "input": [lead, {"role": "user", "content": "y"}]},
    ]  # fmt: skip
    report = nobody.json("validate", path, *options, "--fix", "--window", "asap")
    assert report["fixed"] == {
        "max_tokens → max_output_tokens": 1,
        "window asap → standard": 1,
        "instructions → a leading system message": 1,
        "text → input_text": 1,
        "messages → input": 1,
    }


def test_fix_leaves_contradictions(nobody, tmp_path) -> None:
    """Where the old field and the new one differ, and where nothing corresponds, it stays."""
    params = {"model": TEXT_MODEL, "input": "x", "max_tokens": 5, "max_output_tokens": 6, "n": 2}
    path = write(tmp_path / "in.jsonl", [{"custom_id": "a", "params": params}])
    report = json.loads(nobody("validate", path, "--fix", "--json", code=6).out)
    assert {each["field"] for each in report["problems"]} == {"max_tokens", "n"}
    assert report["fixed"] == {}
    (listed,) = (nobody.home / "problems").iterdir()
    assert not any("--fix" in problem["hint"] for problem in read(listed))
