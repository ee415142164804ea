"""A row's image columns become the parts of one user message."""

from __future__ import annotations

import base64
import json

import pytest

from valar_batch.core.images import ImageRefused
from valar_batch.core.problems import Problem
from valar_batch.core.recipe import Recipe, Renderer, RowRefused, Source
from valar_batch.errors import UsageError

MODEL = "moonshotai/Kimi-K2.6"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
GIF = b"GIF89a" + bytes(20)
FILES = {"a.png": PNG, "b/c.gif": GIF, "file:///d.png": PNG}
URL = "https://example.org/a.png"
KINDS = "an image is a path, URL, data URI or bytes"
NO_IMAGE = ("there is no image", "--null '' sends such rows without it")


def uri(content: bytes) -> str:
    kind = "png" if content is PNG else "gif"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def read(name: str) -> bytes:
    if name not in FILES:
        raise ImageRefused("no file", f"there is no file {name}", "look")
    return FILES[name]


def renderer(*columns: str, source: Source = Source.TEMPLATE, **more: object) -> Renderer:
    prompt = "Describe {{ a }}" if source is Source.TEMPLATE else None
    recipe = Recipe(**{"model": MODEL, "prompt": prompt, "images": columns, **more})
    return Renderer(recipe, source, read_image=read)


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        (URL, [URL]),
        ('https://example.org/"a"\\b.png', ['https://example.org/"a"\\b.png']),
        (uri(PNG), [uri(PNG)]),
        (PNG, [uri(PNG)]),
        ("a.png", [uri(PNG)]),
        ("file:///d.png", [uri(PNG)]),
        ({"bytes": GIF, "path": "a.png"}, [uri(GIF)]),
        ({"bytes": None, "path": "a.png"}, [uri(PNG)]),
        ({"bytes": b"", "path": URL}, [URL]),
        ({"path": "b/c.gif"}, [uri(GIF)]),
        (["a.png", GIF, {"bytes": PNG, "path": None}, URL], [uri(PNG), uri(GIF), uri(PNG), URL]),
    ],
)
def test_values_become_parts(value, urls) -> None:
    """Every kind of value is sent as a URL or as a data URI of the type that was found."""
    params = renderer("photo", temperature=0.5).params({"a": "it", "photo": value})
    assert json.loads(params) == {
        "model": MODEL,
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Describe it"},
                    *({"type": "input_image", "image_url": url} for url in urls),
                ],
            }
        ],
        "temperature": 0.5,
    }


def test_columns_in_order_after_a_system_message() -> None:
    """Several columns follow in the order in which they were given, with a ready prompt too."""
    made = renderer("x", "y", source=Source.PROMPT, system="You see {{ a }}.")
    row = {"prompt": "Compare", "a": "all", "y": "a.png", "x": "b/c.gif"}
    assert made.params(row) == (
        b'{"model":"moonshotai/Kimi-K2.6","input":['
        b'{"role":"system","content":"You see all."},'
        b'{"role":"user","content":[{"type":"input_text","text":"Compare"},'
        b'{"type":"input_image","image_url":"%b"},'
        b'{"type":"input_image","image_url":"%b"}]}]}' % (uri(GIF).encode(), uri(PNG).encode())
    )
    assert made.columns == {"prompt", "a", "x", "y"}


