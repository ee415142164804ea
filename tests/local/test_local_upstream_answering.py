"""What the upstream answered, as a Valar answer: whole, and put together from chunks."""

import pytest

from valar_batch.errors import UnreadableAnswer
from valar_batch.local.rehearsal.answers import usage
from valar_batch.local.upstream.answering import (
    RealAnswer,
    answer_of_completion,
    answer_of_response,
)
from valar_batch.local.upstream.streaming import Assembly, call_deltas, deltas_of

NOTHING = usage(0, 0, 0, 0)


def completion(message, finish_reason="stop", **more):
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"object": "chat.completion", "choices": [{**choice, **more}]}


def said(text, status="completed", **more):
    part = {"type": "output_text", "text": text, "annotations": [], **more}
    return {
        "id": "msg_x", "type": "message", "status": status, "role": "assistant", "content": [part],
    }  # fmt: skip


def call(name, arguments, call_id, item_id="fc_x"):
    return {
        "id": item_id, "type": "function_call", "status": "completed", "call_id": call_id,
        "name": name, "arguments": arguments,
    }  # fmt: skip


REASONING = {
    "id": "rs_x",
    "type": "reasoning",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "Let me see."}],
}
TOKENS = [{"token": "hi", "logprob": -0.1, "bytes": [104, 105], "top_logprobs": []}]


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        pytest.param(
            {
                **completion({"role": "assistant", "content": "hi"}),
                "model": "real-model",
                "usage": {
                    "prompt_tokens": 10,
                    "completion_tokens": 5,
                    "total_tokens": 15,
                    "prompt_tokens_details": {"cached_tokens": 4},
                    "completion_tokens_details": {"reasoning_tokens": 2},
                },
            },
            RealAnswer(model="real-model", output=[said("hi")], usage=usage(10, 4, 5, 2)),
            id="text and usage",
        ),
        pytest.param(
            completion({"content": "hi", "reasoning_content": "Let me see."}),
            RealAnswer(model="asked", output=[REASONING, said("hi")], usage=NOTHING),
            id="reasoning",
        ),
        pytest.param(
            completion({"content": "hi", "reasoning": "Let me see."}),
            RealAnswer(model="asked", output=[REASONING, said("hi")], usage=NOTHING),
            id="reasoning under its other name",
        ),
        pytest.param(
            completion({"content": "hi"}, "length"),
            RealAnswer(
                model="asked",
                output=[said("hi", "incomplete")],
                usage=NOTHING,
                incomplete_details={"reason": "max_output_tokens"},
            ),
            id="cut off",
        ),
        pytest.param(
            completion({"content": None}, "content_filter"),
            RealAnswer(
                model="asked",
                output=[said("", "incomplete")],
                usage=NOTHING,
                incomplete_details={"reason": "content_filter"},
            ),
            id="filtered",
        ),
        pytest.param(
            completion({"content": "hi"}, logprobs={"content": TOKENS}),
            RealAnswer(model="asked", output=[said("hi", logprobs=TOKENS)], usage=NOTHING),
            id="logprobs",
        ),
        pytest.param(
            completion({"content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}),
            RealAnswer(model="asked", output=[said("hi")], usage=NOTHING),
            id="content in parts",
        ),
        pytest.param(
            completion(
                {
                    "content": None,
                    "tool_calls": [
                        {"id": "c1", "function": {"name": "f", "arguments": "{}"}},
                        {"function": {"name": "g", "arguments": '{"a":1}'}},
                    ],
                },
                "tool_calls",
            ),
            RealAnswer(
                model="asked",
                output=[call("f", "{}", "c1"), call("g", '{"a":1}', "call_x_1", "fc_x_1")],
                usage=NOTHING,
            ),
            id="calls of tools, one without an id",
        ),
        pytest.param(
            completion(
                {
                    "tool_calls": [
                        {"id": "c", "type": "custom", "custom": {"name": "n", "input": "i"}}
                    ]
                }
            ),
            RealAnswer(
                model="asked",
                output=[
                    {
                        "id": "ctc_x",
                        "type": "custom_tool_call",
                        "status": "completed",
                        "call_id": "c",
                        "name": "n",
                        "input": "i",
                    }
                ],
                usage=NOTHING,
            ),
            id="a custom tool",
        ),
        pytest.param(
            completion({"content": None, "refusal": "No."}),
            RealAnswer(
                model="asked",
                output=[
                    {**said(""), "content": [{"type": "refusal", "refusal": "No."}]},
                ],
                usage=NOTHING,
            ),
            id="a refusal",
        ),
    ],
)  # fmt: skip
def test_a_chat_completion(answered, expected):
    """Every shape that servers give becomes the one shape of a response."""
    assert answer_of_completion(answered, "asked", "x") == expected


