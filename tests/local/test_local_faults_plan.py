"""Plans of faults: what is wrong in them, and which calls they hit."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valar_batch.errors import UsageError
from valar_batch.local.faults.draws import Draws, is_drawn, pattern_of
from valar_batch.local.faults.plan import STATUSES, load_plan, read_plan
from valar_batch.local.rehearsal.fate import Odds
from valar_batch.local.server import Settings
from valar_batch.local.upstream.settings import UpstreamSettings

DROP = '[[fault]]\nkind = "drop"\nwhen = "after"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed =", "this is not TOML: Invalid value (at end of document)"),
        ("sed = 7", "Object contains unknown field `sed`"),
        ('seed = "a"', "seed: Expected `int`, got `str`"),
        ("reservation_seconds = -1", "reservation_seconds: Expected `float` >= 0.0"),
        ("[requests]\nfailed = 2", "[requests]: failed: Expected `float` <= 1.0"),
        ("[requests]\nlost = 1", "[requests]: Object contains unknown field `lost`"),
        (
            "[requests]\nfailed = 0.6\ncancelled = 0.6",
            "[requests]: cancelled: with failed, it is more than all of them",
        ),
        ("fault = 3", "fault: Expected `array`, got `int`"),
        ("fault = [3]", "[[fault]] 1: Expected `object`, got `int`"),
        ('[[fault]]\non = "*"', "[[fault]] 1: Object missing required field `kind`"),
        ('[[fault]]\nkind = "fire"', "[[fault]] 1: kind: Invalid value 'fire'"),
        (f'{DROP}{DROP}color = "red"', "[[fault]] 2: Object contains unknown field `color`"),
        ('[[fault]]\nkind = "drop"', "[[fault]] 1: Object missing required field `when`"),
        ('[[fault]]\nkind = "drop"\nwhen = "x"', "[[fault]] 1: when: Invalid enum value 'x'"),
        (f"{DROP}share = 1.5", "[[fault]] 1: share: Expected `float` <= 1.0"),
        (f"{DROP}calls = [2, 0]", "[[fault]] 1: calls[1]: Expected `int` >= 1"),
        (f"{DROP}from = 3\nto = 2", "[[fault]] 1: to: comes before from, which is 3"),
        (f'{DROP}per = "day"', "[[fault]] 1: per: Invalid enum value 'day'"),
        *(
            (f'{DROP}on = "{on}"', '[[fault]] 1: on: looks like "GET /v1/batches/*", or is "*"')
            for on in ("GET", "get /v1/models", "GET /local/executions", "GET v1/models", "")
        ),
        (
            '[[fault]]\nkind = "status"\nstatus = 418',
            f"[[fault]] 1: status: is one of {', '.join(map(str, STATUSES))}",
        ),
        (
            '[[fault]]\nkind = "status"\nstatus = 429\nas_date = true',
            "[[fault]] 1: as_date: needs retry_after",
        ),
        (
            '[[fault]]\nkind = "status"\nstatus = 400\nprocessed = true',
            "[[fault]] 1: processed: a 4xx says that nothing was done; this goes with 5xx",
        ),
        ('[[fault]]\nkind = "slow"', "[[fault]] 1: seconds: either this or pause is needed"),
        (
            '[[fault]]\nkind = "truncated"\npart = 1.0',
            "[[fault]] 1: part: Expected `float` < 1.0",
        ),
        (
            '[[fault]]\nkind = "html"\nstatus = 300',
            f"[[fault]] 1: status: is 200 or one of {', '.join(map(str, STATUSES))}",
        ),
        ('[[fault]]\nkind = "late"', "[[fault]] 1: asks: either this or seconds is needed"),
        (
            '[[fault]]\nkind = "late"\nasks = 1\nseconds = 1',
            "[[fault]] 1: asks: either this or seconds is needed",
        ),
        ('[[fault]]\nkind = "map"', "[[fault]] 1: Object missing required field `what`"),
    ],
)
def test_what_is_wrong_in_a_plan(tmp_path, text, said):
    """A mistake is told with the file, the table and the field."""
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        load_plan(path)
    assert raised.value.message == f"{path}: {said}"


def test_a_plan_that_cannot_be_read(tmp_path):
    """A file that is not there, or is no text."""
    path = tmp_path / "plan.toml"
    with pytest.raises(UsageError, match="No such file"):
        load_plan(path)
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="it is not UTF-8 text"):
        load_plan(path)


def test_with_an_upstream():
    """Connections to an upstream's answers go wrong as well, but it alone decides what fails."""
    upstream = UpstreamSettings(base_url="http://localhost:1/v1")
    settings = {"api_keys": ("k",), "upstream": upstream}
    dropping = {"fault": [{"kind": "drop", "when": "after"}]}
    Settings(**settings, faults=read_plan(dropping, "plan"))
    with pytest.raises(UsageError, match=r"an upstream decides what becomes of requests"):
        Settings(**settings, faults=read_plan({"requests": {"failed": 0.1}}, "plan"))