@pytest.mark.parametrize(
    ("row", "problems"),
    [
        ({"photo": None}, [Problem("null", "photo", *NO_IMAGE)]),
        ({"photo": " "}, [Problem("null", "photo", *NO_IMAGE)]),
        ({"photo": b""}, [Problem("null", "photo", *NO_IMAGE)]),
        ({"photo": []}, [Problem("null", "photo", *NO_IMAGE)]),
        ({"photo": {"bytes": None, "path": ""}}, [Problem("null", "photo", *NO_IMAGE)]),
        (
            {"photo": ["a.png", None, ""]},
            [Problem("null", "photo.1", *NO_IMAGE), Problem("null", "photo.2", *NO_IMAGE)],
        ),
        (
            {"other": 1},
            [Problem("missing column", "photo", "no column 'photo'; the row has: a, other")],
        ),
        (
            {"photo": 7},
            [Problem("wrong type", "photo", "'7' is no image", KINDS)],
        ),
        (
            {"photo": ["no.png", "a.png"]},
            [Problem("no file", "photo.0", "there is no file no.png", "look")],
        ),
        (
            {"photo": ["no.png"] * 21},
            [Problem("too many", "photo", "21 images; at most 20 in a request")],
        ),
        (
            {"photo": b"%PDF-1.4"},
            [
                Problem(
                    "not an image",
                    "photo",
                    "not a JPEG, PNG, WebP or GIF image: it looks like PDF",
                    "Valar takes JPEG, PNG, WebP or GIF: convert it, or correct the value",
                )
            ],
        ),
        (
            {"photo": "iVBO" * 2000},
            [
                Problem(
                    "not a URL",
                    "photo",
                    "a text of 8,000 characters is neither a path nor a URL",
                    "an image in base64 is written data:image/png;base64,…",
                )
            ],
        ),
        (
            {"photo": PNG + bytes(20_000_000)},
            [
                Problem(
                    "too large",
                    "photo",
                    "the image has 20,000,028 bytes; at most 20,000,000",
                    "make the image smaller",
                )
            ],
        ),
        (
            {"photo": [PNG + bytes(19_900_000)] * 10 + ["no.png"] * 2},
            [
                Problem(
                    "too large",
                    "photo.9",
                    "the images up to here have 265,333,960 bytes in base64",
                    "a request stays under 256,000,000 bytes",
                )
            ],
        ),
    ],
)
def test_values_that_are_refused(row, problems) -> None:
    """The place of the image is named, and nothing is read after what decides."""
    with pytest.raises(RowRefused) as refused:
        renderer("photo").params({"a": "it", **row})
    assert refused.value.problems == problems


@pytest.mark.parametrize("photo", [{"photo": None}, {"photo": ""}, {"photo": [None]}, {}])
def test_null_leaves_the_image_out(photo) -> None:
    """With --null a row goes without its image, also where the column is absent."""
    params = renderer("photo", "other", null_text="").params({"a": "it", "other": URL, **photo})
    assert json.loads(params)["input"][0]["content"] == [
        {"type": "input_text", "text": "Describe it"},
        {"type": "input_image", "image_url": URL},
    ]


def test_a_column_that_no_row_has() -> None:
    """With --null, a misspelt image column is found at the end."""
    made = renderer("photo", null_text="")
    made.params({"a": "it"})
    assert made.unseen() == ["photo"]
    made.params({"a": "it", "photo": URL})
    assert made.unseen() == []


def test_paths_are_not_read_unless_it_is_said_how() -> None:
    """Without a reader of files, a path is refused."""
    made = Renderer(Recipe(model=MODEL, prompt="x", images=("photo",)), Source.TEMPLATE)
    with pytest.raises(RowRefused) as refused:
        made.params({"photo": "/etc/a.png"})
    assert refused.value.problems == [
        Problem("not a URL", "photo", "'/etc/a.png' is a path, and files are not read here")
    ]


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        (Source.INPUT, {}, "--image goes with a prompt, and the rows have a ready input"),
        (Source.MESSAGES, {}, "--image goes with a prompt, and the rows have a ready messages"),
        (Source.ITEM, {}, "--image goes with a prompt, and the rows are finished requests"),
        (
            Source.TEMPLATE,
            {"model": "zai-org/GLM-5.1-FP8"},
            "model 'zai-org/GLM-5.1-FP8' does not support image input",
        ),
        (
            Source.PROMPT,
            {"model": None, "settings": (("model", "zai-org/GLM-5.1-FP8"),)},
            "model 'zai-org/GLM-5.1-FP8' does not support image input",
        ),
    ],
)
def test_recipes_that_no_row_could_satisfy(source, more, message) -> None:
    """Images need a prompt beside them and a model that reads them; a hint says what to do."""
    with pytest.raises(UsageError) as refused:
        renderer("photo", source=source, **more)
    assert refused.value.message == message
    assert refused.value.hint
