"""retry: rows without an answer are sent again, once, and nothing else is."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections import Counter
from functools import partial

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import MODEL
from valar_batch.runs.batch import rows_writer

ROWS = 60
RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--id", "id", "--batch-size", "20")


@pytest.fixture
def valar(serve):
    """A Valar where a good part of the requests fail, until it is told otherwise."""
    return serve("--failure-share", "0.3")


def change(valar, **settings: float) -> None:
    """Change how the Valar behaves from now on."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{valar.port}/local/settings",
        json.dumps(settings).encode(),
        {"Authorization": f"Bearer {valar.key}"},
    )
    urllib.request.urlopen(request, timeout=20).close()  # noqa: S310 - loopback


def edit(path, **facts: object) -> None:
    """Put a batch into another state, as a crash would have left it."""
    path = path / "batch.json"
    path.write_bytes(msgspec.json.encode({**json.loads(path.read_bytes()), **facts}))


UNSENT = {"state": "prepared", "batch_id": None, "submitted_at": None}


class Work:
    """A run of rows with ids of Valar's form and others, and its output."""

    def __init__(self, cli, tmp_path) -> None:
        self.cli = cli
        self.path = tmp_path / "in.jsonl"
        self.out = tmp_path / "out.jsonl"
        self.ids = [f"Row {n}" if n % 7 == 0 else f"row-{n}" for n in range(ROWS)]
        rows = ({"id": name, "a": f"w{n}"} for n, name in enumerate(self.ids))
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.run = cli("submit", self.path, *RECIPE).out.strip()
        self.folder = cli.home / "runs" / self.run

    def fetch(self, code: int | None = None, *more: str) -> list[dict]:
        self.cli("fetch", self.run, "--to", self.out, *more, code=code)
        rows = [json.loads(line) for line in self.out.read_text().splitlines()]
        assert [row["id"] for row in rows] == self.ids
        for n, row in enumerate(rows):
            answered = row["output_text"] is not None
            assert answered == (row["status"] == "completed")
            assert not answered or f"w{n}" in row["output_text"].split()
        return rows

    def retry(self, *more: object, code: int = 0):
        done = self.cli("retry", self.run, *more, code=code)
        assert done.out == (f"{self.run}\n" if code == 0 else "")
        return done

    def retries(self, attempt: int) -> list:
        return sorted((self.folder / "retries" / str(attempt) / "batches").iterdir())

    def status(self) -> dict:
        return self.cli.json("status", self.run)


@pytest.fixture
def work(cli, tmp_path):
    return Work(cli, tmp_path)


def of(rows: list[dict], status: str) -> list[str]:
    return [row["custom_id"] for row in rows if row["status"] == status]


def executions(valar) -> Counter[str]:
    """How often each custom_id was executed, of those that were more than once."""
    told = valar.executions()
    repeated = Counter({item["custom_id"]: item["count"] for item in told["repeated"]})
    assert told["total"] - told["distinct"] == repeated.total() - len(repeated)
    assert told["distinct"] == ROWS
    return repeated


def test_failed_rows_are_answered_by_a_retry(work, valar) -> None:
    """Exactly the failed rows are sent again, with the same bytes, and their answers count."""
    first = work.fetch(3)
    failed = of(first, "failed")
    assert 5 < len(failed) < ROWS - 5
    change(valar, failure_share=0.0)
    done = work.retry()
    assert f"sending {len(failed)} rows again, as attempt 2: {len(failed)} failed" in done.err
    assert f"valar-batch fetch {work.run} --to OUT" in done.err
    assert executions(valar) == dict.fromkeys(failed, 2)

    assert work.status()["statuses"]["completed"] == ROWS
    rows = work.fetch(0)
    assert {row["custom_id"] for row in rows if row["attempts"] == 2} == set(failed)
    kept = [row for row in rows if row["custom_id"] not in failed]
    assert kept == [row for row in first if row["custom_id"] not in failed]

    assert "no such row is failed, cancelled or missing" in work.retry().err
    assert executions(valar) == dict.fromkeys(failed, 2)


