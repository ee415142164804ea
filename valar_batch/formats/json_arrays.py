"""JSON arrays in: a file that is one array of objects, read an object at a time."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING

from valar_batch.errors import InputError
from valar_batch.formats.source import LONGEST_LINE, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

ARRAY = re.compile(rb"\s*\[\s*\{")
BLANKS = re.compile(r"[ \t\r\n]*")
LINE_BREAK = re.compile(r"[ \t]*[\r\n][ \t\r\n]*")
"""Line breaks are outside of strings, where JSON has none."""

scan = json.JSONDecoder(parse_float=str, parse_int=str).raw_decode


def is_array(head: bytes) -> bool:
    """Whether text begins as an array of objects does."""
    return ARRAY.match(head) is not None


def items_of(source: Source) -> Iterator[tuple[bytes, int]]:
    """Give the items of the array on one line each, and the lines where they begin.

    Every number and text is as it stands in the file. Raises InputError where it cannot be
    followed, since where the next item begins cannot be known then.
    """
    text = Scanner(source)
    while text.next_is("["):
        text.step()
        while not text.next_is("]"):
            yield text.item()
            if text.next_is(","):
                text.step()
            elif not text.next_is("]"):
                raise text.broken("after an item comes , or ]")
        text.step()
    if not text.next_is(""):
        raise text.broken("there is more after the end of the array")


class Scanner:
    """The text of a source, read as far as it is looked at."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._blocks = source.line_blocks(len)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._line = 1

    def next_is(self, expected: str) -> bool:
        """Whether this character comes next, blanks left out; empty at the end."""
        while True:
            self._pass(BLANKS.match(self._text, self._at).end())  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._more(1):
                return self._text[self._at : self._at + 1] == expected

    def step(self) -> None:
        """Go over a character."""
        self._at += 1

    def item(self) -> tuple[bytes, int]:
        """Give the value that comes next on one line, and where it begins."""
        line = self._line
        while True:
            try:
                end = scan(self._text, self._at)[1]
            except RecursionError as error:
                raise self.broken("an item is nested too deeply") from error
            except json.JSONDecodeError as error:
                held = len(self._text) - self._at
                if held > LONGEST_LINE or not self._more(held):
                    raise self.broken(error.msg) from error
                continue
            raw = self._text[self._at : end]
            self._pass(end)
            return LINE_BREAK.sub(" ", raw).encode(), line

    def broken(self, reason: str) -> InputError:
        """Say where the array cannot be followed."""
        message = f"{self._source.name}: the JSON array cannot be followed in line {self._line}"
        return InputError(f"{message}: {reason}", hint="check that it is whole, as with jq . FILE")

    def _pass(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _more(self, size: int) -> bool:
        """Read at least so much more, if there is any."""
        pieces, found = [self._text[self._at :]], 0
        while found < size and (block := next(self._blocks, b"")):
            try:
                pieces.append(self._decoder.decode(block))
            except UnicodeDecodeError as error:
                raise self.broken("it is not UTF-8") from error
            found += len(block)
        self._text, self._at = "".join(pieces), 0
        return found > 0