def test_a_plan_stands_in_for_the_failure_share():
    """What the plan says of requests counts; where it says nothing, --failure-share does."""

    def odds(**requests):
        plan = read_plan({"requests": requests}, "plan")
        return Settings(api_keys=("k",), failure_share=0.5, faults=plan).odds

    assert odds() == Odds(0.5)
    assert odds(cancelled=0.25) == Odds(0, 0.25)
    assert odds(failed=0.1) == Odds(0.1)


def test_a_plan_in_words():
    """What serve says of it as it starts."""
    plan = {"fault": [{"kind": "garbled"}]}
    assert read_plan(plan, "plan").summary == "1 fault"
    plan |= {"reservation_seconds": 5, "requests": {"failed": 0.25, "cancelled": 0.5}}
    assert (
        read_plan(plan, "plan").summary
        == "1 fault, 25% of requests fail, 50% of requests are cancelled, "
        "reservations expire after 5 s"
    )


@pytest.mark.parametrize(
    ("on", "call", "fits"),
    [
        ("*", "GET /v1/batches/b/x", True),
        ("GET *", "GET /v1/batches/b/x", True),
        ("GET *", "POST /v1/batches", False),
        ("* /v1/batches", "POST /v1/batches", True),
        ("GET /v1/batches/*", "GET /v1/batches/b", True),
        ("GET /v1/batches/*", "GET /v1/batches/b/x", False),
        ("GET /v1/batches/*", "GET /v1/batches/", False),
        ("GET /v1/batches/*/*", "GET /v1/batches/b/x\ny", True),
        ("GET /v1/b.tches", "GET /v1/batches", False),
    ],
)
def test_where_a_fault_is(on, call, fits):
    """A star is one segment of the path, or any method, or everything."""
    assert bool(pattern_of(on).fullmatch(call)) == fits


def struck(fault, calls, seed=0):
    """Give the places, in a list of calls `(path, key)`, at which a plan's one fault hits."""
    plan = {"seed": seed, "fault": [{"kind": "garbled", **fault}]}
    draws = Draws(read_plan(plan, "plan"))
    return [place for place, (path, key) in enumerate(calls) if draws.next("GET", path, key)[1]]


@pytest.mark.parametrize(
    ("fault", "places"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"calls": [1, 4]}, [0, 3]),
        ({"from": 3}, [2, 3, 4, 5]),
        ({"from": 2, "to": 3}, [1, 2]),
        ({"to": 1, "per": "path"}, [0, 2]),
        ({"calls": [2], "per": "path"}, [1, 3]),
        ({"key": "old"}, [0, 3]),
        ({"key": "old", "calls": [2]}, [3]),
        ({"on": "GET /v1/a", "from": 2}, [1, 5]),
        ({"on": "POST *"}, []),
    ],
)
def test_which_calls_are_hit(fault, places):
    """Ordinals are among the calls that fit; every condition has to hold."""
    calls = [
        ("/v1/a", "old"),
        ("/v1/a", "new"),
        ("/v1/b", "new"),
        ("/v1/b", "old"),
        ("/v1/b", "new"),
        ("/v1/a", "new"),
    ]
    assert struck(fault, calls) == places


PATHS = st.lists(st.sampled_from(["/v1/a", "/v1/b", "/v1/c", "/v1/é\n", "/v1/\udc80"]), max_size=40)


@given(PATHS, st.integers(0, 2**64), st.floats(0, 1), st.randoms(use_true_random=False))
def test_a_draw_does_not_depend_on_the_order(paths, seed, share, shuffler: random.Random):
    """The n-th call of a path is hit or not, whatever came in between."""

    def hits(calls):
        places = set(struck({"share": share}, [(path, "") for path in calls], seed))
        nth = Counter()
        fates = set()
        for place, path in enumerate(calls):
            nth[path] += 1
            if place in places:
                fates.add((path, nth[path]))
        return fates

    shuffled = list(paths)
    shuffler.shuffle(shuffled)
    assert hits(shuffled) == hits(paths)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(), st.text())
def test_a_greater_share_takes_in_a_smaller(one, other, seed, path):
    """What is drawn under a share is drawn under every greater one; nothing at 0, all at 1."""
    small, great = sorted((one, other))
    assert is_drawn(small, seed, path) <= is_drawn(great, seed, path)
    assert not is_drawn(0, seed, path)
    assert is_drawn(1, seed, path)


def test_shares_are_kept_and_seeds_differ():
    """About the share of calls is hit, and other ones under another seed."""
    calls = [(f"/v1/batches/b/{number}", "") for number in range(5000)]
    first, second = (struck({"share": 0.2}, calls, seed) for seed in (1, 2))
    assert len(first) == pytest.approx(1000, abs=100)
    assert len(second) == pytest.approx(1000, abs=100)
    assert len({*first} & {*second}) == pytest.approx(200, abs=60)


def test_most_is_a_bound():
    """A fault strikes as often as it may, and no more."""
    (armed,) = Draws(read_plan({"fault": [{"kind": "garbled", "most": 2}]}, "plan")).armed
    assert [armed.strikes() for _ in range(3)] == [True, True, False]
    assert armed.struck == 2
