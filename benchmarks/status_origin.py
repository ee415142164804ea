"""A Valar whose batches are at work for ever: it answers their statuses, and counts what it sent.

In what it says of a request words change, but none of them means that it is settled: nothing is to
be fetched, and what is measured is polling alone. `GET /v1/figures` gives the counts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import ssl
import zlib
from dataclasses import dataclass

VARIANTS = 8
CHANGING, STILL, TAGGED = "changing", "still", "tagged"
"""What it does: a status is another each time; it is the same; it is, and it has an ETag."""


def custom_ids(requests: int) -> list[str]:
    """The ids of a batch, which are those of the input: like hashes, hard to compress."""
    step = 0x9E3779B97F4A7C15F39CC0605CEDC835
    return [f"k-{(number + 1) * step % 2**128:032x}"[:28] for number in range(requests)]


def statuses(requests: int, kind: str) -> list[bytes]:
    """The answers to a GET of a batch, in turn."""
    ids = custom_ids(requests)
    answers = []
    for variant in range(VARIANTS if kind == CHANGING else 1):
        words = (
            "RUNNING" if place % VARIANTS == variant else "QUEUED" for place in range(requests)
        )
        entries = {name: {"status": word} for name, word in zip(ids, words, strict=True)}
        answer = {"id": "batch", "request_counts": requests, "created_at": 1764000000}
        whole = {**answer, "request_status": entries}
        answers.append(json.dumps(whole, separators=(",", ":")).encode())
    return answers


@dataclass
class Figures:
    """What was asked, and how many bytes were sent as bodies of statuses."""

    polls: int = 0
    unchanged: int = 0
    bytes: int = 0


class Server:
    """Answers one connection after another; nothing is kept but the figures."""

    def __init__(self, requests: int, kind: str, *, is_zipped: bool) -> None:
        plain = statuses(requests, kind)
        self._size = len(plain[0])
        self._tag = '"1"' if kind == TAGGED else ""
        self._bodies = itertools.cycle(
            [zlib.compress(body, 6, 31) for body in plain] if is_zipped else plain
        )
        self._encoding = "Content-Encoding: gzip\r\n" if is_zipped else ""
        self._requests = requests
        self._figures = Figures()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on a connection, until it is closed."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *fields = head.split("\r\n")
                headers = dict(field.lower().split(": ", 1) for field in fields if field)
                left = int(headers.get("content-length", 0))
                while left:
                    left -= len(await reader.read(min(left, 1 << 20)))
                self._answer(line.split(), headers, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(
        self, line: list[str], headers: dict[str, str], writer: asyncio.StreamWriter
    ) -> None:
        method, path = line[0], line[1].partition("?")[0]
        status, more = "200 OK", ""
        if path == "/v1/figures":
            body = json.dumps({**vars(self._figures), "size": self._size}).encode()
        elif method == "POST":
            made = {"id": "batch", "request_counts": self._requests, "created_at": 1764000000}
            body = json.dumps(made).encode()
        elif path == "/v1/batches":
            body = b"[]"
        else:
            self._figures.polls += 1
            more = f"ETag: {self._tag}\r\n" if self._tag else ""
            if self._tag and headers.get("if-none-match") == self._tag:
                status, body = "304 Not Modified", b""
                self._figures.unchanged += 1
            else:
                body, more = next(self._bodies), more + self._encoding
                self._figures.bytes += len(body)
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


async def serve(port: int, certificate: str, server: Server) -> None:
    """Serve for ever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = await asyncio.start_server(server.converse, "127.0.0.1", port, ssl=context)
    await listener.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--kind", choices=(CHANGING, STILL, TAGGED), default=CHANGING)
    parser.add_argument("--zipped", action="store_true")
    given = parser.parse_args()
    server = Server(given.requests, given.kind, is_zipped=given.zipped)
    asyncio.run(serve(given.port, given.certificate, server))


if __name__ == "__main__":
    main()
