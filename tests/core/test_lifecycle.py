"""What may be done with a batch that is not known to have arrived."""

from __future__ import annotations

import pytest

from valar_batch.core.lifecycle import Adopt, BatchState, Doubt, Send, before_sending

FRESH = BatchState.PREPARED
DOUBTFUL = BatchState.SUBMITTING


@pytest.mark.parametrize(
    ("state", "found", "same_key", "age", "resend", "step"),
    [
        (FRESH, None, True, 0, False, Send),
        (FRESH, "batch_1", True, 0, False, Adopt),
        (FRESH, "batch_1", True, 0, True, Adopt),
        (FRESH, None, False, 0, False, Send),
        (DOUBTFUL, "batch_1", False, 9e9, False, Adopt),
        (DOUBTFUL, None, True, 0, False, Send),
        (DOUBTFUL, None, True, 3600, False, Send),
        (DOUBTFUL, None, True, 3601, False, Doubt),
        (DOUBTFUL, None, True, -1, False, Doubt),
        (DOUBTFUL, None, False, 0, False, Doubt),
        (DOUBTFUL, None, False, 9e9, True, Send),
    ],
)
def test_before_sending(state, found, same_key, age, resend, step) -> None:
    """What is found is adopted; a doubtful POST is repeated only under its key, within the hour."""
    decided = before_sending(state, found=found, same_key=same_key, intent_age=age, resend=resend)
    assert type(decided) is step
    if step is Adopt:
        assert decided == Adopt("batch_1")
