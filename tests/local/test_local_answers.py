"""Rehearsal answers: marked, deterministic, and of the shape that the contract gives."""

import hashlib
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valar_batch.core.identity import params_hash
from valar_batch.core.outcome import OutcomeReader
from valar_batch.core.wire import result_line
from valar_batch.local.rehearsal.answers import MARK, response_object
from valar_batch.local.rehearsal.fate import (
    COMPLETES,
    FAILS,
    IS_CANCELLED,
    Odds,
    fate,
    settling_delay,
)

SHAPES = st.one_of(
    st.text(min_size=1),
    st.lists(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["system", "user", "assistant"]),
                "content": st.text()
                | st.lists(
                    st.fixed_dictionaries({"type": st.just("input_text"), "text": st.text()})
                ),
            }
        ),
        min_size=1,
    ),
)


def answer(params, status="completed", digest=None):
    digest = params_hash(json.dumps(params).encode()) if digest is None else digest
    return response_object(params, digest, response_id="resp_1", created_at=7, status=status)


def zero_usage():
    return {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "reasoning_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"cached_tokens": 0, "reasoning_tokens": 0},
        "total_tokens": 0,
    }


COMMON = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "model": "m",
    "metadata": {},
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


def test_a_completed_response_is_whole():
    """Every field of the response object is there, and the settings are those of the request."""
    params = {
        "model": "m",
        "input": [
            {"role": "system", "content": "Judge."},
            {"role": "user", "content": [{"type": "input_text", "text": "one two  three four"}]},
        ],
        "temperature": 0,
        "top_p": None,
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low"},
    }
    assert answer(params, digest=bytes(16)) == {
        **COMMON,
        "status": "completed",
        "metadata": {"a": "b"},
        "output": [
            {"id": "rs_1", "type": "reasoning", "summary": []},
            {
                "id": "msg_1",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {
                        "type": "output_text",
                        "text": "[rehearsal] an answer would stand here, to: one two three four",
                        "annotations": [],
                    }
                ],
            },
        ],
        "usage": {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 3, "reasoning_tokens": 0},
            "output_tokens": 32,
            "output_tokens_details": {"cached_tokens": 0, "reasoning_tokens": 16},
            "total_tokens": 39,
        },
        "error": None,
        "incomplete_details": None,
        "temperature": 0,
        "reasoning": {"effort": "low"},
    }


def test_a_failed_response_says_that_it_is_a_rehearsal():
    """A failure has an error with message and code, no output, and costs nothing."""
    assert answer({"model": "m", "input": "x"}, "failed") == {
        **COMMON,
        "status": "failed",
        "output": None,
        "usage": zero_usage(),
        "error": {
            "message": "[rehearsal] this request was drawn to fail, as a share of them should",
            "code": "rehearsal_failure",
        },
        "incomplete_details": None,
    }


def test_an_unfinished_response_has_nothing_yet():
    """What is not finished has a null output and zero usage."""
    assert answer({"model": "m", "input": "x"}, "in_progress") == {
        **COMMON,
        "status": "in_progress",
        "output": None,
        "usage": zero_usage(),
        "error": None,
        "incomplete_details": None,
    }


@given(source=SHAPES, most=st.none() | st.integers(1, 400), digest=st.binary(min_size=16))
def test_max_output_tokens_holds(source, most, digest):
    """No answer is over its limit; one that is cut says so, and stays completed."""
    response = answer({"model": "m", "input": source, "max_output_tokens": most}, digest=digest)
    usage = response["usage"]
    text = response["output"][1]["content"][0]["text"]
    assert response["status"] == "completed"
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_tokens_details"]["cached_tokens"] < usage["input_tokens"]
    if response["incomplete_details"] is None:
        assert text.startswith(MARK)
        assert most is None or usage["output_tokens"] <= most
    else:
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert usage["output_tokens"] == most
        assert text
        assert text.startswith(MARK) or MARK.startswith(text)


@given(source=SHAPES, digest=st.binary(min_size=16))
def test_the_same_request_has_the_same_answer(source, digest):
    """An answer depends on the request alone, and changes nothing of it."""
    params = {"model": "m", "input": source}
    before = json.dumps(params)
    assert answer(params, digest=digest) == answer(json.loads(before), digest=digest)
    assert json.dumps(params) == before


HASHES = [hashlib.blake2b(str(n).encode(), digest_size=16).digest() for n in range(10_000)]
LABEL = {
    "type": "object",
    "properties": {"label": {"enum": ["good"]}},
    "required": ["label"],
    "additionalProperties": False,
}
RATE = {"type": "function", "name": "rate", "parameters": LABEL}
NOTE = {"type": "custom", "name": "note"}
SCHEMAS = st.sampled_from([LABEL, {"type": "array", "items": {"type": "string"}, "minItems": 9}])


