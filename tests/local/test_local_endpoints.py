"""The endpoints of the local Valar: what they give, and what they refuse, by the contract."""

import http.client
import itertools
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from valar_batch.core.rules import MAX_BATCH_BYTES, MAX_BATCH_REQUESTS
from valar_batch.local.ids import item_response_id

TEXT_MODEL = "zai-org/GLM-5.1-FP8"
IMAGE_MODEL = "moonshotai/Kimi-K2.6"


def image_input(count):
    part = {"type": "input_image", "image_url": "https://example.com/a.png"}
    return [{"role": "user", "content": [part] * count}]


def test_a_batch_from_birth_to_results(server, params, batch):
    """A batch is created, counted, listed by status, and gives each result under its custom_id."""
    made = server.post("/v1/batches", batch(("a", params("A?")), ("b", params("B?")), label="L-1"))
    batch_id = made["id"]
    expected = {
        "id": batch_id,
        "request_counts": 2,
        "created_at": made["created_at"],
        "label": "L-1",
    }
    assert made == expected
    assert abs(made["created_at"] - time.time()) < 60
    completed = {"status": "COMPLETED"}
    status = server.get(f"/v1/batches/{batch_id}")
    assert status == {**expected, "request_status": {"a": completed, "b": completed}}
    result = server.get(f"/v1/batches/{batch_id}/b")
    assert result["id"] == item_response_id(batch_id, 1)
    assert (result["status"], result["created_at"]) == ("completed", made["created_at"])
    part = result["output"][1]["content"][0]
    assert part["text"] == "[rehearsal] an answer would stand here, to: B?"


def test_a_batch_without_a_label_shows_none(server, params, batch):
    """The label is absent, not null, where none was given."""
    made = server.post("/v1/batches", batch(("a", params())))
    assert sorted(made) == ["created_at", "id", "request_counts"]


def test_unfinished_requests_are_queued(start, params, batch):
    """Before its time a result is a response in status queued, with nothing in it."""
    server = start(latency=3600.0)
    batch_id = server.post("/v1/batches", batch(("a", params())))["id"]
    assert server.get(f"/v1/batches/{batch_id}")["request_status"] == {"a": {"status": "PENDING"}}
    result = server.get(f"/v1/batches/{batch_id}/a")
    shown = (result["status"], result["output"], result["usage"]["total_tokens"])
    assert shown == ("queued", None, 0)


def test_all_fail_at_a_failure_share_of_one(start, params, batch):
    """A failed request says so in the status map and in its result."""
    server = start(failure_share=1.0)
    batch_id = server.post("/v1/batches", batch(("a", params())))["id"]
    assert server.get(f"/v1/batches/{batch_id}")["request_status"] == {"a": {"status": "FAILED"}}
    result = server.get(f"/v1/batches/{batch_id}/a")
    assert (result["status"], result["error"]["code"]) == ("failed", "rehearsal_failure")


def test_settings_hold_from_then_on(start, params, batch):
    """A change of settings leaves earlier batches as they are, and is kept with the later ones."""
    server = start()
    before = server.post("/v1/batches", batch(("a", params())))["id"]
    change = {"failure_share": 1.0}
    changed = server.post("/local/settings", change)
    assert changed == {"latency": 0.0, "failure_share": 1.0}
    after = server.post("/v1/batches", batch(("a", params())))["id"]
    server.kill()
    server = start()
    statuses = [server.get(f"/v1/batches/{name}/a")["status"] for name in (before, after)]
    assert statuses == ["completed", "failed"]


@pytest.mark.parametrize(
    "change", [{"latency": -1}, {"failure_share": 1.5}, {"latency": "x"}, {"other": 1}, b"no"]
)
def test_settings_that_make_no_sense_are_refused(server, change):
    """A change that cannot be is a 400, and changes nothing."""
    assert server.call("POST", "/local/settings", change).error[0] == 400
    assert server.post("/local/settings", {}) == {"latency": 0.0, "failure_share": 0.0}


@pytest.fixture(scope="module")
def listed(tmp_path_factory, server):
    """Thirty batches, oldest first, on the shared server; those before them are not ours."""
    return [
        server.post(
            "/v1/batches",
            {
                "endpoint": "/v1/responses",
                "requests": [{"custom_id": "a", "params": {"model": TEXT_MODEL, "input": str(n)}}],
                "label": f"n-{n}",
            },
        )
        for n in range(30)
    ]


