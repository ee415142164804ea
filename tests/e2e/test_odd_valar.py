"""A Valar that answers oddly, over real sockets: no odd answer costs another row its own."""

from __future__ import annotations

import json

import pytest

from tests.conftest import MODEL
from tests.e2e.odd_valar import IDS, OddValar, response


@pytest.fixture
def cli(odd_cli):
    return odd_cli


@pytest.fixture
def fetch(cli, tmp_path):
    """Submit six rows, then fetch them as often as it is called."""
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"w{n}"}) + "\n" for n in range(6)))
    cli("submit", path, "--model", MODEL)

    def fetch_rows(*more: str, code: int = 0) -> tuple[list[dict], str]:
        done = cli("fetch", "--to", out, *more, code=code)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert [row["custom_id"] for row in rows] == IDS
        for row in rows:
            wanted = f"for {row['custom_id']}" if row["status"] == "completed" else None
            assert row["output_text"] == wanted
        return rows, done.err

    return fetch_rows


ENVELOPE = json.dumps({"error": {"message": "no", "type": "api_error"}}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        (404, ENVELOPE),
        (500, ENVELOPE),
        (400, ENVELOPE),
        (200, b"<html>a proxy</html>"),
        (200, b""),
        (200, json.dumps({"error": {"message": "no"}}).encode()),
        (200, json.dumps(response("r-2", "running", output=None)).encode()),
    ],
    ids=["404", "500", "400", "html", "empty", "envelope", "running"],
)
def test_a_result_that_cannot_be_had(odd, fetch, answer) -> None:
    """One result that never comes is missing; the others are there, and a later fetch mends it."""
    odd.results["r-2"] = answer
    rows, said = fetch(code=3)
    assert [row["status"] for row in rows] == ["completed", "missing", *["completed"] * 4]
    assert "fetch again for the rest" in said
    odd.results.clear()
    odd.asked.clear()
    rows, _ = fetch()
    assert [row["status"] for row in rows] == ["completed"] * 6
    assert odd.asked == ["r-2"]


def test_without_waiting_it_is_pending(odd, fetch) -> None:
    """--no-wait does not wait for what cannot be had."""
    odd.results["r-2"] = (404, ENVELOPE)
    rows, _ = fetch("--no-wait", code=4)
    assert [row["status"] for row in rows] == ["completed", "pending", *["completed"] * 4]


def test_valar_asks_to_slow_down(odd, fetch) -> None:
    """A 429 with Retry-After holds the fetching, which the screen says; then it goes on."""
    answers = [(429, ENVELOPE)]
    plain = odd.get
    odd.get = lambda path: answers.pop() if path.endswith("/r-2") and answers else plain(path)
    rows, said = fetch()
    assert {row["status"] for row in rows} == {"completed"}
    assert "fetching results: " in said
    assert "trying again in 2 s" in said


def test_ids_that_the_status_lacks_are_asked_for(odd, fetch) -> None:
    """A status map without an id does not lose the row: its result is asked for directly."""
    del odd.statuses["r-3"]
    odd.statuses["stranger"] = "COMPLETED"
    rows, _ = fetch()
    assert [row["status"] for row in rows] == ["completed"] * 6
    assert "stranger" not in odd.asked


@pytest.mark.parametrize("words", [("completed", "FAILED"), ("Completed", "cancelled")])
def test_either_vocabulary_in_any_case(odd, fetch, words) -> None:
    """Status words are read without regard to case; failed and cancelled have their reasons."""
    done, bad = words
    odd.statuses = dict.fromkeys(IDS, done) | {"r-5": bad}
    error = {"message": "the model gave up", "code": "inference_error"}
    body = response("r-5", bad.lower(), output=None, error=error)
    odd.results["r-5"] = (200, json.dumps(body).encode())
    rows, _ = fetch(code=3)
    assert rows[4]["status"] == bad.lower()
    assert rows[4]["error"] == "the model gave up (inference_error)"


