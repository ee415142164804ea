"""The spool gives back what was safely written, wherever it was cut."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from valar_batch.core.wire import result_line
from valar_batch.runs import spool


def line(name: str) -> bytes:
    response = {"object": "response", "id": f"resp_{name}", "status": "completed", "x": "é" * 50}
    return result_line(name, "completed", json.dumps(response, indent=1).encode())


FRAMES = [[line(f"r-{n}") for n in range(start, start + 3)] for start in (1, 4, 7)]


def write(path, frames=FRAMES) -> list[int]:
    """Write frames; gives the offsets at which they end."""
    path.unlink(missing_ok=True)
    ends = []
    for frame in frames:
        spool.append(path, frame)
        ends.append(path.stat().st_size)
    return ends


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_loses_only_the_frame_it_is_in(tmp_path_factory, data) -> None:
    """Cut at any byte, whole frames are read, the rest is cut off, and adding goes on."""
    path = tmp_path_factory.mktemp("spool") / "results.jsonl.zst"
    ends = write(path)
    cut = data.draw(st.integers(0, ends[-1]))
    path.write_bytes(path.read_bytes()[:cut])
    whole = sum(1 for end in ends if end <= cut)
    kept = [entry for frame in FRAMES[:whole] for entry in frame]

    assert [entry.custom_id for entry in spool.recover(path)] == [
        json.loads(text)["custom_id"] for text in kept
    ]
    assert path.stat().st_size == ([0, *ends])[whole]
    spool.append(path, [line("r-99")])
    assert [text + b"\n" for text in spool.read_lines(path)] == [*kept, line("r-99")]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_is_never_an_answer(tmp_path_factory, data) -> None:
    """Damage inside a frame ends the reading there: a checksum guards every frame."""
    path = tmp_path_factory.mktemp("spool") / "results.jsonl.zst"
    ends = write(path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    before = sum(1 for end in ends if end <= place)
    written = [text for frame in FRAMES for text in frame]
    read = [text + b"\n" for text in spool.read_lines(path)]
    assert read[: 3 * before] == written[: 3 * before]
    assert all(text in written for text in read)


def test_no_spool_is_an_empty_one(tmp_path) -> None:
    """A batch whose results were never fetched has nothing to recover."""
    assert list(spool.recover(tmp_path / "none")) == []
    assert list(spool.read_lines(tmp_path / "none")) == []
