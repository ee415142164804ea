"""Chat completions and messages as they are on the wire, and what comes of hang-ups and repeats."""

import contextlib
import http.client
import json

import pytest

from valar_batch.errors import ApiError
from valar_batch.local.api.chat import chunks, completion
from valar_batch.local.api.messages import message
from valar_batch.local.state.records import StoredRequest, answered

MODEL = "openai/gpt-oss-120b"
ANSWER = "[rehearsal] an answer would stand here, to: Is it good?"
REASONING = "[rehearsal] the reasoning would stand here"
NOTE = {"type": "custom", "custom": {"name": "note"}}
RATE = {
    "type": "function",
    "function": {
        "name": "rate",
        "parameters": {
            "type": "object",
            "properties": {"label": {"enum": ["good"]}},
            "required": ["label"],
            "additionalProperties": False,
        },
    },
}


def chat(**more):
    return {"model": MODEL, "messages": [{"role": "user", "content": "Is it good?"}], **more}


@contextlib.contextmanager
def stream(server, body, *, idempotency_key=None):
    """POST a chat that is to be streamed; give the answer, unread."""
    headers = {"Authorization": f"Bearer {server.key}"}
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    ) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        with connection.getresponse() as answer:
            yield answer


def events(answer):
    """Read a stream to its end: the data of each event."""
    *found, end = answer.read().decode().split("\n\n")
    assert end == ""
    assert all(event.startswith("data: ") for event in found)
    return [event.removeprefix("data: ") for event in found]


def streamed(server, body, **options):
    """POST a chat that is to be streamed, and read the stream to its end."""
    with stream(server, body, **options) as answer:
        return events(answer)


def pieces(text):
    return [text[at : at + 4] for at in range(0, len(text), 4)]


def test_a_completion_is_whole(server):
    """Every field that the contract has, and no other."""
    made = server.post("/v1/chat/completions", chat())
    usage = made["usage"]
    assert made == {
        "id": made["id"],
        "object": "chat.completion",
        "created": made["created"],
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": ANSWER,
                    "reasoning_content": REASONING,
                    "refusal": None,
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": usage["completion_tokens"],
            "total_tokens": 3 + usage["completion_tokens"],
            "prompt_tokens_details": usage["prompt_tokens_details"],
            "completion_tokens_details": {"reasoning_tokens": usage["completion_tokens"] - 14},
        },
    }
    assert made["id"].startswith("chatcmpl-")
    assert usage["prompt_tokens_details"]["cached_tokens"] in (0, 1)


@pytest.mark.parametrize("with_usage", [False, True])
def test_a_stream_is_whole(server, with_usage):
    """Event by event: role, reasoning, text, end, the usage where asked, and [DONE]."""
    options = {"stream_options": {"include_usage": True}} if with_usage else {}
    with stream(server, chat(stream=True, **options)) as answer:
        assert answer.getheader("content-type") == "text/event-stream"
        assert answer.getheader("x-request-id").startswith("req_")
        *found, done = events(answer)
    assert done == "[DONE]"
    found = [json.loads(event) for event in found]
    start = {
        "id": found[0]["id"],
        "object": "chat.completion.chunk",
        "created": found[0]["created"],
        "model": MODEL,
    }
    deltas = [
        {"role": "assistant"},
        *({"reasoning_content": piece} for piece in pieces(REASONING)),
        *({"content": piece} for piece in pieces(ANSWER)),
    ]
    expected = [
        {
            **start,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
        }
        for delta, reason in [*((delta, None) for delta in deltas), ({}, "stop")]
    ]
    if with_usage:
        usage = found[-1]["usage"]
        assert usage["total_tokens"] == 3 + usage["completion_tokens"]
        expected.append({**start, "choices": [], "usage": usage})
    assert found == expected


