"""Every row of the contract's tables, alike before sending and on the running server.

The tables say for each body which field it is refused for. Validation names that field and no
other; the server answers 400 with it as `param`; and bodies that are taken are taken by both.
"""

from __future__ import annotations

import http.client
import json
from collections import Counter
from contextlib import closing

import pytest

from tests.conftest import Served
from tests.contract import batches, chat, messages, responses
from tests.contract.case import Case
from valar_batch.core.rules import BATCH, BATCH_WINDOWS, CHAT, MESSAGES, RESPONSES
from valar_batch.core.validate import check_body, single_windows

SINGLES = {
    "responses": (RESPONSES, responses),
    "chat": (CHAT, chat),
    "messages": (MESSAGES, messages),
}
ROWS = [
    pytest.param(surface, table.VALID, case, id=f"{name}-{case.name}")
    for name, (surface, table) in SINGLES.items()
    for case in table.CASES
]


@pytest.fixture(scope="module")
def valar(tmp_path_factory):
    """One server for all rows."""
    served = Served(tmp_path_factory.mktemp("valar")).start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def post(valar):
    """POST a body over one connection; give the status and what is refused, if it is."""
    connection = http.client.HTTPConnection("127.0.0.1", valar.port, timeout=60)
    headers = {"Authorization": f"Bearer {valar.key}"}

    def send(path: str, body: object, **more: str) -> tuple[int, str | None, str | None]:
        connection.request("POST", path, json.dumps(body), {**headers, **more})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status < 300:
            return answer.status, None, None
        error = json.loads(content)["error"]
        assert sorted(error) == ["code", "message", "param", "type"]
        return answer.status, error["type"], error["param"]

    with closing(connection):
        yield send


def expected(case: Case, body: dict[str, object]) -> tuple[int, str | None, str | None]:
    """What the server answers."""
    if case.param is not None:
        return 400, "invalid_request_error", case.param
    return (202 if body.get("background") is True else 200), None, None


@pytest.mark.parametrize(("surface", "valid", "case"), ROWS)
def test_single_requests(post, surface, valid, case) -> None:
    """Each surface, for itself."""
    body = case.body(valid)
    problems = check_body(surface, body, windows=single_windows(surface, body))
    fields = [] if case.param is None or case.unserved else [case.param]
    assert [problem.field for problem in problems] == fields
    assert post(surface.path, body) == expected(case, body)


@pytest.mark.parametrize(
    "case", [each for each in responses.CASES if each.anywhere], ids=lambda each: each.name
)
def test_items_of_batches(post, case) -> None:
    """Responses are taken and refused as items of a batch, too, under the path of the item."""
    params = case.body(responses.VALID)
    body = {"endpoint": "/v1/responses", "requests": [{"custom_id": "a", "params": params}]}
    where = None if case.param is None else f"requests.0.params.{case.param}"
    problems = check_body(BATCH, body, windows=BATCH_WINDOWS)
    assert [problem.field for problem in problems] == (
        [] if where is None or case.unserved else [where]
    )
    assert post("/v1/batches", body) == expected(Case("", {}, where), {})


@pytest.mark.parametrize("case", batches.CASES, ids=lambda each: each.name)
def test_batches(post, case) -> None:
    """A batch, around the params of its items."""
    body = case.body(batches.VALID)
    problems = check_body(BATCH, body, windows=BATCH_WINDOWS)
    fields = [] if case.param is None or case.unserved else [case.param]
    assert [problem.field for problem in problems] == fields
    assert post("/v1/batches", body) == expected(case, body)


def test_the_command_line(cli, tmp_path) -> None:
    """What `validate` says of finished requests: the same fields, row by row."""
    cases = [
        case
        for case in responses.CASES
        if case.anywhere and not case.unserved and "bytes" not in case.name
    ]
    path = tmp_path / "requests.jsonl"
    with path.open("w") as file:
        for number, case in enumerate(cases):
            item = {"custom_id": f"r-{number}", "params": case.body(responses.VALID)}
            file.write(json.dumps(item) + "\n")
    report = json.loads(cli("validate", path, "--json", code=6).out)
    found: Counter[str] = Counter()
    for each in report["problems"]:
        found[each["field"]] += each["rows"]
    refused = [case.param for case in cases if case.param is not None]
    assert found == Counter(refused)
    assert (report["rows"], report["invalid"]) == (len(cases), len(refused))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"x"', b"5", b"\xff", b"[" * 100_000],
)
@pytest.mark.parametrize(
    "path", ["/v1/responses", "/v1/chat/completions", "/v1/messages", "/v1/batches"]
)
def test_what_is_no_object(valar, path, content) -> None:
    """A body that is no JSON object has no field to name."""
    with closing(http.client.HTTPConnection("127.0.0.1", valar.port, timeout=60)) as connection:
        connection.request("POST", path, content, {"Authorization": f"Bearer {valar.key}"})
        answer = connection.getresponse()
        error = json.load(answer)["error"]
    assert (answer.status, error["type"], error["param"]) == (400, "invalid_request_error", None)


@pytest.mark.parametrize("name", ["Idempotency-Key", "anthropic-idempotency-key"])
@pytest.mark.parametrize(
    ("surface", "valid"),
    [(surface, table.VALID) for surface, table in SINGLES.values()] + [(BATCH, batches.VALID)],
    ids=["responses", "chat", "messages", "batches"],
)
def test_idempotency_keys(post, surface, valid, name) -> None:
    """At most 255 characters, on every POST; the Anthropic header counts on Messages alone."""
    other = (
        {**valid, "metadata": {"team": "b"}} if surface is not BATCH else {**valid, "label": "b"}
    )
    counts = name == "Idempotency-Key" or surface is MESSAGES
    intent = f"{surface.name} {name}".ljust(255, "-")
    refusal = (400, "invalid_request_error", "Idempotency-Key")
    assert post(surface.path, valid, **{name: intent}) == (200, None, None)
    assert post(surface.path, valid, **{name: intent}) == (200, None, None)
    reused = (400, "idempotency_error", "Idempotency-Key") if counts else (200, None, None)
    assert post(surface.path, other, **{name: intent}) == reused
    assert post(surface.path, valid, **{name: "k" * 256}) == (
        refusal if counts else (200, None, None)
    )


def test_pages(valar) -> None:
    """`limit` is a whole number from 1 to 200."""

    def status(query: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", valar.port, timeout=60)) as connection:
            headers = {"Authorization": f"Bearer {valar.key}"}
            connection.request("GET", f"/v1/batches{query}", headers=headers)
            return connection.getresponse().status

    assert {query: status(query) for query in ("", "?limit=1", "?limit=200")} == {
        "": 200,
        "?limit=1": 200,
        "?limit=200": 200,
    }
    wrong = ["0", "201", "-1", "", "1.5", "x", "01", "%2B1", "1e2"]
    assert [status(f"?limit={limit}") for limit in wrong] == [400] * len(wrong)
