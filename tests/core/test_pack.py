"""Packing keeps order and both limits, and is the same every time."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.pack import Limits, Packer
from valar_batch.core.wire import BODY_HEAD, SEPARATOR, body_tail


def pack(sizes: list[int], limits: Limits) -> list[list[int]]:
    packer, batches = Packer(limits), []
    for size in sizes:
        if not batches or not packer.fits(size):
            packer.close()
            batches.append([])
        packer.add(size)
        batches[-1].append(size)
    return batches


@given(st.lists(st.integers(40, 2900), max_size=200), st.integers(1, 20))
def test_batches_keep_order_and_limits(sizes: list[int], most: int) -> None:
    """Every request is in one batch, in order; no batch is over its count or its bytes."""
    limits = Limits(requests=most, bytes=4096)
    batches = pack(sizes, limits)
    assert [size for batch in batches for size in batch] == sizes
    tail = len(body_tail("r" * 128))
    for batch in batches:
        body = len(BODY_HEAD) + sum(batch) + len(SEPARATOR) * (len(batch) - 1) + tail
        assert len(batch) <= most
        assert body < limits.bytes


@given(st.lists(st.integers(40, 2900), min_size=2, max_size=100))
def test_batches_are_as_full_as_can_be(sizes: list[int]) -> None:
    """A batch is closed only because the next request does not fit."""
    limits = Limits(requests=10, bytes=4096)
    batches = pack(sizes, limits)
    for batch, following in itertools.pairwise(batches):
        packer = Packer(limits)
        for size in batch:
            packer.add(size)
        assert not packer.fits(following[0])


def test_the_largest_request_fits_alone() -> None:
    """What validation lets through always fits in a batch of its own."""
    limits = Limits(bytes=5000)
    packer = Packer(limits)
    assert packer.fits(limits.largest_request - len(SEPARATOR))
    assert not packer.fits(limits.largest_request + 1)