def test_a_retry_keeps_to_the_limits_of_the_run(tmp_path, serve, make_cli) -> None:
    """Where most rows failed, they are packed into batches as small as the run's own."""
    valar = serve("--failure-share", "1.0")
    work = Work(make_cli(valar), tmp_path)
    work.fetch(3)
    work.retry()
    batches = work.status()["batches"]
    places = [(batch["attempt"], batch["number"], batch["requests"]) for batch in batches]
    assert places == [(1, 0, 20), (1, 1, 20), (1, 2, 20), (2, 0, 20), (2, 1, 20), (2, 2, 20)]
    rows = work.fetch(3)
    assert {(row["status"], row["attempts"]) for row in rows} == {("failed", 2)}
    work.retry()
    assert {row["attempts"] for row in work.fetch(3)} == {3}
    assert executions(valar) == dict.fromkeys((row["custom_id"] for row in rows), 3)


def test_the_bytes_of_the_first_attempt_are_sent_again(work) -> None:
    """A retry's body has the request lines of the first attempt's bodies, under its own label."""
    failed = of(work.fetch(3), "failed")
    work.retry()
    lines = {}
    for folder in work.folder.glob("batches/*"):
        for line in body_of(folder).splitlines()[1:-1]:
            lines[json.loads(line.removesuffix(b","))["custom_id"]] = line.removesuffix(b",")
    (folder,) = work.retries(2)
    head, *sent, tail = body_of(folder).splitlines()
    assert [line.removesuffix(b",") for line in sent] == [lines[name] for name in failed]
    assert json.loads(head + b"".join(sent) + tail)["label"] == f"{work.run}-2-0"


def body_of(folder) -> bytes:
    import zstandard

    with (folder / "request.json.zst").open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return reader.read()


def test_a_retry_again_sends_nothing_until_it_is_fetched(work, valar) -> None:
    """Repeated before its answers are here, retry knows that its rows are under way."""
    failed = of(work.fetch(3), "failed")
    for _ in range(2):
        done = work.retry()
    assert f"nothing to send again: {len(failed)} rows under way" in done.err
    assert executions(valar) == dict.fromkeys(failed, 2)


def test_rows_that_were_not_fetched_are_never_sent_again(work, valar) -> None:
    """What failed at Valar but is not known here yet is under way."""
    done = work.retry()
    assert f"nothing to send again: {ROWS} rows under way" in done.err
    assert executions(valar) == {}


def test_a_retry_that_fails_leaves_pending_then_failed_rows(work, valar) -> None:
    """While a retry is under way its rows are pending; a failed retry replaces no answer."""
    first = work.fetch(3)
    failed, good = of(first, "failed"), of(first, "completed")
    change(valar, failure_share=1.0, latency=100000.0)
    file = work.path.with_name("ids.txt")
    file.write_text("\n".join([failed[0], good[0]]) + "\n")
    work.retry("--rows", file)
    rows = work.fetch(4, "--no-wait")
    assert of(rows, "pending") == [failed[0]]
    assert work.status()["statuses"] == {
        "completed": len(good), "failed": len(failed) - 1, "pending": 1,
    }  # fmt: skip
    shown = work.cli("list").out
    assert "submitted" in shown


def test_a_failed_retry_never_replaces_an_answer(work, valar) -> None:
    """Of two attempts the completed one counts, and how often the row was sent is told."""
    first = work.fetch(3)
    (good, *_) = of(first, "completed")
    change(valar, failure_share=1.0)
    file = work.path.with_name("ids.txt")
    file.write_text(f"{good}\n")
    work.retry("--rows", file)
    rows = work.fetch(3)
    again = [row for row in rows if row["custom_id"] == good]
    assert again == [{**row, "attempts": 2} for row in first if row["custom_id"] == good]
    assert work.status()["statuses"] == Counter(row["status"] for row in rows)


def test_parts_are_written_anew(work, valar, tmp_path) -> None:
    """A folder of parts has the answers of retries at their rows' places, as any output."""
    folder = f"{tmp_path / 'parts'}/"
    work.cli("fetch", work.run, "--to", folder, code=3)
    change(valar, failure_share=0.0)
    work.retry()
    work.cli("fetch", work.run, "--to", folder)
    rows = [
        row for part in sorted(tmp_path.glob("parts/*")) for row in pq.read_table(part).to_pylist()
    ]
    assert rows == work.fetch(0)
    assert [row["status"] for row in rows] == ["completed"] * ROWS