def asking(schema):
    """Params that ask for answers by a schema."""
    return {"model": "m", "input": "x", "text": {"format": {"type": "json_schema", **schema}}}


def text_of(response):
    return response["output"][1]["content"][0]["text"]


def test_an_answer_fits_the_schema():
    """The text is JSON by the schema, and the tokens are those of that text."""
    response = answer(asking({"name": "n", "schema": LABEL}), digest=bytes(16))
    assert text_of(response) == '{"label":"good"}'
    assert response["usage"]["output_tokens"] == 16 + 4
    assert response["text"]["format"]["schema"] == LABEL


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"name": "n"}, "{}"),
        ({"name": "n", "schema": {}}, "{}"),
        ({"name": "n", "schema": {"not": {}}}, "[rehearsal] an answer would stand here, to: x"),
        ({"name": "n", "schema": {"type": 5}}, "[rehearsal] an answer would stand here, to: x"),
        ({"name": "n", "schema": 5}, "[rehearsal] an answer would stand here, to: x"),
    ],
)
def test_a_schema_that_cannot_be_met_gives_plain_text(schema, text):
    """Without a schema the answer is an empty object; without an instance it is marked text."""
    assert text_of(answer(asking(schema))) == text


@settings(deadline=None)
@given(schema=SCHEMAS, most=st.integers(1, 60), digest=st.binary(min_size=16))
def test_max_output_tokens_cuts_json_too(schema, most, digest):
    """An answer by a schema that is too long ends where its tokens do, and says so."""
    params = asking({"name": "n", "schema": schema})
    whole = answer(params, digest=digest)
    response = answer({**params, "max_output_tokens": most}, digest=digest)
    assert response["usage"]["output_tokens"] <= most
    is_cut = response["incomplete_details"] is not None
    assert text_of(whole).startswith(text_of(response))
    assert is_cut == (text_of(whole) != text_of(response))


def test_a_function_is_called_with_fitting_arguments():
    """The call stands in the place of a message, with arguments by the parameters."""
    params = {"model": "m", "input": "x", "tools": [RATE], "tool_choice": "required"}
    response = answer(params, digest=bytes(16))
    assert response["output"] == [
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {
            "id": "fc_1",
            "type": "function_call",
            "status": "completed",
            "call_id": "call_1",
            "name": "rate",
            "arguments": '{"label":"good"}',
        },
    ]
    assert response["usage"]["output_tokens"] == 16 + 4
    assert response["tools"] == [RATE]


def test_a_custom_tool_is_given_text():
    """A custom tool takes text, which is marked."""
    choice = {"type": "custom", "name": "note"}
    params = {"model": "m", "input": "x", "tools": [RATE, NOTE], "tool_choice": choice}
    assert answer(params, digest=bytes(16))["output"][1] == {
        "id": "ctc_1",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "note",
        "input": "[rehearsal] an input for note would stand here",
    }


def test_a_call_is_cut_as_a_text_is():
    """A call that max_output_tokens ends is incomplete."""
    params = {
        "model": "m", "input": "x", "tools": [RATE], "tool_choice": "required",
        "max_output_tokens": 4,
    }  # fmt: skip
    response = answer(params, digest=bytes(16))
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    call = response["output"][1]
    assert (call["status"], call["arguments"]) == ("incomplete", '{"label"')


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("required", {"rate", "note"}),
        ("auto", {"rate", "note", None}),
        (None, {"rate", "note", None}),
        ("none", {None}),
        ({"type": "function", "name": "rate"}, {"rate"}),
        ({"type": "custom", "name": "note"}, {"note"}),
        ({"type": "function", "name": "other"}, {None}),
        ({"type": "function", "name": "note"}, {None}),
    ],
)
def test_tool_choice_says_what_is_called(choice, called):
    """Each of the tools, the named one, none, or under auto a tool or a message."""
    params = {"model": "m", "input": "x", "tools": [RATE, NOTE, {"type": "function"}]}
    params |= {"tool_choice": choice} if choice else {}
    answers = [answer(params, digest=digest)["output"][1] for digest in HASHES[:200]]
    assert {item.get("name") for item in answers} == called
    if choice in (None, "auto"):
        messages = sum(item["type"] == "message" for item in answers)
        assert 60 < messages < 140


CALL = {"type": "function_call", "call_id": "1", "name": "rate", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "1", "output": "4"}


@pytest.mark.parametrize(
    ("after", "choice", "called"),
    [
        ([CALL, OUTPUT], "auto", {None}),
        ([CALL, {**OUTPUT, "type": "custom_tool_call_output"}], "auto", {None}),
        ([{"role": "tool", "content": "4"}], "auto", {None}),
        ([CALL, OUTPUT], "required", {"rate"}),
        ([CALL, OUTPUT], {"type": "function", "name": "rate"}, {"rate"}),
        ([CALL, OUTPUT, {"role": "user", "content": "Again."}], "auto", {"rate", None}),
    ],
)
def test_what_a_tool_gave_is_answered_with_text(after, choice, called):
    """Else a loop of calls would never end; only a choice that asks for a call has another."""
    source = [{"role": "user", "content": "Rate it."}, *after]
    for messages in (source, {"messages": source}):
        params = {"model": "m", "input": messages, "tools": [RATE], "tool_choice": choice}
        answers = [answer(params, digest=digest)["output"][1] for digest in HASHES[:40]]
        assert {item.get("name") for item in answers} == called


