"""Rows of an input as requests, each checked for itself: what preparing and previewing share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from valar_batch.core.images import images_in
from valar_batch.core.pack import Limits
from valar_batch.core.prices import shipped_prices
from valar_batch.core.problems import Problem
from valar_batch.core.reading import Reading
from valar_batch.core.recipe import Recipe, source_for
from valar_batch.core.renderer import Renderer, RowRefused
from valar_batch.core.rules import WINDOW_FIELD
from valar_batch.core.validate import lookup, model_warning, window_warning
from valar_batch.core.wire import all_request_bytes, request_bytes
from valar_batch.errors import InputError
from valar_batch.flow.events import Notice
from valar_batch.formats.image_files import ImageFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from valar_batch.flow.events import Reporter
    from valar_batch.formats.rows import Chunk, Reader


HELD_BYTES = 8_000_000
"""Requests are given on as soon as they are about this many bytes: large ones are not gathered."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the user wants prepared. `target` names where it will be sent: it enters the identity.

    `input` is whatever `open_input` takes: a path, folder or pattern, `-`, or rows in memory. With
    `skip_invalid`, rows with problems stay in the output instead of stopping everything.
    """

    input: object
    recipe: Recipe
    target: str
    reading: Reading = field(default_factory=Reading)
    limits: Limits = field(default_factory=Limits)
    skip_invalid: bool = False
    name: str | None = None


class Made(NamedTuple):
    """What was made of a row: a request and its params, or problems, placed on the row."""

    custom_id: str | None
    params: bytes | None
    request: bytes | None
    problems: Sequence[Problem]


@dataclass(slots=True)
class Portion:
    """What was made of the rows of a chunk from `start` on: requests, or problems by their place.

    The counts are of the params of the requests.
    """

    start: int
    custom_ids: list[str | None] = field(default_factory=list)
    requests: list[bytes | None] = field(default_factory=list)
    problems: dict[int, Sequence[Problem]] = field(default_factory=dict)
    params_bytes: int = 0
    images: int = 0
    image_bytes: int = 0


class Requests:
    """The requests of an open input, under an order's recipe.

    Raises UsageError for a recipe that cannot serve, InputError for columns that are not there.
    """

    def __init__(self, order: Order, reader: Reader, report: Reporter) -> None:
        self.order = order
        self.reader = reader
        for notice in reader.notices:
            report(Notice(notice))
        columns = reader.columns()
        self.renderer = Renderer(
            order.recipe,
            source_for(order.recipe, columns),
            nulls_are_absent=reader.nulls_are_absent,
            read_image=ImageFiles(lambda: reader.folder),
        )
        if not reader.rows_may_differ:
            check_columns(self.renderer, columns)
        warn(self.renderer, report)

    def chunks(self) -> Iterator[Chunk]:
        """Give the rows, in order."""
        return self.reader.chunks(self.renderer.columns)

    def portions(self, chunk: Chunk) -> Iterator[Portion]:
        """Make the requests of all rows, about HELD_BYTES of them at a time."""
        count = len(chunk.rows)
        size = chunk.kept.nbytes + count * self.renderer.size
        step = max(1, min(count, count * HELD_BYTES // max(size, 1)))
        for start in range(0, count, step):
            stop = min(start + step, count)
            at_once = self._at_once(chunk, start, stop)
            yield from self._one_by_one(chunk, start, stop) if at_once is None else [at_once]

    def _at_once(self, chunk: Chunk, start: int, stop: int) -> Portion | None:
        """Make the requests of rows that are all alike and well; None for others."""
        rows: Any = chunk.rows[start:stop]
        if set(map(type, rows)) != {dict}:
            return None
        params = self.renderer.all_params(rows)
        custom_ids = self.renderer.all_custom_ids(rows, chunk.first_row + start) if params else None
        if params is None or custom_ids is None:
            return None
        requests = all_request_bytes(custom_ids, params)
        if max(map(len, requests)) > self.order.limits.largest_request:
            return None
        size = sum(map(len, params))
        return Portion(start, [*custom_ids], [*requests], params_bytes=size)

    def _one_by_one(self, chunk: Chunk, start: int, stop: int) -> Iterator[Portion]:
        portion, held = Portion(start), 0
        for index in range(start, stop):
            custom_id, params, request, problems = self.of(chunk, index)
            if problems:
                portion.problems[index - portion.start] = problems
            portion.custom_ids.append(custom_id)
            portion.requests.append(request)
            if params is not None:
                portion.params_bytes += len(params)
                if self.renderer.may_have_images:
                    images, image_bytes = images_in(params)
                    portion.images += images
                    portion.image_bytes += image_bytes
            held += len(request) if request else 0
            del params, request  # the next ones are made before these names are set again
            if held >= HELD_BYTES:
                yield portion
                portion, held = Portion(index + 1), 0
        if portion.requests:
            yield portion

    def of(self, chunk: Chunk, index: int) -> Made:
        """Make the request of a row."""
        row = chunk.rows[index]
        if isinstance(row, Problem):
            return Made(None, None, None, [row.at(*chunk.place(index))])
        problems: list[Problem] = []
        custom_id = request = params = None
        try:
            custom_id = self.renderer.custom_id(row, chunk.first_row + index)
        except RowRefused as refused:
            problems += refused.problems
        try:
            params = self.renderer.params(row)
        except RowRefused as refused:
            problems += refused.problems
        if custom_id is not None and params is not None:
            request = request_bytes(custom_id, params)
            if len(request) > self.order.limits.largest_request:
                problems.append(too_large(len(request), self.order.limits))
        if problems:
            place = chunk.place(index)
            return Made(custom_id, None, None, [problem.at(*place) for problem in problems])
        return Made(custom_id, params, request, ())

    def findings(self) -> Iterator[str]:
        """Say what was made of the rows that the user should know. They have been read."""
        renderer = self.renderer
        if renderer.translated:
            apis = (f"{rows:,} × {api}" for api, rows in renderer.translated.most_common())
            yield f"translated: {', '.join(apis)}"
        yield from (f"fixed: {rows:,} × {what}" for what, rows in renderer.fixed.most_common())
        for model, rows in renderer.models.most_common():
            warning = model_warning(model, tuple(shipped_prices().models))
            yield f"{warning} (rows that name it: {rows:,}; --model MODEL takes its place)"

    def check_seen(self) -> None:
        """Refuse columns of the templates that no row had. The input has been read to its end."""
        if unseen := self.renderer.unseen():
            raise InputError(
                f"no row has a column {', '.join(map(repr, unseen))}",
                hint="correct the name in --prompt, --system or --image",
            )


def too_large(size: int, limits: Limits) -> Problem:
    """Say that a request fits in no batch."""
    return Problem(
        "too large",
        "request",
        f"the request has {size:,} bytes; a batch takes at most {limits.largest_request:,}",
        "shorten the text, or raise --batch-bytes if you lowered it",
    )


def check_columns(renderer: Renderer, columns: Sequence[str]) -> None:
    """Refuse a recipe that reads columns which the file's header does not have."""
    missing = sorted(renderer.required - set(columns))
    if missing:
        what = "column" if len(missing) == 1 else "columns"
        raise InputError(
            f"no {what} {', '.join(map(repr, missing))}; the input has: {', '.join(columns[:50])}",
            hint="correct the name in --prompt, --system, --image or --id",
        )


def warn(renderer: Renderer, report: Reporter) -> None:
    """Say what is let through with a doubt."""
    fields = renderer.recipe.fields()
    model, window = fields.get("model"), lookup(fields, WINDOW_FIELD)
    texts = (
        model_warning(model, tuple(shipped_prices().models)) if model else "",
        window_warning(window) if isinstance(window, str) else "",
    )
    for text in filter(None, texts):
        report(Notice(text))
