"""submit, status, fetch and run from Python: what the commands do, in this process."""

from __future__ import annotations

import inspect
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pydantic
import pytest
import typer

import valar_batch
from tests.conftest import MODEL
from valar_batch import events
from valar_batch.cli.main import app

RECIPE = {"model": MODEL, "prompt": "Team for {{ text }}?"}


def test_run_gives_the_table_that_the_command_writes(tickets, tmp_path, target, make_cli) -> None:
    """The same input under the same recipe: one run, one result, down to the metadata."""
    table = valar_batch.run(tickets, **RECIPE, id="n", max_output_tokens=50)
    cli = make_cli(target)
    options = ("--model", MODEL, "--prompt", RECIPE["prompt"], "--id", "n")
    out = tmp_path / "out.arrow"
    cli("run", tickets, *options, "--max-output-tokens", "50", "--to", out)
    with pa.ipc.open_file(out) as file:
        assert table.equals(file.read_all(), check_metadata=True)
    assert table["status"].to_pylist() == ["completed"] * 5
    assert target.executions()["total"] == 5


def test_submit_status_and_fetch(tickets, target, make_cli) -> None:
    """The three steps one by one; a run is named by its handle, its id, its name, or nothing."""
    run = valar_batch.submit(tickets, **RECIPE, name="mine", batch_size=2)
    assert run == valar_batch.Run(run.id, rows=5, requests=5, batches_sent=3, batches_found=0)
    again = valar_batch.submit(tickets, **RECIPE, name="mine", batch_size=2)
    assert again == valar_batch.Run(run.id, rows=5, requests=5, batches_sent=0, batches_found=0)
    standing = valar_batch.status(run)
    assert msgspec.to_builtins(standing) == make_cli(target).json("status", run)
    assert (standing.is_settled, standing.statuses) == (True, {"completed": 5})
    tables = [valar_batch.fetch(named) for named in (run, str(run), "mine", None)]
    assert tables[0]["n"].to_pylist() == [0, 1, 2, 3, 4]
    assert all(table.equals(tables[0]) for table in tables)
    assert target.executions()["total"] == 5


def test_a_file_in_place_of_a_table(tickets, tmp_path, target) -> None:
    """With `to`, a file is written; what comes back says what is in it and stands for its path."""
    table = valar_batch.run(tickets, **RECIPE)
    out = tmp_path / "out.csv"
    written = valar_batch.run(tickets, **RECIPE, to=out)
    assert (written.path, written.run_id) == (out, valar_batch.status().run)
    assert (written.summary.rows, dict(written.summary.statuses)) == (5, {"completed": 5})
    assert written.summary.output_tokens == sum(table["output_tokens"].to_pylist())
    assert pd.read_csv(written)["output_text"].tolist() == table["output_text"].to_pylist()
    out.write_text("another's")
    with pytest.raises(valar_batch.UsageError, match="this run did not write it"):
        valar_batch.fetch(to=out)
    assert valar_batch.fetch(to=out, overwrite=True) == written


def test_columns_and_formats(tickets, tmp_path, target) -> None:
    """The options of outputs are those of the command."""
    table = valar_batch.run(tickets, **RECIPE, columns=["output_text", "n"])
    assert table.column_names == ["output_text", "n"]
    assert valar_batch.fetch(columns="output_text,n").equals(table)
    assert pa.types.is_string(valar_batch.fetch(keep_response=True).schema.field("response").type)
    out = tmp_path / "rows"
    valar_batch.fetch(to=out, format="parquet", compression="gzip", row_group_size=2)
    metadata = pq.read_metadata(out)
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [2, 2, 1]
    assert {group.column(0).compression for group in groups} == {"GZIP"}
    with pytest.raises(valar_batch.UsageError, match="'m'"):
        valar_batch.fetch(columns=["m"])


