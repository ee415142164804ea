"""Which attempt of a row counts, and whether the row may be sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.core.attempts import UNANSWERED, may_send_again, winner
from valar_batch.core.statuses import Status

C, F, X, M, P = (
    Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.MISSING, Status.PENDING,
)  # fmt: skip
ANY = UNANSWERED | {C}


@pytest.mark.parametrize(
    ("attempts", "counts"),
    [
        ([C], 0), ([F], 0), ([P], 0),
        ([F, C], 1), ([F, P], 1), ([F, M], 1), ([F, X, F], 2), ([M, F, P], 2),
        ([C, F], 0), ([C, P], 0), ([C, M], 0), ([C, C], 1), ([F, C, F], 1), ([C, C, P], 1),
    ],
)  # fmt: skip
def test_the_newest_answer_counts_else_the_newest_attempt(attempts, counts) -> None:
    """A failed or open retry never hides an answer."""
    assert winner(attempts) == counts


@pytest.mark.parametrize(
    ("attempts", "wanted", "may"),
    [
        ([F], UNANSWERED, True), ([X], UNANSWERED, True), ([M], UNANSWERED, True),
        ([C], UNANSWERED, False), ([P], UNANSWERED, False),
        ([F, F], UNANSWERED, True), ([F, C], UNANSWERED, False), ([C, F], UNANSWERED, False),
        ([F, P], UNANSWERED, False), ([P, F], UNANSWERED, False), ([M, P], ANY, False),
        ([C], ANY, True), ([C, F], ANY, True), ([C, P], ANY, False),
        ([F], {M}, False), ([F, M], {M}, True), ([M, F], {M}, False),
    ],
)  # fmt: skip
def test_what_may_be_sent_again(attempts, wanted, may) -> None:
    """What counts must be wanted, and nothing of the row may be under way."""
    assert may_send_again(attempts, wanted) is may


@given(st.lists(st.sampled_from([C, F, X, M, P]), min_size=1), st.sets(st.sampled_from([C, F, M])))
def test_a_row_under_way_is_never_sent(attempts, wanted) -> None:
    """One pending attempt, wherever it stands, keeps a row from being sent."""
    if P in attempts:
        assert not may_send_again(attempts, wanted)