def test_lists_are_newest_first(server, listed):
    """A page holds the newest batches, 25 unless told."""
    assert server.get("/v1/batches") == listed[:4:-1]
    assert server.get("/v1/batches?limit=3") == listed[:-4:-1]


def test_lists_are_bounded_by_ids(server, listed):
    """before_id and after_id leave out the named batch and all that lies beyond it."""
    before, after = listed[20]["id"], listed[10]["id"]
    assert server.get(f"/v1/batches?before_id={before}&limit=5") == listed[19:14:-1]
    assert server.get(f"/v1/batches?after_id={before}") == listed[:20:-1]
    assert server.get(f"/v1/batches?after_id={after}&before_id={before}") == listed[19:10:-1]
    assert server.get(f"/v1/batches?after_id={listed[-1]['id']}") == []


def test_paging_back_finds_every_batch(server, listed):
    """The client's way through the pages meets each batch once."""
    found, query = [], ""
    while page := server.get(f"/v1/batches?limit=7{query}&after_id={listed[0]['id']}"):
        found += page
        query = f"&before_id={page[-1]['id']}"
    assert found == listed[:0:-1]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("after_id=batch_0", "after_id"),
        ("before_id=", "before_id"),
    ],
)
def test_lists_refuse_what_is_no_page(server, query, param):
    """A limit out of range and an unknown batch are named."""
    status, error = server.call("GET", f"/v1/batches?{query}").error
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)


def test_a_single_response_is_answered_at_once(server, params):
    """POST gives 200 with the finished object, and GET the same again."""
    reply = server.call("POST", "/v1/responses", params())
    assert (reply.status, reply.json["status"]) == (200, "completed")
    assert server.get(f"/v1/responses/{reply.json['id']}") == reply.json


def test_a_slow_single_response_is_waited_for(start, params):
    """Without background the answer comes when it is finished."""
    server = start(latency=0.1)
    assert server.post("/v1/responses", params())["status"] == "completed"


def test_a_background_response_is_queued(start, params):
    """background: true gives 202 at once, with a response that is queued and has nothing in it."""
    server = start(latency=3600.0)
    reply = server.call("POST", "/v1/responses", params(background=True))
    assert (reply.status, reply.json["status"], reply.json["output"]) == (202, "queued", None)


def test_a_background_response_is_polled_for(start, params):
    """GET tells how far it is: queued, in progress, and at last the finished response."""
    server = start(latency=0.3)
    seen = [server.post("/v1/responses", params(background=True))]
    while seen[-1]["status"] != "completed":
        seen.append(server.get(f"/v1/responses/{seen[0]['id']}"))
    words = [word for word, _ in itertools.groupby(polled["status"] for polled in seen)]
    assert words == [word for word in ("queued", "in_progress", "completed") if word in words]
    assert seen[-1]["background"] is True


def test_items_are_responses_too(server, params, batch):
    """A batch item is found by its response id, and is the same object."""
    made = server.post("/v1/batches", batch(("b", params("B?")), ("a", params("A?"))))
    for name in ("a", "b"):
        item = server.get(f"/v1/batches/{made['id']}/{name}")
        assert server.get(f"/v1/responses/{item['id']}") == item
    beyond = item_response_id(made["id"], 2)
    assert server.call("GET", f"/v1/responses/{beyond}").status == 404


def test_answers_follow_the_schema_that_is_asked_for(server, params, batch):
    """A batch item and a single response give JSON by their schema, each always the same."""
    schema = {
        "type": "object",
        "properties": {"label": {"enum": ["good", "bad"]}, "sure": {"type": "boolean"}},
        "required": ["label", "sure"],
    }
    text_format = {"type": "json_schema", "name": "n", "schema": schema}
    typed = {**params(), "text": {"format": text_format}}
    made = server.post("/v1/batches", batch(("a", typed), ("b", params())))
    item = server.get(f"/v1/batches/{made['id']}/a")
    text = item["output"][1]["content"][0]["text"]
    answer = json.loads(text)
    assert list(answer) == ["label", "sure"]
    assert answer["label"] in ("good", "bad")
    assert answer["sure"] in (True, False)
    assert server.get(f"/v1/batches/{made['id']}/a") == item
    single = server.post("/v1/responses", typed)
    assert list(json.loads(single["output"][1]["content"][0]["text"])) == ["label", "sure"]
    plain = server.get(f"/v1/batches/{made['id']}/b")
    assert plain["output"][1]["content"][0]["text"].startswith("[rehearsal] ")