@pytest.mark.parametrize(
    ("tool", "inside"),
    [
        (RATE, {"name": "rate", "arguments": '{"label":"good"}'}),
        (NOTE, {"name": "note", "input": "[rehearsal] an input for note would stand here"}),
    ],
)
def test_a_tool_call_is_whole_in_one_event(server, tool, inside):
    """Streamed and not, a call is the same, and its finish_reason is tool_calls."""
    body = chat(tools=[tool], tool_choice="required")
    [choice] = server.post("/v1/chat/completions", body)["choices"]
    [call] = choice["message"]["tool_calls"]
    kind = tool["type"]
    assert call == {"id": call["id"], "type": kind, kind: inside}
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    *found, last, _done = streamed(server, {**body, "stream": True})
    deltas = [json.loads(event)["choices"][0]["delta"] for event in found]
    assert [list(delta) for delta in deltas[1:]] == (
        [["reasoning_content"]] * len(pieces(REASONING)) + [["tool_calls"]]
    )
    [call] = deltas[-1]["tool_calls"]
    assert call == {"index": 0, "id": call["id"], "type": kind, kind: inside}
    assert json.loads(last)["choices"][0]["finish_reason"] == "tool_calls"


def test_a_message_is_whole(server):
    """Every field that the contract has, and no other."""
    asked = {"model": MODEL, "max_tokens": 500, "messages": chat()["messages"]}
    made = server.post("/v1/messages", asked)
    assert made == {
        "id": made["id"],
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": made["usage"]["output_tokens"]},
    }
    assert made["id"].startswith("msg_")


def test_completions_and_messages_are_no_responses(server):
    """What came to another surface is not found under /v1/responses."""
    made = server.post("/v1/chat/completions", chat())
    assert server.call("GET", f"/v1/responses/{made['id']}").status == 404


def test_a_repeat_is_streamed_again(start):
    """The same key and body give the same events, and nothing runs twice."""
    server = start()
    body = chat(stream=True)
    first = streamed(server, body, idempotency_key="k")
    assert streamed(server, body, idempotency_key="k") == first
    assert server.get("/local/executions")["total"] == 1
    other = server.call("POST", "/v1/chat/completions", chat(), idempotency_key="k")
    assert other.error[1]["type"] == "idempotency_error"


def test_one_key_is_for_one_endpoint(server):
    """A key that a completion has is not for a message."""
    server.post("/v1/chat/completions", chat(), idempotency_key="chat's")
    asked = {"model": MODEL, "max_tokens": 5, "messages": chat()["messages"]}
    reply = server.call("POST", "/v1/messages", asked, idempotency_key="chat's")
    assert reply.error[1]["type"] == "idempotency_error"


def test_a_client_may_hang_up(start, capfd):
    """The stream ends quietly: the server says nothing of it and goes on."""
    server = start(latency=60)
    with stream(server, chat(stream=True)) as answer:
        assert answer.readline().startswith(b"data: ")
    server.call("POST", "/local/settings", {"latency": 0})
    assert server.post("/v1/chat/completions", chat())["choices"][0]["finish_reason"] == "stop"
    assert server.stop() == 0
    assert capfd.readouterr().err == ""


def test_the_first_token_does_not_wait_for_the_last(start):
    """Latency is spread over the stream: what is there is sent at once."""
    server = start(latency=3_600)
    with stream(server, chat(stream=True)) as answer:
        first = json.loads(answer.readline().removeprefix(b"data: "))
    assert first["choices"][0]["delta"] == {"role": "assistant"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", chat()),
        ("/v1/chat/completions", chat(stream=True)),
        ("/v1/messages", {"model": MODEL, "max_tokens": 5, "messages": chat()["messages"]}),
    ],
)
def test_a_failed_inference_is_a_server_fault(start, path, body):
    """These surfaces have no word for failed: nothing but an error tells the truth."""
    server = start(failure_share=1)
    for _ in range(2):  # a repeat under the same key finds the same failure
        reply = server.call("POST", path, body, idempotency_key="k")
        assert reply.error == (
            500,
            {
                "message": "[rehearsal] this request was drawn to fail, as a share of them should "
                "(rehearsal_failure)",
                "type": "api_error",
                "param": None,
                "code": None,
            },
        )
    assert server.get("/local/executions")["total"] == 1


