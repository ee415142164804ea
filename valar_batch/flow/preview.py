"""Requests as they would be sent, one row at a time: nothing is kept, nothing is sent."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from valar_batch.core.template import decode_json
from valar_batch.flow.requests import Requests
from valar_batch.formats.readers import open_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from valar_batch.core.problems import Problem
    from valar_batch.flow.events import Reporter
    from valar_batch.flow.requests import Order


class Preview(NamedTuple):
    """A row of the whole input, counted from 1: the exact bytes of its request, or problems."""

    row: int
    custom_id: str | None
    request: bytes | None
    problems: Sequence[Problem]

    def params(self) -> dict[str, Any]:
        """Give the body of the request; numbers are exact."""
        params: dict[str, Any] = decode_json(self.request or b"{}")["params"]
        return params


def previews(order: Order, report: Reporter, *, last: int | None = None) -> Iterator[Preview]:
    """Give the rows up to `last`, or all. Raises as `prepare` does, but not for rows' problems."""
    with closing(open_input(order.input, order.reading)) as reader:
        requests = Requests(order, reader, report)
        for chunk in requests.chunks():
            for index in range(len(chunk.rows)):
                number = chunk.first_row + index
                if last is not None and number > last:
                    return
                custom_id, _, request, problems = requests.of(chunk, index)
                yield Preview(number, custom_id, request, problems)
        requests.check_seen()