def test_a_recipe_beside_keywords(tickets, tmp_path, target) -> None:
    """A recipe is a file or a mapping, and keywords win over it."""
    path = tmp_path / "recipe.toml"
    path.write_text(f'model = "other"\nprompt = "{RECIPE["prompt"]}"\n')
    (tmp_path / "prompt.txt").write_text(RECIPE["prompt"] + "\n")
    recipes = [
        {**RECIPE},
        {"recipe": path, "model": MODEL},
        {"recipe": {"model": "other", **RECIPE}},
        {"model": MODEL, "prompt": f"@{tmp_path / 'prompt.txt'}", "temperature": None},
    ]
    runs = [valar_batch.submit(tickets, **recipe) for recipe in recipes]
    assert {run.id for run in runs} == {runs[0].id}
    tagged = valar_batch.submit(tickets, **RECIPE, set={"metadata.team": "support"})
    assert tagged.id != runs[0].id


def test_a_key_that_is_given(tickets, home, valar, capfd) -> None:
    """`api_key` serves in place of the environment; it is neither written down nor shown."""
    where = {"base_url": valar.base_url, "api_key": valar.key}
    run = valar_batch.submit(tickets, **RECIPE, **where)
    assert valar_batch.status(run, api_key=valar.key).statuses == {"completed": 5}
    with pytest.raises(valar_batch.UsageError, match="VALAR_API_KEY is not set"):
        valar_batch.fetch(run)
    with pytest.raises(valar_batch.KeyRefused) as refused:
        valar_batch.fetch(run, api_key="no-such-key")
    assert "no-such-key" not in str(refused.value)
    assert valar_batch.fetch(run, api_key=valar.key).num_rows == 5
    assert valar_batch.fetch(run).num_rows == 5  # all is here: no key is needed
    files = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    assert [content for content in files if valar.key.encode() in content] == []
    assert capfd.readouterr() == ("", "")


def test_the_embedded_local_valar(tickets, home) -> None:
    """`local=True` needs neither a key nor an address, and a run remembers it."""
    table = valar_batch.run(tickets, **RECIPE, local=True)
    assert table["output_text"][0].as_py().startswith("[rehearsal] ")
    assert valar_batch.status().target == "local"
    assert valar_batch.fetch().equals(table)


def test_again_pays_again(tickets, target) -> None:
    """A table that was given is an output: after it, `again` begins another generation."""
    first = valar_batch.run(tickets, **RECIPE)
    second = valar_batch.run(tickets, **RECIPE, again=True)
    ids = [table.schema.metadata[b"valar_batch.run_id"].decode() for table in (first, second)]
    assert ids[1] == f"{ids[0]}-2"
    assert target.executions()["total"] == 10


def test_what_is_there_now(tickets, home, serve, monkeypatch) -> None:
    """Without `wait`, the rows whose answer is not there are pending."""
    slow = serve("--latency", "3600")
    monkeypatch.setenv("VALAR_BASE_URL", slow.base_url)
    monkeypatch.setenv("VALAR_API_KEY", slow.key)
    run = valar_batch.submit(tickets, **RECIPE)
    table = valar_batch.fetch(run, wait=False)
    assert table["status"].to_pylist() == ["pending"] * 5
    assert table["text"].to_pylist() == [f"ticket number {n}" for n in range(5)]


