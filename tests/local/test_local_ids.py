"""Ids of records: derived from what was sent, and taken apart again."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.rules import MAX_BATCH_REQUESTS
from valar_batch.local.ids import (
    BATCH_PREFIX,
    PREFIXES,
    derived_id,
    item_of,
    item_response_id,
)

DIGESTS = st.binary(min_size=16, max_size=32)
COUNTS = st.integers(0, 2**40)


@given(DIGESTS, COUNTS, st.integers(0, MAX_BATCH_REQUESTS - 1))
def test_the_response_id_of_an_item_names_its_batch_and_place(digest, before, place):
    """What is put together is taken apart again."""
    batch_id = derived_id(BATCH_PREFIX, digest, before)
    response_id = item_response_id(batch_id, place)
    assert re.fullmatch("resp_[0-9a-f]{30}", response_id)
    assert item_of(response_id) == (batch_id, place)


@given(DIGESTS, COUNTS)
def test_no_other_id_is_an_items(digest, before):
    """The ids of single requests and of batches have another form."""
    for prefix in (BATCH_PREFIX, *PREFIXES.values()):
        assert item_of(derived_id(prefix, digest, before)) is None


@pytest.mark.parametrize(
    "text", ["", "resp_", "resp_" + "0" * 29, "resp_" + "0" * 31, "resp_" + "G" * 30, "' OR 1=1"]
)
def test_what_is_no_id_names_nothing(text):
    """Any text is taken."""
    assert item_of(text) is None


def test_ids_are_the_same_for_ever():
    """An id depends on nothing but what was sent."""
    batch_id = derived_id(BATCH_PREFIX, b"digest", 1)
    assert (batch_id, item_response_id(batch_id, 255)) == (
        "batch_0987f9b906b225d570b08dcf",
        "resp_0987f9b906b225d570b08dcf0000ff",
    )
