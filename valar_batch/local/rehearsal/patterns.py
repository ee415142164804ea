"""Texts that match a regular expression, for the simple ones that schemas have."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Writer = Callable[[], str]

LETTERS = string.ascii_lowercase
ALPHABET = LETTERS + string.digits + string.ascii_uppercase + " _-.,:;/@#!?+*=()[]{}<>%&$^~|'\"\\`"
CLASSES = {
    "d": string.digits,
    "w": string.ascii_letters + string.digits + "_",
    "s": " ",
    "D": LETTERS,
    "W": "-.!",
    "S": LETTERS + string.digits,
}
CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
MOST_TIMES = 1_000
REPEATED = re.compile(r"[*+?]|\{(\d+)(?:(,)(\d*))?\}")
NAMED_GROUP = re.compile(r"\?P?<\w+>")


class TooHard(Exception):
    """The expression has what is not known here, such as a look-around."""


class Pattern:
    """An expression, read once. Raises TooHard.

    A text that it writes may still not match, where the expression has an anchor in its middle, so
    the caller checks it.
    """

    def __init__(self, pattern: str, below: Callable[[int], int], more: int) -> None:
        """Take the draws: `below(n)` gives 0 to n - 1. `more` bounds an open repetition."""
        self._pattern = pattern
        self._at = 0
        self._below = below
        self._more = more
        self.write = self._alternatives()
        if self._at < len(pattern):
            raise TooHard(pattern)

    def _next(self) -> str:
        """Take the next character."""
        if self._at == len(self._pattern):
            raise TooHard(self._pattern)
        self._at += 1
        return self._pattern[self._at - 1]

    def _took(self, text: str) -> bool:
        """Take a text if it stands next."""
        found = self._pattern.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def _alternatives(self) -> Writer:
        choices = [self._sequence()]
        while self._took("|"):
            choices.append(self._sequence())

        def write() -> str:
            return choices[self._below(len(choices))]()

        return write

    def _sequence(self) -> Writer:
        parts: list[Writer] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return lambda: "".join(part() for part in parts)

    def _repeated(self, atom: Writer) -> Writer:
        found = REPEATED.match(self._pattern, self._at)
        if not found:
            return atom
        self._at = found.end()
        # Lazy and possessive repetition match the same texts here.
        _ = self._took("?") or self._took("+")
        if found[1]:
            least = min(int(found[1]), MOST_TIMES)
            most = (
                min(int(found[3]), MOST_TIMES)
                if found[3]
                else least + self._more
                if found[2]
                else least
            )
        else:
            least = 1 if found[0] == "+" else 0
            most = 1 if found[0] == "?" else least + self._more
        span = max(most - least, 0) + 1
        return lambda: "".join(atom() for _ in range(least + self._below(span)))

    def _atom(self) -> Writer:
        match letter := self._next():
            case "(":
                return self._group()
            case "[":
                return self._one_of(self._set())
            case "\\":
                return self._one_of(self._escaped())
            case ".":
                return self._one_of(LETTERS)
            case "^" | "$":
                return str
        return lambda: letter

    def _group(self) -> Writer:
        named = NAMED_GROUP.match(self._pattern, self._at)
        if named:
            self._at = named.end()
        elif not self._took("?:") and self._took("?"):
            raise TooHard(self._pattern)
        inner = self._alternatives()
        if not self._took(")"):
            raise TooHard(self._pattern)
        return inner

    def _one_of(self, characters: str) -> Writer:
        if not characters:
            return str
        return lambda: characters[self._below(len(characters))]

    def _escaped(self) -> str:
        """Give the characters that an escape stands for; none for what has no width."""
        letter = self._next()
        if letter in CLASSES:
            return CLASSES[letter]
        if letter in "bBAzZ":
            return ""
        if letter in "xu":
            digits = "".join(self._next() for _ in range(2 if letter == "x" else 4))
            try:
                return chr(int(digits, 16))
            except ValueError:
                raise TooHard(self._pattern) from None
        if letter.isalnum() and letter not in CONTROLS:
            raise TooHard(self._pattern)
        return CONTROLS.get(letter, letter)

    def _set(self) -> str:
        """Read a set up to its `]`, and give the characters in it."""
        negated = self._took("^")
        inside = ""
        while not self._took("]"):
            first = self._member()
            ahead = self._pattern[self._at : self._at + 2]
            if len(first) == 1 and ahead[:1] == "-" and ahead != "-]":
                self._at += 1
                last = self._member()
                inside += "".join(map(chr, range(ord(first), ord(last[:1] or first) + 1)))
            else:
                inside += first
        return "".join(c for c in ALPHABET if c not in inside) if negated else inside

    def _member(self) -> str:
        letter = self._next()
        return self._escaped() if letter == "\\" else letter