@pytest.mark.parametrize(
    ("options", "kind", "message", "hint"),
    [
        ({"prompt": None}, "UsageError", "no --prompt", "--prompt"),
        ({"prompt": "{{ txt }}"}, "InputError", "no column 'txt'", "nothing was sent"),
        ({"on_invalid": "fix"}, "UsageError", "stop or skip", ""),
        ({"batch_size": 100_001}, "UsageError", "100,000", ""),
        ({"temperature": 9}, "UsageError", "between 0 and 2", ""),
        ({"local": True, "base_url": "https://a/v1"}, "UsageError", "two targets", "one of them"),
        ({"concurrency": 0}, "UsageError", "concurrency is at least 1, not 0", ""),
        ({"progress": "loud"}, "UsageError", "auto, bar, plain or none", ""),
        ({"to": "-"}, "UsageError", "command line", "leave it out"),
        ({"to": "rows.txt"}, "UsageError", "does not say which format", ".parquet"),
    ],
)
def test_refusals(tickets, target, options, kind, message, hint) -> None:
    """What cannot be is an error of the package, with the next step as its note."""
    with pytest.raises(valar_batch.ValarBatchError, match=message) as raised:
        valar_batch.run(tickets, **{**RECIPE, **options})
    assert type(raised.value).__mro__[-5:].count(getattr(valar_batch, kind)) == 1
    notes = "\n".join(getattr(raised.value, "__notes__", []))
    assert hint in f"{notes}\n{raised.value}"
    assert target.executions()["total"] == 0


def test_problems_are_in_the_message(tmp_path, home) -> None:
    """Who sees only the exception sees the first problems, and how many there are."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"n":1,"text":"a"}\n{"n":1,"text":"b"}\n{"n":2,"text":null}\n')
    with pytest.raises(valar_batch.InputError) as raised:
        valar_batch.submit(path, **RECIPE, id="n", local=True)
    error = raised.value
    assert isinstance(error, valar_batch.ProblemsFound)
    assert str(error).splitlines() == [
        "rows with problems: 2 of 3; nothing was sent",
        "  row 3, prompt: text is null",
        "  row 2, n: row 1 has the same id",
        f"all: {error.path}",
    ]
    assert (error.tally.rows, error.totals.rows) == (2, 3)
    assert error.__notes__ == [error.hint]
    table = valar_batch.run(path, **RECIPE, id="n", local=True, on_invalid="skip")
    assert table["status"].to_pylist() == ["completed", "invalid", "invalid"]


def test_an_option_that_there_is_not(tickets, home) -> None:
    """A misspelt option is named, with the one that was meant."""
    with pytest.raises(TypeError, match=r"run\(\) has no option 'modle'; 'model' is meant\?"):
        valar_batch.run(tickets, modle=MODEL)
    with pytest.raises(TypeError, match=r"fetch\(\) has no option 'prompt'"):
        valar_batch.fetch(prompt="x")


def test_runs_in_threads(tmp_path, home) -> None:
    """Several runs at once share one local Valar, which is started once, and stay apart."""
    paths = [tmp_path / f"{n}.csv" for n in range(4)]
    for n, path in enumerate(paths):
        path.write_text("text\n" + "".join(f"{n}-{row}\n" for row in range(20)))
    with ThreadPoolExecutor(4) as pool:
        tables = list(pool.map(lambda path: valar_batch.run(path, **RECIPE, local=True), paths))
    answers = [table["output_text"].to_pylist() for table in tables]
    want = "[rehearsal] an answer would stand here, to: Team for {}-{}?"
    assert answers == [[want.format(n, row) for row in range(20)] for n in range(4)]
    assert len(list((home / "runs").iterdir())) == 4


def test_the_same_input_in_two_threads(tickets, target, home) -> None:
    """Two calls at the same time for the same work are one run, sent once."""
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(valar_batch.run, tickets, **RECIPE, batch_size=1) for _ in range(2)]
        first, second = (call.result() for call in calls)
    assert first.equals(second, check_metadata=True)
    assert [path.name for path in (home / "runs").iterdir()] == [valar_batch.status().run]
    assert target.executions() == {"total": 5, "distinct": 5, "repeated": []}


def test_events(tickets, target, capfd) -> None:
    """A reporter hears of every step to its end; nothing is printed, no signal is caught."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    heard: list[events.Event] = []
    run = valar_batch.submit(tickets, **RECIPE, reporter=heard.append)
    valar_batch.fetch(run, reporter=heard.append)
    last = {type(event): event for event in heard}
    size = valar_batch.status(run).totals.bytes
    assert list(last) == [
        events.Preparing,
        events.Sending,
        events.Collecting,
        events.Writing,
        events.Notice,
    ]
    assert last[events.Preparing] == events.Preparing(rows=5, requests=5, problems=0)
    assert last[events.Sending] == events.Sending(1, 1, bytes=size, sent_bytes=size)
    collected = last[events.Collecting]
    assert (collected.requests, collected.settled, collected.fetched) == (5, 5, 5)
    assert {status: n for status, n in collected.statuses.items() if n} == {"completed": 5}
    assert last[events.Writing] == events.Writing(rows=5, written=5)
    assert last[events.Notice].text.startswith(f"{run.id}: 5 completed; ")
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert capfd.readouterr() == ("", "")