@pytest.mark.parametrize("form", ["txt", "jsonl", "csv", "parquet"])
def test_rows_named_by_a_file(work, valar, form) -> None:
    """A filtered output or a list of ids says which rows; some may have an answer."""
    rows = work.fetch(3)
    some = [row for n, row in enumerate(rows) if n % 4 == 0]
    named = [row["custom_id"] for row in some]
    file = work.path.with_name(f"some.{form}")
    if form == "txt":
        file.write_text("".join(f"{name}\n" for name in named))
    elif form == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in some))
    elif form == "csv":
        file.write_text("".join(f"{row['status']},{row['custom_id']}\n" for row in [
            {"status": "status", "custom_id": "custom_id"}, *some,
        ]))  # fmt: skip
    else:
        pq.write_table(pa.Table.from_pylist(some), file)
    work.retry("--rows", file)
    assert executions(valar) == dict.fromkeys(named, 2)


def test_only_and_rows_must_both_hold(work, valar) -> None:
    """--only narrows; with --rows, a row needs to be in the file and of the status."""
    rows = work.fetch(3)
    file = work.path.with_name("some.txt")
    some = [row["custom_id"] for row in rows[:30]]
    file.write_text("\n".join(some))
    assert "no such row" in work.retry("--only", "missing", "--only", "cancelled").err
    work.retry("--rows", file, "--only", "failed")
    wanted = [name for name in of(rows, "failed") if name in some]
    assert executions(valar) == dict.fromkeys(wanted, 2)


def test_what_cannot_be_chosen(work, valar) -> None:
    """Unknown ids, columns, files and statuses stop it before anything is sent."""
    work.fetch(3)
    file = work.path.with_name("ids.txt")
    file.write_text("row-1\nstranger\nrow-2\nr-99\nnobody\nnothing\n")
    done = work.retry("--rows", file, code=6)
    assert (
        f"4 custom_ids that {work.run} does not have: 'stranger', 'r-99', 'nobody', …" in done.err
    )
    done = work.retry("--rows", work.path, code=6)
    assert "no column 'custom_id'; it has: id, a" in done.err
    assert "no such file" in work.retry("--rows", "nowhere.csv", code=6).err
    assert "--only" in work.retry("--only", "completed", code=2).err
    file.write_text("")
    work.retry("--rows", file, code=6)
    assert executions(valar) == {}
    assert not list((work.folder / "retries").iterdir())


def test_invalid_rows_are_never_sent(cli, tmp_path, valar) -> None:
    """A row without a request has none to send again, also where it is named."""
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text(
        "".join(json.dumps({"a": f"w{n}" if n % 5 else None}) + "\n" for n in range(50))
    )
    arguments = ("--model", MODEL, "--prompt", "{{ a }}", "--on-invalid", "skip")
    cli("run", path, *arguments, "--to", out, code=3)
    before = valar.executions()["total"]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    failed = of(rows, "failed")
    change(valar, failure_share=0.0)
    cli("retry", "--rows", out, "--only", "failed")
    assert valar.executions()["total"] == before + len(failed)
    cli("fetch", "--to", out, code=3)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert Counter(row["status"] for row in rows) == {"completed": 40, "invalid": 10}
    assert cli.json("status")["statuses"] == {"completed": 40, "invalid": 10}


def test_a_run_that_is_not_all_sent(work, valar) -> None:
    """Unsent first attempts are for resume: retry says so and sends nothing."""
    edit(work.folder / "batches" / "00001", **UNSENT)
    done = work.retry(code=1)
    assert f"valar-batch resume {work.run}" in done.err
    assert executions(valar) == {}


@pytest.mark.parametrize("command", ["retry", "resume"])
@pytest.mark.parametrize("facts", [UNSENT, {**UNSENT, "state": "submitting", "intent_at": 1.0}])
def test_an_unsent_retry_goes_on(work, valar, command, facts) -> None:
    """A retry whose sending was cut short is taken up by its label, by retry or resume."""
    failed = of(work.fetch(3), "failed")
    work.retry()
    (folder,) = work.retries(2)
    edit(folder, **facts)
    assert f"valar-batch resume {work.run}" in work.cli("fetch", "--to", work.out, code=4).err
    done = (
        work.cli(command, work.run, "--only", "missing")
        if command == "retry"
        else work.cli(command, work.run)
    )
    assert command == "resume" or "an earlier retry was not all sent: 1 batch found" in done.err
    assert len(list((work.folder / "retries").glob("[0-9]*"))) == 1
    assert executions(valar) == dict.fromkeys(failed, 2)
    work.fetch(3)


