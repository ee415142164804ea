"""`serve --upstream`: real answers through the real server, from an upstream that misbehaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import BinaryIO

import httpx
import openai
import pytest

from tests.conftest import MODEL as VALARS
from tests.local.scripted_upstream import (
    CHAT,
    MODEL,
    MODELS,
    RESPONSES,
    Reply,
    Upstream,
    completed,
    in_turn,
    last_text,
    piece,
    refusal,
    responded,
    streamed,
)

KEY = "upstream-key-0123456789"


def echo_chat(body: dict) -> Reply:
    return completed(f"chat: {last_text(body)}")


def echo_response(body: dict) -> Reply:
    return responded(f"response: {last_text(body)}")


@pytest.fixture
def make_upstream():
    """Start scripted upstreams; each ends with the test."""
    running: list[Upstream] = []

    def make(port: int = 0, **scripts) -> Upstream:
        named = {"chat": CHAT, "responses": RESPONSES, "models": MODELS}
        made = Upstream({named[name]: script for name, script in scripts.items()}, port)
        running.append(made)
        return made

    yield make
    for one in running:
        one.close()


@pytest.fixture
def forward(serve):
    """Serve with an upstream, and give a client for it."""
    clients: list[httpx.Client] = []

    def start(upstream: Upstream, *options: str, **more: str) -> httpx.Client:
        served = serve("--upstream", upstream.url, *options, **more)
        headers = {"Authorization": f"Bearer {served.key}"}
        clients.append(httpx.Client(base_url=served.base_url, headers=headers, timeout=60))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def ask(client: httpx.Client, text: str = "hi", **more: object) -> httpx.Response:
    return client.post("/responses", json={"model": MODEL, "input": text, **more})


def chat(client: httpx.Client, text: str = "hi", **more: object) -> httpx.Response:
    messages = [{"role": "user", "content": text}]
    return client.post("/chat/completions", json={"model": MODEL, "messages": messages, **more})


def text_of(response: dict) -> str:
    return response["output"][-1]["content"][0]["text"]


def test_a_whole_response(make_upstream, forward):
    """What the upstream answered stands in Valar's own response object, under Valar's own id."""
    client = forward(make_upstream(responses=echo_response))
    before = int(time.time())
    answer = ask(client, metadata={"team": "red", "completion_window": "standard"}).json()
    assert answer["id"].startswith("resp_")
    assert before <= answer["created_at"] <= time.time()
    assert {**answer, "id": "", "created_at": 0} == {
        "id": "",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": MODEL,
        "metadata": {"team": "red", "completion_window": "standard"},
        "output": [
            {
                "id": "msg_up",
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "response: hi", "annotations": []}],
            }
        ],
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0, "reasoning_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"cached_tokens": 0, "reasoning_tokens": 0},
            "total_tokens": 5,
        },
        "error": None,
        "incomplete_details": None,
        "background": False,
        "max_output_tokens": None,
        "parallel_tool_calls": False,
        "reasoning": {},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
    assert client.get(f"/responses/{answer['id']}").json() == answer


@pytest.mark.parametrize(
    ("scripts", "response_over", "chat_over"),
    [
        ({"responses": echo_response, "chat": echo_chat}, RESPONSES, CHAT),
        ({"responses": echo_response}, RESPONSES, RESPONSES),
        ({"chat": echo_chat}, CHAT, CHAT),
    ],
    ids=["both", "only responses", "only chat"],
)
def test_over_whichever_endpoint_there_is(
    make_upstream, forward, scripts, response_over, chat_over
):
    """Every surface is answered, over the endpoint of its own kind where the upstream has it."""
    upstream = make_upstream(**scripts)
    client = forward(upstream)
    said = {RESPONSES: "response: hi", CHAT: "chat: hi"}
    assert text_of(ask(client).json()) == said[response_over]
    answered = chat(client).json()
    assert answered["choices"][0]["message"]["content"] == said[chat_over]
    assert answered["usage"]["total_tokens"] == 5
    message = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    answered = client.post("/messages", json=message).json()
    assert answered["content"] == [{"type": "text", "text": said[response_over]}]
    assert [path for path, _ in upstream.asked] == [response_over, chat_over, response_over]


def test_a_background_response(make_upstream, forward):
    """A background response is in progress until the upstream has answered."""
    go = threading.Event()

    def wait(body: dict) -> Reply:
        go.wait(30)
        return echo_response(body)

    client = forward(make_upstream(responses=wait))
    answer = ask(client, background=True)
    assert answer.status_code == 202
    url = f"/responses/{answer.json()['id']}"
    seen = {answer.json()["status"], client.get(url).json()["status"]}
    assert seen <= {"queued", "in_progress"}
    go.set()
    while (answer := client.get(url).json())["status"] in ("queued", "in_progress"):
        time.sleep(0.02)
    assert (answer["status"], text_of(answer)) == ("completed", "response: hi")


def test_the_upstreams_models(make_upstream, forward):
    """Its models are listed and may be asked for; others are refused, with what is near."""
    listed = [{"id": MODEL, "created": 7, "owned_by": "me", "permission": []}, {"id": "big"}]
    upstream = make_upstream(models=lambda _: Reply({"data": listed}), chat=echo_chat)
    client = forward(upstream)
    assert client.get("/models").json() == {
        "object": "list",
        "data": [
            {"id": MODEL, "object": "model", "created": 7, "owned_by": "me"},
            {"id": "big", "object": "model", "created": 0, "owned_by": ""},
        ],
    }
    refused = client.post("/responses", json={"model": "tinny", "input": "hi"})
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        {
            "message": "model 'tinny' is not served here: did you mean tiny?",
            "type": "invalid_request_error",
            "param": "model",
            "code": None,
        },
    )
    assert upstream.asked == []


def test_an_upstream_that_lists_no_models(make_upstream, forward):
    """Where the list cannot be had, any model may be asked for."""
    upstream = make_upstream(models=lambda _: refusal(404, "no"), chat=echo_chat)
    client = forward(upstream)
    assert ask(client).json()["status"] == "completed"
    refused = client.get("/models")
    assert refused.status_code == 502
    assert "so its models are not known" in refused.json()["error"]["message"]


def test_one_model_for_all(make_upstream, forward):
    """With --upstream-model requests name Valar's models, and one of the upstream's answers."""
    upstream = make_upstream(chat=echo_chat)
    client = forward(upstream, "--upstream-model", MODEL)
    answer = client.post("/responses", json={"model": VALARS, "input": "hi"}).json()
    assert (answer["model"], text_of(answer)) == (MODEL, "chat: hi")
    assert [body["model"] for _, body in upstream.asked] == [MODEL]
    assert VALARS in [model["id"] for model in client.get("/models").json()["data"]]
    assert ask(client).json()["error"]["param"] == "model"


def test_faults_that_pass(make_upstream, forward):
    """Faults that pass are tried again, and the answer comes."""
    faults = [
        refusal(429, "slow down", Retry_After="0"),
        refusal(503, "loading"),
        refusal(500, "oops"),
        refusal(408, "late"),
    ]
    upstream = make_upstream(chat=in_turn(*faults, completed("at last")))
    answer = ask(forward(upstream)).json()
    assert (answer["status"], text_of(answer)) == ("completed", "at last")
    assert len(upstream.asked) == 5


def error_of(response: dict) -> tuple:
    return response["status"], response["output"], response["error"]


FATAL = {
    "a": (refusal(400, "too long"), "the upstream answered 400: too long", 400),
    "b": (Reply({"error": "too long"}, 422), "the upstream answered 422: too long", 422),
    "c": (Reply({"detail": [1]}, 400), "the upstream answered 400: [1]", 400),
    "d": (Reply(b"<html>", 403), "the upstream answered 403: <html>", 403),
    "e": (refusal(404, "no model"), "the upstream answered 404: no model", 404),
    "f": (Reply(b"<html>"), "the upstream answered without JSON: <html>", "upstream_error"),
    "g": (Reply(b""), "the upstream answered without JSON: nothing", "upstream_error"),
    "h": (
        Reply({"choices": []}),
        "the upstream answered with a completion that has no choices",
        "upstream_error",
    ),
    "i": (refusal(400, f"who is {KEY}?"), "the upstream answered 400: who is [key]?", 400),
}


def test_faults_that_stay(make_upstream, forward):
    """What another try would not change fails, once, with what the upstream said."""
    upstream = make_upstream(chat=lambda body: FATAL[last_text(body)][0])
    client = forward(upstream, "--upstream-key", KEY)
    failed = {
        name: ("failed", None, {"message": m, "code": c}) for name, (_, m, c) in FATAL.items()
    }
    assert {name: error_of(ask(client, name).json()) for name in FATAL} == failed
    assert [last_text(body) for _, body in upstream.asked] == list(FATAL)


def test_faults_that_stay_in_a_chat(make_upstream, forward):
    """A chat has no failed status: the refusal of the request stays one, the rest is a fault."""
    client = forward(make_upstream(chat=lambda body: FATAL[last_text(body)][0]))
    for options in ({}, {"stream": True}):
        answers = {name: chat(client, name, **options) for name in FATAL}
        statuses = {name: answer.status_code for name, answer in answers.items()}
        assert statuses == {
            name: 400 if code in (400, 404, 422) else 500 for name, (_, _, code) in FATAL.items()
        }
        assert all(list(answer.json()) == ["error"] for answer in answers.values())
    assert answers["a"].json()["error"]["message"] == "the upstream answered 400: too long"


def test_a_request_that_the_upstream_never_finishes(make_upstream, forward):
    """One that breaks the upstream each time is given up after six tries, and others are not."""
    replies = {"bad": refusal(500, "out of memory"), "good": completed("fine")}
    upstream = make_upstream(chat=lambda body: replies[last_text(body)])
    client = forward(upstream)
    assert ask(client, "good").json()["status"] == "completed"
    message = "the upstream answered 500: out of memory"
    assert error_of(ask(client, "bad").json()) == (
        "failed",
        None,
        {"message": message, "code": 500},
    )
    assert [last_text(body) for _, body in upstream.asked] == ["good"] + ["bad"] * 6


def test_the_name_for_the_most_tokens(make_upstream, forward):
    """The old name first, which old servers know; where it is refused the new one, for good."""

    def picky(body: dict) -> Reply:
        if "max_tokens" in body:
            return refusal(400, "Unsupported parameter: use 'max_completion_tokens' instead.")
        return echo_chat(body)

    upstream = make_upstream(chat=picky)
    client = forward(upstream)
    for _ in range(2):
        assert text_of(ask(client, max_output_tokens=9).json()) == "chat: hi"
    limits = [{name for name in body if name.startswith("max_")} for _, body in upstream.asked]
    assert limits == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]


def events_of(answer: httpx.Response) -> list:
    lines = [line for line in answer.text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    return [json.loads(line[6:]) if line != "data: [DONE]" else "[DONE]" for line in lines]


TOOL_CALL = {"name": "look_up", "arguments": '{"q":1}'}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
STREAM = streamed(
    piece({"role": "assistant", "content": ""}),
    piece({"reasoning_content": "Let me see."}),
    piece({"content": "h"}),
    piece({"content": "i"}),
    piece({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "look_up"}}]}),
    piece({"tool_calls": [{"index": 0, "function": {"arguments": '{"q"'}}]}),
    piece({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
    piece({}, "tool_calls"),
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}},
)


@pytest.mark.parametrize("with_usage", [True, False])
def test_a_streamed_chat(make_upstream, forward, with_usage):
    """The upstream's chunks in Valar's shape: tool calls whole, usage where asked, then the end."""
    upstream = make_upstream(chat=lambda _: STREAM, responses=echo_response)
    client = forward(upstream)
    options = {"stream_options": {"include_usage": True}} if with_usage else {}
    answer = chat(client, stream=True, tools=TOOLS, **options)
    assert answer.headers["content-type"] == "text/event-stream"
    *events, done = events_of(answer)
    assert done == "[DONE]"
    start = {"object": "chat.completion.chunk", "model": MODEL}
    usage = events.pop() if with_usage else None
    assert all(event["id"] == events[0]["id"] for event in events)
    assert [{name: event[name] for name in start} for event in events] == [start] * len(events)
    fields = {"id", "object", "created", "model", "choices"}
    assert [set(event) for event in events] == [fields] * len(events)
    call = {"index": 0, "id": "c1", "type": "function", "function": TOOL_CALL}
    assert [(c["delta"], c["finish_reason"]) for event in events for c in event["choices"]] == [
        ({"role": "assistant"}, None),
        ({"reasoning_content": "Let me see."}, None),
        ({"content": "h"}, None),
        ({"content": "i"}, None),
        ({"tool_calls": [call]}, None),
        ({}, "tool_calls"),
    ]
    if usage:
        assert usage["choices"] == []
        assert usage["usage"]["total_tokens"] == 7
    assert upstream.asked[0][1]["stream_options"] == {"include_usage": True}


def test_a_stream_from_an_upstream_without_one(make_upstream, forward):
    """An upstream that has only responses: its answer comes whole, in one delta."""
    client = forward(make_upstream(responses=echo_response))
    *events, done = events_of(chat(client, stream=True))
    assert [event["choices"][0]["delta"] for event in events] == [
        {"role": "assistant"},
        {"content": "response: hi"},
        {},
    ]
    assert done == "[DONE]"


def test_the_real_client_streams_live(make_upstream, forward):
    """What the upstream has said arrives while it goes on: the second half waits for the first."""
    half_seen = threading.Event()

    def write_in_halves(out: BinaryIO, content: bytes) -> None:
        first, then, rest = content.partition(b'"content": "i"')
        out.write(first)
        out.flush()
        assert not then or half_seen.wait(30)
        out.write(then + rest)

    upstream = make_upstream(chat=lambda _: STREAM)
    upstream.write = write_in_halves
    client = forward(upstream)
    real = openai.OpenAI(base_url=str(client.base_url), api_key="the-key", max_retries=0)
    said = []
    with real:
        messages = [{"role": "user", "content": "hi"}]
        for chunk in real.chat.completions.create(model=MODEL, messages=messages, stream=True):
            said.append(chunk.choices[0].delta.content)
            if said[-1] == "h":
                half_seen.set()
    assert half_seen.is_set()
    assert [text for text in said if text] == ["h", "i"]


def test_a_stream_that_breaks_off(make_upstream, forward):
    """An error in the middle is an event, which the clients raise."""
    client = forward(make_upstream(chat=lambda _: streamed(piece({"content": "h"}), end=b"")))
    *events, last = events_of(chat(client, stream=True))
    assert [event["choices"][0]["delta"] for event in events] == [
        {"role": "assistant"},
        {"content": "h"},
    ]
    assert last["error"]["message"].startswith("the upstream broke its answer off")


def test_a_repeated_stream_is_not_asked_for_twice(make_upstream, forward):
    """The same idempotency key gets the stored answer, as a stream."""
    upstream = make_upstream(chat=lambda _: STREAM)
    client = forward(upstream)
    client.headers["Idempotency-Key"] = "one"
    first, second = (events_of(chat(client, stream=True)) for _ in range(2))
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in second[:-1]) == "hi"
    assert {event["id"] for event in first[:-1]} == {event["id"] for event in second[:-1]}
    assert len(upstream.asked) == 1


def batch_file(tmp_path, texts):
    path = tmp_path / "rows.jsonl"
    rows = (json.dumps({"id": f"row-{n}", "prompt": text}) for n, text in enumerate(texts))
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_batch_end_to_end(make_upstream, serve, make_cli, tmp_path):
    """`run` through `serve --upstream`: answers and failures in their rows, N at a time."""

    four = threading.Barrier(4)

    def script(body: dict) -> Reply:
        text = last_text(body)
        four.wait(30)
        return refusal(400, f"not {text}") if text == "text 7" else echo_chat(body)

    upstream = make_upstream(chat=script)
    options = ("--upstream", upstream.url, "--upstream-concurrency", "4")
    cli = make_cli(serve(*options))
    rows = batch_file(tmp_path, [f"text {n}" for n in range(60)])
    out = tmp_path / "out.jsonl"
    cli("run", rows, "--model", MODEL, "--id", "id", "--to", out, code=3)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    expected = [
        (f"row-{n}", "completed", f"chat: text {n}", None, MODEL)
        if n != 7
        else (f"row-{n}", "failed", None, "the upstream answered 400: not text 7", MODEL)
        for n in range(60)
    ]
    columns = ("custom_id", "status", "output_text", "error", "model")
    assert [tuple(line[name] for name in columns) for line in lines] == expected
    assert len(upstream.asked) == 60
    assert upstream.most_at_once == 4


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_an_upstream_that_is_down_for_a_while(make_upstream, serve, make_cli, tmp_path):
    """Requests wait while nobody is there, through a restart too; it is said once."""
    port = free_port()
    served = serve("--upstream", f"http://127.0.0.1:{port}", "--upstream-concurrency", "2")
    cli = make_cli(served)
    rows = batch_file(tmp_path, ["a", "b", "c"])
    run = cli("submit", rows, "--model", "anything", "--id", "id").out.strip()
    said = served.process.stderr.readline()
    while b"requests wait" not in said:
        said = served.process.stderr.readline()
    assert said == b"the upstream cannot be reached; requests wait for it\n"
    served.stop(signal.SIGKILL)
    served.start()
    make_upstream(port, chat=echo_chat)
    out = tmp_path / "out.jsonl"
    cli("fetch", run, "--to", out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["output_text"] for line in lines] == ["chat: a", "chat: b", "chat: c"]


def test_singles_come_before_batches(make_upstream, serve, make_cli, tmp_path):
    """Somebody who waits for one answer does not wait for a whole batch."""
    go = threading.Event()

    def script(body: dict) -> Reply:
        if last_text(body) == "row 0":
            go.wait(30)
        return echo_chat(body)

    upstream = make_upstream(chat=script)
    served = serve("--upstream", upstream.url, "--upstream-concurrency", "1")
    make_cli(served)(
        "submit", batch_file(tmp_path, [f"row {n}" for n in range(5)]), "--model", MODEL
    )
    headers = {"Authorization": f"Bearer {served.key}"}
    with httpx.Client(base_url=served.base_url, headers=headers, timeout=60) as client:
        url = f"/responses/{ask(client, 'single', background=True).json()['id']}"
        go.set()
        while client.get(url).json()["status"] in ("queued", "in_progress"):
            time.sleep(0.02)
    assert [last_text(body) for _, body in upstream.asked][:2] == ["row 0", "single"]


def test_the_key_is_sent_and_kept_nowhere(make_upstream, serve, make_cli, monkeypatch, tmp_path):
    """The upstream's key goes into its header, and into no file and no line of the log."""
    monkeypatch.setenv("UPSTREAM_API_KEY", KEY)
    upstream = make_upstream(chat=in_turn(refusal(401, f"bad {KEY}"), completed("hi")))
    served = serve("--upstream", upstream.url)
    cli = make_cli(served)
    out = tmp_path / "out.jsonl"
    cli("run", batch_file(tmp_path, ["a"]), "--model", MODEL, "--to", out)
    served.process.send_signal(signal.SIGTERM)
    with served.process.stderr as log:
        assert KEY.encode() not in log.read()
    assert served.process.wait(20) == 0
    assert upstream.keys == {f"Bearer {KEY}"}
    folder = served.home
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert files
    assert not [one for one in files if KEY.encode() in one.read_bytes()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--upstream", "localhost:11434"), "is not the address of an API"),
        (("--upstream", "http://a:b@x/v1"), "has a user in it"),
        (("--upstream", "http://gpu/v1", "--upstream-key", "k"), "is plain http"),
        (("--upstream", "http://gpu/v1", "--latency", "1"), "real answers"),
        (("--upstream-model", "m"), "--upstream-model needs --upstream"),
    ],
)
def test_options_that_cannot_be(make_cli, options, message):
    """A wrong address or options at odds are refused before anything is served."""
    done = make_cli()("serve", "--port", "0", *options, code=2)
    assert message in " ".join(done.err.split())