def test_a_refusal_is_told_apart():
    """A model that refuses says so in a field of its own; a message has text alone."""
    output = [{"type": "message", "content": [{"type": "refusal", "refusal": "I will not."}]}]
    told = completion(response(output), "chatcmpl-1")["choices"][0]["message"]
    assert (told["content"], told["refusal"]) == (None, "I will not.")
    parts = chunks(response(output), "chatcmpl-1", with_usage=False)
    deltas = [part["choices"][0]["delta"] for part in parts]
    assert "".join(delta.get("refusal", "") for delta in deltas) == "I will not."
    assert message(response(output), "msg_1")["content"] == [
        {"type": "text", "text": "I will not."}
    ]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (None, (500, "api_error", "no luck")),
        ("server_error", (500, "api_error", "no luck (server_error)")),
        (401, (500, "api_error", "no luck (401)")),
        (429, (500, "api_error", "no luck (429)")),
        (400, (400, "invalid_request_error", "no luck (400)")),
        (413, (400, "invalid_request_error", "no luck (413)")),
        (422, (400, "invalid_request_error", "no luck (422)")),
    ],
)
def test_a_failure_from_elsewhere_says_whose_fault_it_is(code, told):
    """The request's own fault is not to be tried again; another's key or limit is not ours."""
    answer = json.dumps({"error": {"message": "no luck", "code": code}}).encode()
    request = StoredRequest(
        "chatcmpl-1", "/v1/chat/completions", b"{}", b"", 0, 0, "failed", answer
    )
    with pytest.raises(ApiError) as failed:
        answered(request)
    assert (failed.value.status, failed.value.type, failed.value.message) == told


def response(output):
    counts = {"cached_tokens": 1, "reasoning_tokens": 2}
    return {
        "id": "resp_1",
        "created_at": 7,
        "model": "m",
        "output": output,
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": counts,
            "output_tokens": 4,
            "output_tokens_details": counts,
            "total_tokens": 7,
        },
    }


def said(text):
    return {"type": "message", "content": [{"type": "output_text", "text": text}]}


CALLS = [
    {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
    {"type": "custom_tool_call", "call_id": "2", "name": "g", "input": "x"},
]
CHAT_CALLS = [
    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    {"id": "2", "type": "custom", "custom": {"name": "g", "input": "x"}},
]


@pytest.mark.parametrize(
    ("output", "text", "reasoning", "calls"),
    [
        ("just text", "just text", None, None),
        (None, None, None, None),
        (said("one item"), "one item", None, None),
        ([said("two "), said("messages")], "two messages", None, None),
        ([said("both"), *CALLS], "both", None, CHAT_CALLS),
        (
            [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "short"}]}],
            None,
            "short",
            None,
        ),
        (
            [
                {
                    "type": "reasoning",
                    "content": [{"type": "reasoning_text", "text": "long"}],
                    "summary": [{"type": "summary_text", "text": "short"}],
                },
                said("so"),
            ],
            "so",
            "long",
            None,
        ),
        ([{"type": "reasoning", "summary": []}, *CALLS], None, None, CHAT_CALLS),
    ],
)
def test_any_output_takes_the_shape_of_its_surface(output, text, reasoning, calls):
    """Whatever an output may be, a completion, its chunks and a message say the same of it."""
    [choice] = completion(response(output), "chatcmpl-1")["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": text,
        "reasoning_content": reasoning,
        "refusal": None,
        **({"tool_calls": calls} if calls else {}),
    }
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
    *parts, end = chunks(response(output), "chatcmpl-1", with_usage=False)
    deltas = [part["choices"][0]["delta"] for part in parts]
    assert "".join(delta.get("content", "") for delta in deltas) == (text or "")
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == (reasoning or "")
    assert [call for delta in deltas for call in delta.get("tool_calls", ())] == [
        {"index": index, **call} for index, call in enumerate(calls or ())
    ]
    assert end["choices"][0]["finish_reason"] == choice["finish_reason"]
    assert message(response(output), "msg_1")["content"] == [{"type": "text", "text": text or ""}]
