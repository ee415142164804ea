"""Valid bytes, broken: what the fuzz tests give to everything that reads.

CI takes a fixed number of cases from a fixed seed, so that it finds the same each time. By hand,
`FUZZ_SECONDS=600 pytest tests/fuzz` goes on for that long in each test, from a seed that it prints;
`FUZZ_SEED` sets it.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SEED = os.environ.get("FUZZ_SEED") or (str(random.randrange(10**9)) if SECONDS else "0")  # noqa: S311

TOKENS = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n", b"\r\n", b'"', b"'", b",", b"\t",
    b"{", b"}", b"[", b"]", b":", b"null", b"true", b"NaN", b"Infinity", b"-", b"1e400", b"1e-400",
    b"9" * 25, b"9" * 5000, b"-0", b"\\ud800", b"\\udc00", b"\\u0000", b"\xed\xa0\x80", b"\\",
    b"{{", b"}}", b"{%", b"[" * 300, b"{\"a\":" * 300, b"\xe2\x80\xa8", b"\x1b[31m", b'""', b"#",
    b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"PAR1", b"ARROW1", b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
)  # fmt: skip

VALUES = (
    b"null", b"true", b"{}", b"[]", b'""', b'"x"', b"-1", b"0.5", b"1e400", b"-0", b"[null]",
    b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"9" * 400,
    b'"\\ud800"', b'"\\u0000\\u001b[2J"', b"[[[[1]]]]", b'{"a":{"a":null}}', b"1e308", b"-1e-400",
)  # fmt: skip
VALUE = re.compile(rb'"[^"\\]*"|-?\d+(?:\.\d+)?|null|true|false|[\[{][\]}]')


def cases(name: str, seeds: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Give broken bytes: `count` of them, or as many as `FUZZ_SECONDS` allow."""
    draw = random.Random(f"{SEED} {name}")  # noqa: S311 - no secret
    if SECONDS:
        sys.stderr.write(f"\n{name}: FUZZ_SEED={SEED}\n")
    end, made = time.monotonic() + SECONDS, 0
    while time.monotonic() < end if SECONDS else made < count:
        yield mutated(draw, seeds)
        made += 1
    if SECONDS:
        sys.stderr.write(f"{name}: {made:,} cases\n")


def mutated(  # noqa: C901 - a table of ways to break
    draw: random.Random, seeds: Sequence[bytes]
) -> bytes:
    """Break one of the seeds in one to four places."""
    content = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        start = draw.randrange(len(content) + 1)
        stop = min(len(content), start + draw.choice((1, 1, 2, 8, 64, 4096)))
        match draw.randrange(8):
            case 0:  # flip a bit
                if start < len(content):
                    content[start] ^= 1 << draw.randrange(8)
            case 1:  # any byte
                content[start : start + 1] = bytes([draw.randrange(256)])
            case 2:  # cut out
                del content[start:stop]
            case 3:  # cut off
                del content[start:]
            case 4:  # a token, in between or in place
                content[start : draw.choice((start, stop))] = draw.choice(TOKENS)
            case 5:  # another value
                if found := VALUE.search(content, start):
                    content[slice(*found.span())] = draw.choice(VALUES)
            case 6:  # double
                content[start:start] = content[start:stop] * draw.choice((1, 1, 3, 50))
            case _:  # splice with another
                other = draw.choice(seeds)
                content[start:stop] = other[draw.randrange(len(other) + 1) :][:4096]
    return bytes(content)