def test_plain_lines(tickets, target, capfd) -> None:
    """`progress="plain"` writes lines on standard error; nothing goes to standard output."""
    table = valar_batch.run(tickets, **RECIPE, progress="plain")
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "prepared 5 rows, 5 requests"
    assert lines[-2] == "written 5 of 5 rows"
    run_id = table.schema.metadata[b"valar_batch.run_id"].decode()
    assert lines[-1].startswith(f"{run_id}: 5 completed; ")


def test_an_interrupt(tickets, target) -> None:
    """Ctrl-C passes through and says how to go on; the same call then pays nothing twice."""
    heard: list[str] = []

    def interrupt(event: events.Event) -> None:
        if isinstance(event, events.Notice):
            heard.append(event.text)
        if isinstance(event, events.Collecting):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        valar_batch.run(tickets, **RECIPE, reporter=interrupt)
    run = valar_batch.status().run
    said = f"stopped; the batches go on at Valar: valar_batch.fetch('{run}') waits for them"
    assert heard == [said]
    assert valar_batch.run(tickets, **RECIPE).num_rows == 5
    assert target.executions() == {"total": 5, "distinct": 5, "repeated": []}


def test_every_option_of_the_commands(home) -> None:
    """What a command takes, its function takes under the same name, with the same default."""
    screen = {"help", "watch", "quiet", "json", "progress", "to", "no_wait", "timeout"}
    python = {"to", "run", "wait", "api_key", "reporter", "progress"}
    for name in ("submit", "run", "fetch", "status"):
        command = typer.main.get_command(app).commands[name]
        options = {
            max(p.opts, key=len).lstrip("-").replace("-", "_"): p.default
            for p in command.params
            if p.param_type_name == "option"
        }
        signature = inspect.signature(getattr(valar_batch, name))
        keywords = {p.name: p.default for p in signature.parameters.values()}
        wanted = {
            key: value for key, value in options.items() if key not in screen | {"help", "watch"}
        }
        source = {"input"} if name in ("submit", "run") else set()
        found = {key: value for key, value in keywords.items() if key not in python | source}
        assert found == wanted, name
        assert all(f"{key}: " in getattr(valar_batch, name).__doc__ for key in wanted)


def test_the_package(home) -> None:
    """Every name of the package is there, and no other."""
    assert set(valar_batch.__all__) <= set(dir(valar_batch))
    assert all(getattr(valar_batch, name) is not None for name in valar_batch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'retry_all'"):
        valar_batch.retry_all  # noqa: B018 - it is looked up


class Routing(pydantic.BaseModel):
    """Where a ticket goes."""

    team: Literal["billing", "technical"]
    urgent: bool


@pytest.mark.parametrize(
    "schema", [Routing, Routing.model_json_schema(), f"{__name__}:Routing"], ids=str
)
def test_a_schema_from_python(schema, tickets, target) -> None:
    """A model's class, its JSON Schema, and its name give the same typed column."""
    table = valar_batch.run(tickets, **RECIPE, schema=schema)
    answers = table["output"].to_pylist()
    assert [Routing.model_validate(answer) for answer in answers]
    assert valar_batch.fetch(flatten=True)["team"].to_pylist() == [a["team"] for a in answers]
