"""Many rows at once give the very bytes that they give one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.pack import Limits, Packer
from valar_batch.core.recipe import Recipe, Source
from valar_batch.core.renderer import Renderer, RowRefused
from valar_batch.core.template import Template, decode_json
from valar_batch.core.wire import all_request_bytes, request_bytes

TEMPLATES = [
    "{{ a }}",
    "all {{- a -}} of {{ b }} \n{# not this #}{% raw %}{{ c }}{% endraw %} {{ a }}\r\n",
    "constant\n",
    "{{ a|upper }} {{ b }}",
    "{% for x in [1, 2] %}{{ a }}{% endfor %}",
    "{{ a.b }}",
    "{{ '{{' }} {{ a }}",
    "\x00slot\x00 {{ a }}",
]
VALUES = st.one_of(
    st.text(),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.none(),
    st.sampled_from([decode_json(text) for text in ("1.10", "1e5", '[1.0,"é"]', '{"b":2.50}')]),
)
ROWS = st.lists(st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES}), min_size=1)


def one_by_one(renderer: Renderer, rows) -> list[bytes] | None:
    """Give the params of rows, or None where any is refused."""
    try:
        return [renderer.params(row) for row in rows]
    except RowRefused:
        return None


@given(
    ROWS, st.sampled_from(TEMPLATES), st.sampled_from([None, *TEMPLATES]), st.none() | st.just("∅")
)
def test_params(rows, prompt, system, null) -> None:
    """What is made at once is what each row gives; refused rows are left to the way one by one."""
    recipe = Recipe(model="m", prompt=prompt, system=system, null_text=null, temperature=0.5)
    at_once = Renderer(recipe, Source.TEMPLATE)
    single = Renderer(recipe, Source.TEMPLATE)
    made = at_once.all_params(rows)
    if made is not None:
        assert made == one_by_one(single, rows)
        assert at_once.unseen() == single.unseen()


@pytest.mark.parametrize("template", TEMPLATES[:3])
def test_plain_templates_are_rendered_at_once(template) -> None:
    """Text around columns needs no engine."""
    rows = [{"a": "x", "b": 1}, {"a": "é", "b": 2}]
    made = Template(template, "prompt", None)
    assert made.render_all(rows) == [made.render(row) for row in rows]


@given(st.lists(st.one_of(st.just("A/b"), st.just("x-1"), st.from_regex(r"[a-z0-9_-]{1,9}"))))
def test_custom_ids_and_requests(values) -> None:
    """Ids and requests are those of each row."""
    renderer = Renderer(Recipe(model="m", prompt="p", id_column="id"), Source.TEMPLATE)
    rows = [{"id": value} for value in values]
    ids = [renderer.custom_id(row, 1) for row in rows]
    assert (renderer.all_custom_ids(rows, 1) or []) == ids
    params = [b'{"n":%d}' % n for n in range(len(ids))]
    assert all_request_bytes(ids, params) == list(map(request_bytes, ids, params))


@given(st.lists(st.just(0) | st.integers(40, 2900), max_size=100), st.integers(1, 20))
def test_packing(sizes, most) -> None:
    """As many rows go into a batch at once as do one by one."""
    limits = Limits(requests=most, bytes=4096)
    packer, single, count = Packer(limits), Packer(limits), 0
    for size in sizes:
        if size and single.requests and not single.fits(size):
            break
        if size:
            single.add(size)
        count += 1
    assert packer.take(sizes) == count
    assert packer == single