def test_effort_none_reasons_nothing():
    """No reasoning item, and no tokens for one."""
    response = answer({"model": "m", "input": "x", "reasoning": {"effort": "none"}})
    assert [item["type"] for item in response["output"]] == ["message"]
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize("field", ["generate_summary", "summary"])
def test_a_summary_is_there_where_it_is_asked_for(field):
    """It is marked, as all texts are."""
    response = answer({"model": "m", "input": "x", "reasoning": {field: "auto"}})
    assert response["output"][0] == {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "[rehearsal] the reasoning would stand here"}],
    }


def test_json_object_is_an_object():
    """The text is in it, whatever signs it has."""
    params = {"model": "m", "input": 'a "b"', "text": {"format": {"type": "json_object"}}}
    assert json.loads(text_of(answer(params))) == {
        "answer": '[rehearsal] an answer would stand here, to: a "b"'
    }


def test_logprobs_come_where_they_are_asked_for():
    """One logprob for each token of the text, and the tokens make up the text."""
    params = {"model": "m", "input": "x", "include": ["message.output_text.logprobs"]}
    part = answer(params)["output"][1]["content"][0]
    assert "".join(entry["token"] for entry in part["logprobs"]) == part["text"]


@pytest.mark.parametrize(
    "source",
    [
        [{"role": "assistant", "content": "only this"}],
        {"messages": [{"role": "user", "content": "only this"}]},
        [
            {"role": "user", "content": "only this"},
            {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"},
            {"type": "function_call_output", "call_id": "1", "output": "4"},
        ],
    ],
)
def test_the_last_user_text_is_echoed(source):
    """The answer repeats what the user said last, whatever the shape of the input."""
    text = answer({"model": "m", "input": source})["output"][1]["content"][0]["text"]
    assert text == "[rehearsal] an answer would stand here, to: only this"


def test_the_client_reads_the_answers():
    """The project's own decoding takes a rehearsal answer for what it is."""
    encoded = json.dumps(answer({"model": "m", "input": "Hello"}, digest=bytes(16))).encode()
    line = result_line("a", "completed", encoded)
    outcome = OutcomeReader(lambda _: None).read(line, 1)
    assert outcome == outcome._replace(
        custom_id="a",
        status="completed",
        output_text="[rehearsal] an answer would stand here, to: Hello",
        response_id="resp_1",
        input_tokens=2,
        cached_tokens=1,
        output_tokens=29,
        reasoning_tokens=16,
    )


@pytest.mark.parametrize("share", [0, 0.01, 0.25, 1])
def test_the_failure_share_is_kept(share):
    """About the given share of requests fails; none at 0 and all at 1."""
    failed = sum(fate(digest, Odds(share)) == FAILS for digest in HASHES) / len(HASHES)
    assert failed == pytest.approx(share, abs=0.01 if 0 < share < 1 else 0)


def test_cancelled_are_others_than_failed():
    """Of what does not fail, about the given share is cancelled; together they may be all."""
    fates = Counter(fate(digest, Odds(0.25, 0.25)) for digest in HASHES)
    shares = {end: count / len(HASHES) for end, count in fates.items()}
    assert shares == pytest.approx({COMPLETES: 0.5, FAILS: 0.25, IS_CANCELLED: 0.25}, abs=0.01)
    assert {fate(digest, Odds(0.25, 0.75)) for digest in HASHES} == {FAILS, IS_CANCELLED}


def test_more_failures_keep_those_there_were():
    """A request that fails at a share fails at every larger one."""
    assert all(
        fate(digest, Odds(0.5, 0.5)) == FAILS
        for digest in HASHES
        if fate(digest, Odds(0.1, 0.5)) == FAILS
    )


def test_delays_spread_around_the_mean():
    """Requests settle between 0.2 and 2 times the latency, and at it on average."""
    delays = [settling_delay(digest, place, 10) for place, digest in enumerate(HASHES)]
    assert 2 <= min(delays) < 2.1
    assert 19.9 < max(delays) <= 20
    assert sum(delays) / len(delays) == pytest.approx(10, rel=0.02)


@given(digest=st.binary(min_size=16, max_size=16), position=st.integers(0, 99_999))
def test_no_latency_is_no_delay(digest, position):
    """Without latency a request is finished at once, wherever it stands."""
    assert settling_delay(digest, position, 0) == 0
