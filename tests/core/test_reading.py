"""How a CSV is read: what its first records tell, and what the user may say."""

import csv
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from valar_batch.core.reading import DELIMITERS, NO_QUOTE, QUOTES, Dialect, Reading, sniff
from valar_batch.errors import UsageError

COMMA = Dialect()
SEMICOLON, TAB, PIPE = Dialect(";"), Dialect("\t"), Dialect("|")
SINGLE = Dialect(",", "'")


@pytest.mark.parametrize(
    ("sample", "dialect"),
    [
        ("", COMMA),
        ("a,b\n1,2\n", COMMA),
        ("a;b\n1;2\n", SEMICOLON),
        ("a\tb\r\n1\t2\r\n", TAB),
        ("a|b\r1|2\r", PIPE),
        # commas win where they are well formed, whatever else is in the text
        ("a;x,b;x\n1;x,2;x\n", COMMA),
        ("a,b\n1,'x'\n2,'y'\n", COMMA),
        ("name,text\n1,it's; well\n2,that's; fine\n", COMMA),
        ('a,b\n1,"x;y;z"\n', COMMA),
        # decimal commas, and commas in text
        ("id;price\n1;1,50\n2;2,50\n", SEMICOLON),
        ("id|text\n1|a, b\n2|c\n", PIPE),
        ('id;text\n1;"a;b"\n2;c\n', SEMICOLON),
        # one column stays one column
        ("text\nhello; world\na | b\n", COMMA),
        ("text\nhello, world\n", COMMA),
        ("text\n", COMMA),
        # a few ragged rows do not hide the dialect, many do
        ("a;b;c\n" + "1;2;3\n" * 20 + "1;2\n", SEMICOLON),
        ("a,b,c\n" + "1,2,3\n" * 20 + "1,2;x\n", COMMA),
        ("a,b\n1;2\n3;4\n5;6;7\n", COMMA),
        # single quotes, where they do quote
        ("'a','b'\n'1','x, y'\n", SINGLE),
        ("a,b\n1,'x, y'\n2,z\n", SINGLE),
        ("'a';'b'\n'1';'it''s; so'\n", Dialect(";", "'")),
        ("'text'\n'hello, world'\n'it''s'\n", SINGLE),
        ("'tis,b\n1,2\n", COMMA),
        ("a,b\n'x,1\n'y,2\n", COMMA),
        # broken quotes are an error of the reading, and are not hidden
        ('a,b\n1,"2"x\n', COMMA),
        ('a,b\n1,"2\n', COMMA),
    ],
)  # fmt: skip
def test_what_the_first_records_tell(sample, dialect):
    """Delimiter and quote are those under which the records have the header's width."""
    assert sniff(sample, Reading(), is_whole=True) == dialect


def test_a_sample_that_is_cut_off():
    """What a cut leaves of a record, or of a quoted field, does not count."""
    text = 'a;b;c\n1;2;3\n4;"5;\n6";7\n'
    for end in range(7, len(text)):
        assert sniff(text[:end], Reading(), is_whole=False) == SEMICOLON


@pytest.mark.parametrize(
    ("reading", "dialect"),
    [
        (Reading(delimiter="|"), PIPE),
        (Reading(delimiter="tab"), TAB),
        (Reading(delimiter=r"\t"), TAB),
        (Reading(quote="'"), Dialect(";", "'")),
        (Reading(quote="none"), Dialect(";", None)),
        (Reading(delimiter="x", quote="y"), Dialect("x", "y")),
    ],
)
def test_what_the_user_says_is_not_sniffed(reading, dialect):
    """Only the other half is told by the records."""
    assert sniff("a;b\n1;2\n", reading, is_whole=True) == dialect


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"delimiter": ""}, "--csv-delimiter '': it is one character, or tab"),
        ({"delimiter": ";;"}, "--csv-delimiter ';;': it is one character, or tab"),
        ({"delimiter": "\n"}, "--csv-delimiter '\\n': it is one character, or tab"),
        ({"quote": "''"}, "--csv-quote \"''\": it is one character, or none"),
        ({"delimiter": ";", "quote": ";"}, "--csv-delimiter ';': it is also the quote"),
        ({"encoding": "utf-9"}, "--encoding utf-9: there is no such encoding"),
        ({"encoding": "base64"}, "--encoding base64: there is no such encoding"),
    ],
)
def test_what_cannot_be_said(given, message):
    """Each is refused by the name of its option."""
    with pytest.raises(UsageError) as error:
        Reading(**given)
    assert error.value.message == message


FIELD = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"';,|\t\r\n "))


@given(
    st.lists(st.lists(FIELD, min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from(DELIMITERS),
    st.sampled_from(QUOTES),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_quoted_fields_are_always_told(rows, delimiter, quote, end):
    """Where every field is quoted, nothing in the fields can mislead."""
    stream = io.StringIO(newline="")
    writer = csv.writer(
        stream, delimiter=delimiter, quotechar=quote, quoting=csv.QUOTE_ALL, lineterminator=end
    )
    writer.writerows([["a", "b", "c"], *rows])
    assert sniff(stream.getvalue(), Reading(), is_whole=True) == Dialect(delimiter, quote)


@given(
    st.lists(st.lists(FIELD, min_size=2, max_size=2), max_size=5),
    st.sampled_from(DELIMITERS),
    st.sampled_from([*QUOTES, NO_QUOTE]),
)
def test_a_well_formed_csv_with_commas_is_never_another(rows, delimiter, quote):
    """Whatever its text is like; the header alone is not quoted in single quotes."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["id", delimiter + quote], *rows])
    assume(all(rows) and [""] not in rows)
    assert sniff(stream.getvalue(), Reading(), is_whole=True) == COMMA