def test_an_unknown_word_is_not_the_end(odd, cli, fetch) -> None:
    """A word that nobody knows is waited on and reported once."""
    odd.statuses["r-1"] = "PONDERING"
    rows, said = fetch("--no-wait", code=4)
    assert said.count("PONDERING") == 1
    assert [row["status"] for row in rows] == ["pending", *["completed"] * 5]


def test_what_valar_says_is_never_markup(odd, fetch) -> None:
    """Brackets in foreign text are shown as they are, on bars too, and stop nothing."""
    odd.statuses["r-1"] = "[/odd]"
    odd.statuses["r-2"] = "FAILED"
    error = {"message": "[/red] [bold] no", "code": "x"}
    odd.results["r-2"] = (200, json.dumps(response("r-2", "failed", error=error)).encode())
    rows, said = fetch("--no-wait", "--progress", "bar", code=4)
    assert rows[1]["error"] == "[/red] [bold] no (x)"
    assert "'[/odd]'" in said
    assert "[/red] [bold] no (x)" in said


def test_pretty_printed_results(odd, fetch, cli) -> None:
    """A result over many lines is one line of the spool."""
    odd.results["r-1"] = (200, json.dumps(response("r-1"), indent=2).encode())
    rows, _ = fetch()
    assert rows[0]["status"] == "completed"


def test_a_batch_that_is_gone(odd, fetch, cli, tmp_path) -> None:
    """404 for a whole batch is an error about the key, not six missing rows."""
    odd.get = lambda _: (404, ENVELOPE)
    done = cli("fetch", "--to", tmp_path / "no.jsonl", code=1)
    assert "is this the key" in done.err
    assert not (tmp_path / "no.jsonl").exists()


def submitted(cli, tmp_path, code: int) -> tuple[dict, str]:
    """Submit a row and give the record of its batch."""
    path = tmp_path / "one.jsonl"
    path.write_text('{"prompt": "x"}\n')
    done = cli("submit", path, "--model", MODEL, code=code)
    (record,) = (cli.home / "runs").glob("*/batches/00000/batch.json")
    return json.loads(record.read_bytes()), done.err


@pytest.mark.parametrize(("status", "code"), [(400, 1), (402, 5), (413, 1)])
def test_a_refused_batch_is_as_it_was(odd, cli, tmp_path, status, code) -> None:
    """A batch that Valar refused is not in doubt: it can be sent again whenever it suits."""
    odd.post = lambda _: (status, ENVELOPE)
    record, _ = submitted(cli, tmp_path, code)
    assert (record["state"], record["intent_at"]) == ("prepared", None)
    odd.post = lambda body: OddValar.post(odd, body)
    record, _ = submitted(cli, tmp_path, 0)
    assert record["state"] == "submitted"


def test_a_refusal_does_not_end_a_doubt(odd, cli, tmp_path) -> None:
    """A try that may have arrived leaves its doubt, whatever the next try is told."""
    answers = [(503, ENVELOPE), (402, ENVELOPE)]
    odd.post = lambda _: answers.pop(0)
    record, _ = submitted(cli, tmp_path, 5)
    assert (record["state"], answers) == ("submitting", [])
    odd.post = lambda _: (402, ENVELOPE)
    record, _ = submitted(cli, tmp_path, 5)
    assert record["state"] == "submitting"


def test_a_label_of_another_size_is_not_ours(odd, cli, tmp_path) -> None:
    """A batch with our label and another count is not adopted, and nothing is sent."""
    odd.post = lambda _: (402, ENVELOPE)
    record, _ = submitted(cli, tmp_path, 5)
    odd.batch = {"id": "b", "request_counts": 7, "created_at": 1, "label": record["label"]}
    odd.post = None
    record, said = submitted(cli, tmp_path, 1)
    assert record["state"] == "prepared"
    assert "of 7 requests instead of 1" in said