def test_what_serve_says(make_upstream, tmp_path, make_cli):
    """It says where answers come from, and that they are real."""
    upstream = make_upstream(chat=echo_chat)
    forwarding = ("--upstream", upstream.url, "--upstream-model", "m")
    process = make_cli().start("serve", "--port", "0", *forwarding)
    said = [process.stderr.readline().decode() for _ in range(3)]
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 0
    real = f"the local Valar is up; its answers are real, from {upstream.url}, all to m.\n"
    assert said[:2] == [real, "Ctrl-C ends it; what is unanswered goes on at the next start.\n"]


SERVE = """
import pathlib, sys
from valar_batch.local.server import Settings, serve
from valar_batch.local.upstream.settings import UpstreamSettings
upstream = UpstreamSettings(base_url=sys.argv[2], patience=0.5)
settings = Settings(api_keys=("the-key",), upstream=upstream)
serve("127.0.0.1", 0, pathlib.Path(sys.argv[1]), settings, lambda port: print(port, flush=True))
"""


def test_an_answer_that_takes_too_long_to_be_waited_for(make_upstream, tmp_path):
    """The caller is told when to ask again, and then gets the one answer that was worked on."""
    go = threading.Event()

    def wait(body: dict) -> Reply:
        go.wait(30)
        return echo_chat(body)

    upstream = make_upstream(chat=wait)
    command = [sys.executable, "-c", SERVE, tmp_path, upstream.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        base_url = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        headers = {"Authorization": "Bearer the-key", "Idempotency-Key": "one"}
        with httpx.Client(base_url=base_url, headers=headers, timeout=60) as client:
            late = chat(client)
            go.set()
            while (answer := chat(client)).status_code == 408:
                time.sleep(0.02)
        process.terminate()
    assert (late.status_code, late.json()["error"]["message"][:22]) == (
        408,
        "no answer within 0.5 s",
    )
    assert answer.json()["choices"][0]["message"]["content"] == "chat: hi"
    assert len(upstream.asked) == 1
