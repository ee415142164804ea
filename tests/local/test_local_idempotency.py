"""Idempotency over the wire: nothing runs twice, not even when the server dies in between."""

import pytest


@pytest.fixture(params=["/v1/batches", "/v1/responses"])
def path(request):
    return request.param


@pytest.fixture
def body(path, params, batch):
    def make(text):
        return batch(("a", params(text))) if path == "/v1/batches" else params(text)

    return make


def total(server):
    return server.get("/local/executions")["total"]


def test_a_repeat_gives_the_record_without_a_second_execution(start, path, body):
    """Same key and same body: the same record, executed once."""
    server = start()
    first = server.post(path, body("one"), idempotency_key="k")
    assert server.post(path, body("one"), idempotency_key="k") == first
    assert server.get("/local/executions") == {"total": 1, "distinct": 1, "repeated": []}


def test_another_body_is_refused(start, path, body):
    """Same key and another body: 400 idempotency_error, and nothing runs."""
    server = start()
    server.post(path, body("one"), idempotency_key="k")
    reply = server.call("POST", path, body("two"), idempotency_key="k")
    assert reply.error == (
        400,
        {
            "message": "this Idempotency-Key was used with another body",
            "type": "idempotency_error",
            "param": "Idempotency-Key",
            "code": None,
        },
    )
    assert total(server) == 1


def test_a_refusal_leaves_the_key_free(start, path, body):
    """After a 400 for the body, the same key takes another body."""
    server = start()
    assert server.call("POST", path, {"no": "good"}, idempotency_key="k").status == 400
    server.post(path, body("one"), idempotency_key="k")
    assert total(server) == 1


def test_a_reservation_belongs_to_its_api_key(start, path, body):
    """Another API key with the same idempotency key pays again, and the judge sees it."""
    server = start()
    server.post(path, body("one"), idempotency_key="k")
    server.post(path, body("one"), idempotency_key="k", key=server.other_key)
    judged = server.get("/local/executions")
    assert (judged["total"], judged["distinct"]) == (2, 1)
    assert [entry["count"] for entry in judged["repeated"]] == [2]


def test_without_a_key_everything_runs(start, path, body):
    """No Idempotency-Key, no protection."""
    server = start()
    assert server.post(path, body("one"))["id"] != server.post(path, body("one"))["id"]
    assert total(server) == 2


@pytest.mark.parametrize(("length", "status"), [(0, 400), (255, 200), (256, 400)])
def test_keys_have_a_length(server, path, body, length, status):
    """An Idempotency-Key has 1 to 255 characters."""
    key = path[4] * length
    reply = server.call("POST", path, body("length"), idempotency_key=key)
    assert reply.status == status
    assert status == 200 or reply.json["error"]["param"] == "Idempotency-Key"


def test_a_key_holds_for_one_endpoint(server, params):
    """The same key and body at another endpoint is another call."""
    server.post("/v1/responses", params("one"), idempotency_key="shared")
    reply = server.call("POST", "/v1/batches", params("one"), idempotency_key="shared")
    assert reply.error[1]["type"] == "idempotency_error"


def test_a_killed_server_remembers(start, path, body):
    """kill -9 right after the answer, then the same POST: the same record, executed once."""
    server = start()
    first = server.post(path, body("one"), idempotency_key="k")
    server.kill()
    server = start()
    assert server.post(path, body("one"), idempotency_key="k") == first
    assert server.get("/local/executions") == {"total": 1, "distinct": 1, "repeated": []}


def test_a_background_repeat_shows_the_current_state(start, params):
    """The repeat of a background call answers 202 with where the record stands now."""
    server = start(latency=0.2)
    body = params("slow", background=True)
    first = server.post("/v1/responses", body, idempotency_key="k")
    assert first["status"] in ("queued", "in_progress")
    while server.get(f"/v1/responses/{first['id']}")["status"] != "completed":
        pass
    again = server.call("POST", "/v1/responses", body, idempotency_key="k")
    assert (again.status, again.json["id"], again.json["status"]) == (202, first["id"], "completed")