def test_tools_are_called(server, params):
    """A response that must call a tool has the call and no message."""
    parameters = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tool = {"type": "function", "name": "count", "parameters": parameters}
    response = server.post("/v1/responses", params(tools=[tool], tool_choice="required"))
    assert [item["type"] for item in response["output"]] == ["reasoning", "function_call"]
    call = response["output"][1]
    assert (call["name"], call["status"]) == ("count", "completed")
    assert list(json.loads(call["arguments"])) == ["n"]


def test_health_needs_no_key(server):
    """Anyone may ask whether the server is up."""
    health = server.get("/local/health", key=None)
    assert (health["status"], health["pid"]) == ("ok", server.process.pid)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/batches/a/b"),
        ("POST", "/v1/batches"),
        ("GET", "/local/executions"),
        ("GET", "/local/lease"),
        ("POST", "/local/settings"),
        ("GET", "/nowhere"),
    ],
)
@pytest.mark.parametrize("key", [None, "wrong", "", "key-one x"])
def test_every_call_needs_a_key(server, method, path, key):
    """A missing or wrong key is a 401, whatever is asked."""
    assert server.call(method, path, key=key).error == (
        401,
        {
            "message": "the API key is missing or wrong: send it as Authorization: Bearer <key>",
            "type": "authentication_error",
            "param": None,
            "code": None,
        },
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/batches/", "there is no batch ''"),
        ("/v1/batches/batch_0", "there is no batch 'batch_0'"),
        ("/v1/batches/batch_0/a", "there is no request 'a' in a batch 'batch_0'"),
        ("/v1/responses/resp_0", "there is no response 'resp_0'"),
    ],
)
def test_things_that_are_not_there(server, path, message):
    """An unknown batch, request or response is a 404 in the envelope."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    assert server.call("GET", path).error == (404, error)


ALL_THERE_IS = (
    "there is GET /v1/models, POST /v1/responses, GET /v1/responses/ID, POST /v1/chat/completions, "
    "POST /v1/messages, POST and GET /v1/batches, GET /v1/batches/ID, GET /v1/batches/ID/CUSTOM_ID"
)
STATELESS = "completions are not stored; only POST /v1/chat/completions is there"
OTHER_BATCHES = "send batches of /v1/responses to POST /v1/batches"


@pytest.mark.parametrize(
    ("method", "path", "instead"),
    [
        ("GET", "/nowhere", ALL_THERE_IS),
        ("GET", "/v1/nowhere", ALL_THERE_IS),
        ("POST", "/v1/embeddings", ALL_THERE_IS),
        ("POST", "/v1/files", ALL_THERE_IS),
        ("GET", "/v1/models/openai/gpt-oss-120b", ALL_THERE_IS),
        ("GET", "/v1/responses/resp_0/input_items", ALL_THERE_IS),
        ("POST", "/v1/models", "the path takes GET"),
        ("GET", "/v1/responses", "the path takes POST"),
        ("PUT", "/v1/batches", "the path takes GET, POST"),
        ("PATCH", "/v1/batches/batch_0", "the path takes GET"),
        ("POST", "/v1/batches/batch_0/a", "the path takes GET"),
        ("DELETE", "/v1/batches/batch_0", "nothing can be deleted"),
        ("DELETE", "/v1/responses/resp_0", "nothing can be deleted"),
        ("POST", "/v1/batches/batch_0/cancel", "nothing can be cancelled"),
        ("POST", "/v1/responses/resp_0/cancel", "nothing can be cancelled"),
        ("GET", "/v1/chat/completions", STATELESS),
        ("GET", "/v1/chat/completions/chatcmpl_0", STATELESS),
        ("POST", "/v1/chat/completions/chatcmpl_0", STATELESS),
        ("DELETE", "/v1/chat/completions/chatcmpl_0", STATELESS),
        ("GET", "/v1/chat/completions/chatcmpl_0/messages", STATELESS),
        ("POST", "/v1/messages/count_tokens", "token counts come back in usage"),
        ("POST", "/v1/messages/batches", OTHER_BATCHES),
        ("GET", "/v1/messages/batches/msgbatch_0/results", OTHER_BATCHES),
    ],
)
def test_calls_that_are_not_there(server, params, method, path, instead):
    """Other APIs have these calls. They are a 404 in the envelope, which says what there is."""
    message = f"there is no {method} {path}: {instead}"
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    assert server.call(method, path, params()).error == (404, error)


def test_a_head_is_a_get_without_its_body(server):
    """HEAD gives the status and the headers of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with closing(connection):
        for path, status in (("/v1/models", 200), ("/v1/batches/batch_0", 404)):
            found = {}
            for method in ("GET", "HEAD"):
                connection.request(method, path, headers={"Authorization": f"Bearer {server.key}"})
                answer = connection.getresponse()
                found[method] = answer.status, answer.getheader("content-length"), answer.read()
            assert found["HEAD"] == (*found["GET"][:2], b"")
            assert found["HEAD"][0] == status