def test_a_lost_folder_takes_up_its_retries(work, valar) -> None:
    """With the folder gone, the rows that were sent again are found at Valar, whatever is asked."""
    failed = of(work.fetch(3), "failed")
    change(valar, failure_share=0.0)
    file = work.path.with_name("ids.txt")
    file.write_text("\n".join(failed[:4]))
    work.retry("--rows", file)
    shutil.rmtree(work.cli.home)
    work.cli("submit", work.path, *RECIPE)
    work.out.unlink()
    assert of(work.fetch(3), "failed") == failed
    done = work.retry("--rows", file)
    assert "attempt 2 with 4 rows was found at Valar and taken up" in done.err
    assert "nothing to send again: 4 rows under way" in done.err
    assert executions(valar) == dict.fromkeys(failed[:4], 2)
    assert of(work.fetch(3), "failed") == failed[4:]
    work.retry()
    assert of(work.fetch(0), "failed") == []
    assert executions(valar) == dict.fromkeys(failed, 2)


def test_another_choice_under_the_same_label(work, valar, tmp_path) -> None:
    """A retry batch under our label with other rows is not ours: stop, and say the way out."""
    failed = of(work.fetch(3), "failed")
    file = work.path.with_name("ids.txt")
    file.write_text(failed[0])
    work.retry("--rows", file)
    second = work.folder / "retries" / "2"
    kept = tmp_path / "kept"
    shutil.copytree(second, kept)
    other = work.cli.elsewhere(tmp_path / "second")
    other("submit", work.path, *RECIPE)
    other("fetch", "--to", tmp_path / "other.jsonl", code=3)
    shutil.copytree(kept, other.home / "runs" / work.run / "retries" / "2")
    place = other.home / "runs" / work.run / "retries" / "2" / "batches" / "00000"
    rows = pa.ipc.open_stream((place / "rows.arrow").read_bytes()).read_all()
    changed = rows.set_column(1, "custom_id", pa.array([failed[1]]))
    with rows_writer(place / "rows.arrow", rows.schema) as writer:
        writer.write_table(changed.cast(rows.schema))
    edit(place, **UNSENT)
    done = other("retry", work.run, code=1)
    assert "but of other rows" in done.err
    assert f"move {place.parent.parent} away and repeat `valar-batch retry {work.run}`" in done.err
    shutil.rmtree(place.parent.parent)
    done = other("retry", work.run)
    assert "attempt 2 with 1 rows was found at Valar and taken up" in done.err
    assert executions(valar) == dict.fromkeys(failed, 2)


def test_a_changed_body_is_not_sent_again(work, valar) -> None:
    """Requests are compared with what was prepared before they are packed anew."""
    import zstandard

    work.fetch(3)
    path = work.folder / "batches" / "00000" / "request.json.zst"
    content = body_of(path.parent).replace(b'"input":"w', b'"input":"x')
    path.write_bytes(zstandard.ZstdCompressor().compress(content))
    assert "is not what was prepared" in work.retry(code=1).err
    assert executions(valar) == {}


def test_again_is_for_a_run_whose_retries_are_fetched(work, valar) -> None:
    """While a retry is not fetched, the run is not finished, and --again takes it up."""
    failed = of(work.fetch(3), "failed")
    work.retry()
    submit = partial(work.cli, "submit", work.path, *RECIPE, "--again")
    assert submit().out.strip() == work.run
    assert executions(valar) == dict.fromkeys(failed, 2)
    work.fetch(3)
    assert submit().out.strip() == f"{work.run}-2"


def test_missing_rows_that_were_sent_again_are_not_waited_for(work, valar) -> None:
    """A result that Valar never gave and a retry did give leaves nothing to wait for."""
    work.fetch(3)
    change(valar, failure_share=0.0)
    folder = work.folder / "batches" / "00000"
    record = json.loads((folder / "batch.json").read_bytes())
    (folder / "results.jsonl.zst").unlink()
    edit(folder, state="settled", statuses={}, tokens=0)
    done = work.retry()
    missing = record["requests"]
    assert f"{missing} missing" in done.err
    rows = work.fetch(0)
    assert Counter(row["status"] for row in rows) == {"completed": ROWS}
    valar.stop()
    assert work.fetch(0) == rows
