"""Streams of events, over ASGI: their bytes, their errors, and what a hang-up ends."""

import asyncio
import json

import pytest

from valar_batch.errors import ServerFault
from valar_batch.local.api.streams import begun, paced

HEADERS = [(b"content-type", b"application/json"), (b"x-request-id", b"req_1")]
FAULT = ServerFault("it broke", status=500, type="api_error")


class Client:
    """A client on the other side of ASGI, which may leave."""

    def __init__(self):
        self.sent = []
        self.leaves = asyncio.Event()

    async def receive(self):
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def body(self):
        return b"".join(message["body"] for message in self.sent[1:])


async def breaking(*events):
    for event in events:
        yield event
    raise FAULT


def test_events_are_lines_of_data():
    """Each is JSON on a line of its own, and the last is [DONE]."""

    async def run():
        client = Client()
        stream = await begun(paced([{"a": 1}, {"b": "\n"}], 0))
        await stream.send(HEADERS, client.receive, client.send)
        return client

    client = asyncio.run(run())
    assert client.sent[0] == {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"text/event-stream"),
            (b"x-request-id", b"req_1"),
            (b"cache-control", b"no-cache"),
        ],
    }
    assert client.body == b'data: {"a":1}\n\ndata: {"b":"\\n"}\n\ndata: [DONE]\n\n'
    assert [message.get("more_body", False) for message in client.sent[1:]] == [True] * 3 + [False]


def test_an_error_before_the_first_event_keeps_its_status():
    """Nothing has been sent then, so it is raised."""
    with pytest.raises(ServerFault):
        asyncio.run(begun(breaking()))


def test_an_error_on_the_way_is_an_event():
    """It stands in the envelope, and nothing follows it: no [DONE]."""

    async def run():
        client = Client()
        stream = await begun(breaking({"a": 1}))
        await stream.send(HEADERS, client.receive, client.send)
        return client.body

    first, error, end = asyncio.run(run()).split(b"\n\n")
    assert (first, end) == (b'data: {"a":1}', b"")
    assert json.loads(error.removeprefix(b"data: ")) == {
        "error": {"message": "it broke", "type": "api_error", "param": None, "code": None}
    }


def test_a_hang_up_ends_what_makes_the_events():
    """A source that would go on for ever is closed when its client leaves."""

    async def run():
        client = Client()
        closed = asyncio.Event()

        async def endless():
            try:
                while True:
                    yield 1
                    client.leaves.set()
                    await asyncio.sleep(0)
            finally:
                closed.set()

        stream = await begun(endless())
        await stream.send(HEADERS, client.receive, client.send)
        await asyncio.wait_for(closed.wait(), 10)

    asyncio.run(run())


@pytest.mark.parametrize("events", [[], [1], [1, 2, 3]])
def test_pacing_changes_no_event(events):
    """Whatever the time that is left, even one that is over."""

    async def run(seconds):
        return [event async for event in paced(events, seconds)]

    assert [asyncio.run(run(seconds)) for seconds in (-1, 0, 0.01)] == [events] * 3
