"""Batches: every row of what the contract takes and refuses around the params of their items."""

from __future__ import annotations

from tests.contract.case import ABSENT, TEXT_MODEL, Case, refused, taken

PARAMS = {"model": TEXT_MODEL, "input": "Is it good?"}
ITEM = {"custom_id": "a", "params": PARAMS}
VALID: dict[str, object] = {"endpoint": "/v1/responses", "requests": [ITEM]}


def items(*changes: dict[str, object]) -> dict[str, object]:
    return {
        "requests": [
            {key: value for key, value in {**ITEM, **change}.items() if value is not ABSENT}
            for change in changes
        ]
    }


def many(count: int) -> dict[str, object]:
    return items(*({"custom_id": f"r-{number}"} for number in range(count)))


CASES: tuple[Case, ...] = (
    Case("as little as can be", {}),
    *refused(
        "endpoint",
        ABSENT,
        None,
        "",
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/embeddings",
        "/responses",
        5,
    ),
    *refused("some_field", None, 1),
    *refused("completion_window", "24h"),
    *refused("metadata", {}),
    *refused("input_file_id", "file_0"),
    # label
    *taken("label", "a", "A-Z_09", "-", "_", "l" * 128),
    *refused("label", "", "a b", "a.b", "ü", "a\n", "l" * 129, None, 5),
    # requests
    *refused("requests", ABSENT, None, [], {}, "x"),
    *refused("requests", ["x"], [None], [[]], param="requests.0"),
    *refused("requests", [ITEM, 5], param="requests.1"),
    Case("100,000 requests", many(100_000)),
    Case("100,001 requests", many(100_001), "requests"),
    # custom_id
    *(
        Case(f"custom_id {name!r}", items({"custom_id": name}))
        for name in ("a", "0", "a-b_c", "a-", "c" * 64)
    ),
    *(
        Case(f"custom_id {name!r}", items({"custom_id": name}), "requests.0.custom_id")
        for name in (
            ABSENT,
            None,
            "",
            "A",
            "-a",
            "_a",
            "a.b",
            "a b",
            "a@b.c",
            "{a}",
            "ü",
            "a\n",
            "c" * 65,
            5,
        )
    ),
    Case("one custom_id twice", items({}, {"custom_id": "b"}, {}), "requests.2.custom_id"),
    # the rest of an item
    *(
        Case(f"params {value!r}", items({"params": value}), "requests.0.params")
        for value in (ABSENT, None, "x", [], 5)
    ),
    *(
        Case(f"an item's {name}", items({name: "x"}), f"requests.0.{name}")
        for name in ("method", "url", "body", "metadata")
    ),
    Case(
        "wrong params of the second",
        items({}, {"custom_id": "b", "params": {**PARAMS, "top_p": 2}}),
        "requests.1.params.top_p",
    ),
    Case(
        "an unserved model",
        items({"params": {**PARAMS, "model": "nobody/nothing"}}),
        "requests.0.params.model",
        unserved=True,
    ),
    # windows
    *(
        Case(
            f"window {word}", items({"params": {**PARAMS, "metadata": {"completion_window": word}}})
        )
        for word in ("standard", "flex")
    ),
    *(
        Case(
            f"window {word}",
            items({"params": {**PARAMS, "metadata": {"completion_window": word}}}),
            "requests.0.params.metadata.completion_window",
        )
        for word in ("asap", "24h")
    ),
)