def test_every_answer_has_a_request_id(server, params):
    """Each answer carries an X-Request-ID of its own, errors included."""
    calls = [
        ("GET", "/v1/models", None),
        ("GET", "/nowhere", None),
        ("DELETE", "/v1/models", None),
        ("POST", "/v1/responses", params()),
        ("POST", "/v1/responses", b"no"),
    ]
    ids = {server.call(*call).headers["x-request-id"] for call in calls}
    ids.add(server.call("GET", "/v1/models", key=None).headers["x-request-id"])
    assert len(ids) == 6


def test_a_fault_of_its_own_is_a_500_in_the_envelope(start, tmp_path):
    """Whatever breaks inside is told in the envelope, of the database what it said, and logged."""
    server = start()
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as connection:
        connection.execute("DROP TABLE batches")
    reply = server.call("GET", "/v1/batches")
    assert reply.error == (
        500,
        {
            "message": "the local Valar failed: no such table: batches: its log says more",
            "type": "api_error",
            "param": None,
            "code": None,
        },
    )
    assert reply.headers["x-request-id"]


REFUSED_BATCHES = [
    (b"{", None),
    (b"[]", None),
    (b'{"endpoint": "\xff", "requests": []}', "endpoint"),
    ({"requests": []}, "endpoint"),
    ({"endpoint": "/v1/responses"}, "requests"),
    ({"endpoint": "/v1/chat/completions", "requests": [{}]}, "endpoint"),
    ({"endpoint": "/v1/responses", "requests": []}, "requests"),
    ({"endpoint": "/v1/responses", "requests": {}}, "requests"),
    ({"endpoint": "/v1/responses", "requests": [1] * (MAX_BATCH_REQUESTS + 1)}, "requests"),
    ({"endpoint": "/v1/responses", "requests": [{}], "label": "a b"}, "label"),
    ({"endpoint": "/v1/responses", "requests": [{}], "label": "a" * 129}, "label"),
    ({"endpoint": "/v1/responses", "requests": [{}], "label": None}, "label"),
    ({"endpoint": "/v1/responses", "requests": [{}], "window": "24h"}, "window"),
    ({"endpoint": "/v1/responses", "requests": ["x"]}, "requests.0"),
]


@pytest.mark.parametrize(("body", "param"), REFUSED_BATCHES)
def test_batches_that_are_refused(server, body, param):
    """A malformed batch is a 400 that names the field."""
    status, error = server.call("POST", "/v1/batches", body).error
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)


REFUSED_ITEMS = [
    ({}, "custom_id"),
    ({"custom_id": "b"}, "params"),
    ({"custom_id": "b", "params": "x"}, "params"),
    ({"custom_id": 1, "params": {}}, "custom_id"),
    ({"custom_id": "B", "params": {}}, "custom_id"),
    ({"custom_id": "", "params": {}}, "custom_id"),
    ({"custom_id": "b" * 65, "params": {}}, "custom_id"),
    ({"custom_id": "b", "params": {}, "method": "POST"}, "method"),
    ({"custom_id": "a", "params": {"model": TEXT_MODEL, "input": "x"}}, "custom_id"),
]


@pytest.mark.parametrize(("item", "field"), REFUSED_ITEMS)
def test_items_that_are_refused(server, params, item, field):
    """A malformed item is a 400 that names its place and the field."""
    good = {"custom_id": "a", "params": params()}
    body = {"endpoint": "/v1/responses", "requests": [good, item]}
    status, error = server.call("POST", "/v1/batches", body).error
    param = f"requests.1.{field}"
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)