OUTPUT = [said("hi")]


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        pytest.param(
            {
                "status": "completed",
                "model": "real-model",
                "output": OUTPUT,
                "usage": {
                    "input_tokens": 10,
                    "output_tokens": 5,
                    "input_tokens_details": {"cached_tokens": 4, "audio_tokens": None},
                    "output_tokens_details": {"reasoning_tokens": None},
                },
            },
            RealAnswer(model="real-model", output=OUTPUT, usage=usage(10, 4, 5, 0)),
            id="completed",
        ),
        pytest.param(
            {
                "status": "incomplete",
                "output": OUTPUT,
                "incomplete_details": {"reason": "max_output_tokens"},
            },
            RealAnswer(
                model="asked",
                output=OUTPUT,
                usage=NOTHING,
                incomplete_details={"reason": "max_output_tokens"},
            ),
            id="cut off",
        ),
        pytest.param(
            {"status": "failed", "error": {"code": "server_error", "message": "out of memory"}},
            RealAnswer(
                model="asked",
                usage=NOTHING,
                error={"message": "out of memory", "code": "server_error"},
            ),
            id="failed",
        ),
        pytest.param(
            {"status": "queued", "error": None, "output": []},
            RealAnswer(
                model="asked",
                usage=NOTHING,
                error={"message": "the upstream left the response queued", "code": "queued"},
            ),
            id="not finished",
        ),
    ],
)
def test_a_response(answered, expected):
    """The upstream's words for a status become Valar's two."""
    assert answer_of_response(answered, "asked") == expected


@pytest.mark.parametrize(
    "answered",
    [None, [], {}, {"choices": []}, {"choices": None}, {"choices": ["x"]}, {"choices": [{}]}],
)
def test_what_is_no_completion(answered):
    """An answer without a message is not taken for an empty one."""
    with pytest.raises(UnreadableAnswer):
        answer_of_completion(answered, "asked", "x")


@pytest.mark.parametrize(
    "answered",
    [None, [], {}, {"choices": []}, {"status": "completed"}, {"status": "completed", "output": 1}],
)
def test_what_is_no_response(answered):
    """Nor is something else that is JSON."""
    with pytest.raises(UnreadableAnswer):
        answer_of_response(answered, "asked")


def piece(delta, finish_reason=None, **more):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more}


def test_a_streamed_chat():
    """Text and reasoning pass at once, calls of tools come whole at the end, and so the answer."""
    assembly = Assembly("asked")
    chunks = [
        piece({"role": "assistant", "content": ""}, model="real-model"),
        piece({"reasoning": "Let me "}),
        piece({"reasoning_content": "see."}),
        piece({"content": "h"}),
        piece({"content": "i"}),
        piece({"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "g"}}]}),
        piece({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f"}}]}),
        piece({"tool_calls": [{"index": 1, "function": {"arguments": '{"a"'}}]}),
        piece({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        piece({"tool_calls": [{"index": 1, "function": {"arguments": ":1}"}}]}),
        piece({}, "tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    ]
    passed = [delta for chunk in chunks for delta in assembly.take(chunk)]
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": '{"a":1}'}},
    ]
    assert passed == [
        {"reasoning_content": "Let me "},
        {"reasoning_content": "see."},
        {"content": "h"},
        {"content": "i"},
    ]
    assert list(call_deltas(assembly.tool_calls())) == [
        {"tool_calls": [{"index": 0, **calls[0]}]},
        {"tool_calls": [{"index": 1, **calls[1]}]},
    ]
    answer = answer_of_completion(assembly.completion(), "asked", "x")
    assert answer == RealAnswer(
        model="real-model",
        output=[
            REASONING,
            said("hi"),
            call("f", "{}", "c1"),
            call("g", '{"a":1}', "c2", "fc_x_1"),
        ],
        usage=usage(3, 0, 4, 0),
    )
    # The same answer, where the upstream does not stream.
    assert list(deltas_of(answer.output)) == [
        {"reasoning_content": "Let me see."},
        {"content": "hi"},
        {"tool_calls": [{"index": 0, **calls[0]}]},
        {"tool_calls": [{"index": 1, **calls[1]}]},
    ]


def test_calls_without_a_number():
    """A server that sends calls whole and does not number them."""
    assembly = Assembly("asked")
    whole = [{"id": f"c{n}", "function": {"name": "f", "arguments": "{}"}} for n in (1, 2)]
    assert list(assembly.take(piece({"tool_calls": whole}, "tool_calls"))) == []
    assert [one["id"] for one in assembly.tool_calls()] == ["c1", "c2"]


@pytest.mark.parametrize(
    "chunks",
    [[], [piece({"content": "h"})], [{"error": {"message": "out of memory"}}], ["text"]],
)
def test_a_stream_that_breaks_off(chunks):
    """An answer without an end is not taken for a whole one."""
    assembly = Assembly("asked")
    with pytest.raises(UnreadableAnswer):  # noqa: PT012 - wherever it comes to light
        for chunk in chunks:
            list(assembly.take(chunk))
        assembly.completion()