REFUSED_PARAMS = [
    ({"input": "x"}, "model", "it is missing; name a model"),
    (
        {"model": "zai-org/GLM-5.1", "input": "x"},
        "model",
        "model 'zai-org/GLM-5.1' is not served here: did you mean zai-org/GLM-5.1-FP8?",
    ),
    ({"model": TEXT_MODEL}, "input", "it is missing"),
    ({"model": TEXT_MODEL, "input": ""}, "input", "it is empty text"),
    (
        {"model": TEXT_MODEL, "input": "x", "temperature": 2.5},
        "temperature",
        "2.5 must be between 0 and 2",
    ),
    (
        {"model": TEXT_MODEL, "input": "x", "instructions": "y"},
        "instructions",
        "Valar does not take it; put a system message first in input",
    ),
    (
        {"model": TEXT_MODEL, "input": image_input(1)},
        "input",
        (
            f"model '{TEXT_MODEL}' does not support image input; "
            "models that do: moonshotai/Kimi-K2.6, google/gemma-4-31B-it"
        ),
    ),
    (
        {"model": IMAGE_MODEL, "input": image_input(21)},
        "input",
        "21 images; at most 20 in a request",
    ),
]


@pytest.mark.parametrize(("refused", "param", "message"), REFUSED_PARAMS)
def test_params_that_are_refused(server, batch, refused, param, message):
    """The same params are refused in both places, under the path of the field, with the hint."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    assert server.call("POST", "/v1/responses", refused).error == (400, error)
    in_batch = {**error, "param": f"requests.0.params.{param}"}
    assert server.call("POST", "/v1/batches", batch(("a", refused))).error == (400, in_batch)


def test_images_go_to_models_that_read_them(server):
    """Twenty images are taken by a multimodal model."""
    taken = server.call("POST", "/v1/responses", {"model": IMAGE_MODEL, "input": image_input(20)})
    assert (taken.status, taken.json["status"]) == (200, "completed")


@pytest.mark.parametrize(
    ("window", "more", "in_batch", "single"),
    [
        ("standard", {}, 200, 200),
        ("asap", {}, 400, 200),
        ("flex", {}, 200, 400),
        ("flex", {"background": True}, 200, 202),
        ("24h", {}, 400, 400),
    ],
)
def test_windows_by_place(server, params, batch, window, more, in_batch, single):
    """asap is for single requests, flex for batches and the background."""
    content = params(metadata={"completion_window": window}, **more)
    assert server.call("POST", "/v1/batches", batch(("a", content))).status == in_batch
    assert server.call("POST", "/v1/responses", content).status == single


def test_a_body_at_the_limit_is_refused_as_too_large(server, params, batch):
    """256,000,000 bytes are one too many: 413, and the connection tells so."""
    body = json.dumps(batch(("a", params()))).encode()
    reply = server.call("POST", "/v1/batches", body.ljust(MAX_BATCH_BYTES))
    assert reply.error == (
        413,
        {
            "message": "the body has 256,000,000 bytes; it must stay under 256,000,000",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        },
    )
    assert server.call("POST", "/v1/batches", body.ljust(MAX_BATCH_BYTES - 1)).status == 200


def test_results_are_given_while_a_batch_is_taken_in(start, tmp_path, params, batch):
    """A POST that has to wait keeps no GET waiting."""
    server = start()
    batch_id = server.post("/v1/batches", batch(("a", params())))["id"]
    with (
        ThreadPoolExecutor() as threads,
        closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as connection,
    ):
        connection.execute("BEGIN IMMEDIATE")
        waiting = threads.submit(server.post, "/v1/batches", batch(("b", params())))
        assert server.get(f"/v1/batches/{batch_id}/a")["status"] == "completed"
        assert [entry["id"] for entry in server.get("/v1/batches")] == [batch_id]
        assert not waiting.done()
        connection.execute("COMMIT")
        made = waiting.result()["id"]
    assert [entry["id"] for entry in server.get("/v1/batches")] == [made, batch_id]


def test_the_judge_sees_repeats_within_and_across_batches(start, params, batch):
    """Executions are counted by custom_id and params; one prompt under two ids is no repeat."""
    server = start()
    server.post("/v1/batches", batch(("a", params("x")), ("b", params("x"))), idempotency_key="1")
    server.post("/v1/batches", batch(("a", params("x")), label="again"), idempotency_key="2")
    judged = server.get("/local/executions")
    assert (judged["total"], judged["distinct"]) == (3, 2)
    assert [(entry["custom_id"], entry["count"]) for entry in judged["repeated"]] == [("a", 2)]


def test_a_signal_ends_it_cleanly(start):
    """SIGTERM is a wish to stop: the process ends by itself with status 0."""
    assert start().stop() == 0
