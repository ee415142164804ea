"""Images beside the prompt: from every kind of input to the very bytes that are sent."""

from __future__ import annotations

import base64
import json
import sysconfig
import urllib.error
import urllib.request
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

MODEL = "moonshotai/Kimi-K2.6"
GOOD = ("--model", MODEL, "--prompt", "Describe {{ k }}", "--image", "photo", "--id", "k")
GOOD_ITEM = {"model": MODEL, "input": "x"}

PYTHON_TESTS = Path(sysconfig.get_path("stdlib")) / "test"
PYTHON_IMAGES = [PYTHON_TESTS / "test_email" / "data", PYTHON_TESTS / "imghdrdata"]
"""Where Python's own tests have images, in its newer and its older versions."""
SETS = {
    "png": [Path(str(files("importlinter"))) / "ui" / "static" / "logo.png"],
    "jpeg": [folder / "python.jpg" for folder in PYTHON_IMAGES],
    "webp": [folder / "python.webp" for folder in PYTHON_IMAGES],
    "gif": [folder / "python.gif" for folder in PYTHON_IMAGES],
}
"""Images that no one here made: the logo of a package among the development tools, and the rest
from Python's own tests, which some distributions leave out."""


def found(kind: str) -> Path:
    path = next((path for path in SETS[kind] if path.is_file()), None)
    if path is None:
        pytest.skip(f"this Python has no {kind} among its own tests")
    return path


def uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def bodies(home: Path) -> list[dict]:
    """The exact bodies of the latest run, from its folder."""
    (run,) = (home / "runs").glob("run-*[0-9a-f]")
    return [json.loads(text_of(path)) for path in sorted(run.glob("batches/*/request.json.zst"))]


def text_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()


def message(name: str, *urls: str) -> list[dict]:
    parts = [{"type": "input_image", "image_url": url} for url in urls]
    text = {"type": "input_text", "text": f"Describe {name}"}
    return [{"role": "user", "content": [text, *parts]}]


def inputs_of(body: dict) -> dict[str, object]:
    return {item["custom_id"]: item["params"]["input"] for item in body["requests"]}


def write_rows(folder: Path, way: str, images: dict[str, bytes]) -> Path:
    """Write the images in one of the ways in which rows can have them."""
    rows = [{"k": kind, "photo": uri(content, kind)} for kind, content in images.items()]
    if way == "csv, paths":
        (folder / "pics").mkdir()
        for kind, content in images.items():
            (folder / "pics" / f"{kind} 1").write_bytes(content)
        path = folder / "in.csv"
        path.write_text("k,photo\n" + "".join(f"{kind},pics/{kind} 1\n" for kind in images))
    elif way == "jsonl, data URIs":
        path = folder / "in.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path = folder / "in.parquet"
        photos: list[object] = list(images.values())
        if way == "parquet, structs":
            photos = [{"bytes": content, "path": "elsewhere.png"} for content in photos]
        pq.write_table(pa.table({"k": list(images), "photo": photos}), path)
    return path


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize(
    "way", ["csv, paths", "jsonl, data URIs", "parquet, bytes", "parquet, structs"]
)
def test_real_images_arrive_byte_for_byte(tmp_path, cli, valar, way, kind) -> None:
    """Whichever way a real image comes, what Valar takes holds exactly its bytes."""
    images = {kind: found(kind).read_bytes()}
    path, out = write_rows(tmp_path, way, images), tmp_path / "out.jsonl"
    cli("run", path, *GOOD, "--to", out)
    (body,) = bodies(cli.home)
    assert inputs_of(body) == {kind: message(kind, uri(images[kind], kind))}
    ((_, part),) = [item["params"]["input"][0]["content"] for item in body["requests"]]
    assert base64.b64decode(part["image_url"].partition(",")[2]) == images[kind]
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert (row["k"], row["status"]) == (kind, "completed")
    assert valar.executions() == {"total": 1, "distinct": 1, "repeated": []}


def test_the_input_is_unharmed_in_the_output(tmp_path, cli) -> None:
    """A column of images comes out of Parquet as it went in."""
    content = found("png").read_bytes()
    path = write_rows(tmp_path, "parquet, bytes", {"a": content, "b": content + b"!"})
    cli("run", path, *GOOD, "--to", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet", columns=["k", "photo", "status"])
    assert table.to_pydict() == {
        "k": ["a", "b"],
        "photo": [content, content + b"!"],
        "status": ["completed", "completed"],
    }


def test_urls_go_as_they_are(tmp_path, cli) -> None:
    """A URL is not fetched and not changed; two columns give two images."""
    path = tmp_path / "in.csv"
    url, other = "https://example.org/a%20b.jpg?size=1", "http://example.org/c"
    path.write_text(f"k,photo,second\none,{url},{other}\n")
    cli("submit", path, *GOOD, "--image", "second", "--system", "Look.")
    (body,) = bodies(cli.home)
    system = {"role": "system", "content": "Look."}
    assert inputs_of(body) == {"one": [system, *message("one", url, other)]}


def test_paths_from_standard_input_begin_at_the_current_folder(tmp_path, cli, monkeypatch) -> None:
    """Rows from a pipe have no folder of their own."""
    content = found("png").read_bytes()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.png").write_bytes(content)
    monkeypatch.chdir(tmp_path / "here")
    cli("submit", "-", *GOOD, given=b'{"k":"one","photo":["a.png","./a.png"]}\n')
    (body,) = bodies(cli.home)
    assert inputs_of(body) == {"one": message("one", *[uri(content, "png")] * 2)}


def test_batches_close_by_bytes(tmp_path, cli) -> None:
    """Large requests are packed in order under the limit, each batch as full as can be."""
    head = b"\x89PNG\r\n\x1a\n"
    names = [f"r{n}" for n in range(7)]
    images = {name: head + name.encode() * 15_000 for name in names}
    path = write_rows(tmp_path, "csv, paths", images)
    cli("submit", path, *GOOD, "--batch-bytes", "100000")
    sent = bodies(cli.home)
    assert [list(inputs_of(body)) for body in sent] == [
        names[:2],
        names[2:4],
        names[4:6],
        names[6:],
    ]
    assert {name: value for body in sent for name, value in inputs_of(body).items()} == {
        name: message(name, uri(content, "png")) for name, content in images.items()
    }


ACCEPTED = "JPEG, PNG, WebP or GIF"
PROBLEMS = [
    ({"photo": "no.png"}, "photo: there is no file {base}/no.png"),
    ({"photo": "in.jsonl"}, "photo: {base}/in.jsonl: not a {ACCEPTED} image: it looks like text"),
    ({"photo": None}, "photo: there is no image"),
    ({}, "photo: no column 'photo'; the row has: k, other"),
    ({"photo": ["https://e.org/a.png"] * 21}, "photo: 21 images; at most 20 in a request"),
    (
        {"photo": uri(b"\xff\xd8\xff\xe0", "png")},
        "photo: declared as image/png, but it is image/jpeg",
    ),
    (
        {"photo": ["https://e.org/a.png", "ftp://e.org/a.png"]},
        "photo.1: 'ftp://e.org/a.png' is neither an http or https URL nor a data URI",
    ),
]  # fmt: skip


def test_rows_whose_images_cannot_be_sent(tmp_path, cli, valar) -> None:
    """Each is a problem of its row, with the place and the path; nothing is sent."""
    path, good = tmp_path / "in.jsonl", {"k": "good", "photo": "https://e.org/a.png"}
    rows = [{"k": f"k{n}", "other": 1, **row} for n, (row, _) in enumerate(PROBLEMS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, good]))
    done = cli("submit", path, *GOOD, code=6)
    for number, (_, problem) in enumerate(PROBLEMS, 1):
        assert f"row {number}, {problem.format(base=tmp_path, ACCEPTED=ACCEPTED)}\n" in done.err
    assert valar.executions()["total"] == 0
    out = tmp_path / "out.jsonl"
    cli("run", path, *GOOD, "--on-invalid", "skip", "--to", out, code=3)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["invalid"] * len(PROBLEMS) + ["completed"]


def test_null_sends_the_row_without_its_image(tmp_path, cli) -> None:
    """--null takes a row that has no image for one without."""
    path = tmp_path / "in.csv"
    path.write_text("k,photo\none,\ntwo,https://e.org/a.png\n")
    cli("submit", path, *GOOD, "--null", "")
    (body,) = bodies(cli.home)
    urls = {"one": message("one"), "two": message("two", "https://e.org/a.png")}
    assert inputs_of(body) == urls


@pytest.mark.parametrize(
    ("rows", "arguments", "code", "said"),
    [
        (
            [{"k": "a", "photo": "no.png"}],
            ("--model", "openai/gpt-oss-120b", "--prompt", "x", "--image", "photo"),
            2,
            [
                "model 'openai/gpt-oss-120b' does not support image input",
                "models that do: moonshotai/Kimi-K2.6, google/gemma-4-31B-it",
            ],
        ),
        (
            [{"messages": [{"role": "user", "content": "x"}], "photo": "no.png"}],
            ("--model", MODEL, "--image", "photo"),
            2,
            ["--image goes with a prompt, and the rows have a ready messages", "--prompt"],
        ),
        (
            [{"custom_id": "a", "params": GOOD_ITEM, "photo": "no.png"}],
            ("--image", "photo"),
            2,
            ["--image goes with a prompt, and the rows are finished requests", "--prompt"],
        ),
        (
            [{"k": "a", "photo": ""}],
            ("--model", MODEL, "--prompt", "x", "--image", "foto", "--null", ""),
            6,
            ["no row has a column 'foto'", "--image"],
        ),
    ],
)
def test_recipes_that_are_refused(tmp_path, cli, valar, rows, arguments, code, said) -> None:
    """What no row could satisfy stops at once, before a file is looked for."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = cli("submit", path, *arguments, code=code)
    for words in said:
        assert words in done.err
    assert valar.executions()["total"] == 0


def test_an_image_column_that_a_csv_lacks(tmp_path, cli) -> None:
    """A header without the column stops before the rows."""
    path = tmp_path / "in.csv"
    path.write_text("k\none\n")
    done = cli("submit", path, *GOOD, code=6)
    assert "no column 'photo'; the input has: k" in done.err
    assert "--image" in done.err


def test_an_image_file_that_changed(tmp_path, cli) -> None:
    """An unsent run of the same rows with other images stops the command and offers two ways."""
    head = b"\x89PNG\r\n\x1a\n"
    path = write_rows(tmp_path, "csv, paths", {"a": head})
    arguments = ("submit", path, *GOOD, "--model", "no/such-model")
    run = cli(*arguments, code=1).out.strip()
    (tmp_path / "pics" / "a 1").write_bytes(head + b"other")
    done = cli(*arguments, code=1)
    assert f"{run} began with this input and recipe and is not all sent" in done.err
    assert "an image file has changed" in done.err
    assert "--again" in done.err


def refused_inputs() -> list[tuple[str, object]]:
    def value(*urls: object) -> list[dict]:
        return [
            {"role": "user", "content": [{"type": "input_image", "image_url": u} for u in urls]}
        ]

    return [
        ("openai/gpt-oss-120b", value("https://e.org/a.png")),
        (MODEL, value(*["https://e.org/a.png"] * 21)),
        (MODEL, {"messages": value("file:///a.png")}),
        (MODEL, value(uri(b"GIF89a...", "png"))),
        (MODEL, value("https://e.org/a.png", uri(b"%PDF-1.7", "png"))),
        (MODEL, value("data:image/png;base64,iVBORw0KGgo")),
        (MODEL, value("data:image/png,abc")),
        (MODEL, value(uri(b"\x89PNG\r\n\x1a\n" + bytes(20_000_000), "png"))),
    ]


def refusal(valar, item: dict) -> tuple[str, str]:
    """Post a batch of one item past our own client: the field and the message of the 400."""
    body = json.dumps({"endpoint": "/v1/responses", "requests": [item]}).encode()
    headers = {"Authorization": f"Bearer {valar.key}"}
    call = urllib.request.Request(f"{valar.base_url}/batches", body, headers)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(call, timeout=60)  # noqa: S310 - loopback
    with refused.value as answer:
        error = json.load(answer)["error"]
    assert answer.status == 400
    return error["param"], error["message"]


def test_the_local_valar_says_the_same(tmp_path, cli, valar) -> None:
    """What is refused here before it is sent, the local Valar refuses in the same words."""
    path, told = tmp_path / "in.jsonl", []
    requests = [{"model": model, "input": value} for model, value in refused_inputs()]
    items = [{"custom_id": f"i{n}", "params": params} for n, params in enumerate(requests)]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    done = cli("validate", path, code=6)
    named = next(line for line in done.err.splitlines() if line.startswith("all of them: "))
    for line in Path(named.removeprefix("all of them: ")).read_text().splitlines():
        problem = json.loads(line)
        hint = f"; {problem['hint']}" if problem["hint"] else ""
        told.append((f"requests.0.params.{problem['field']}", problem["message"] + hint))
    assert [refusal(valar, item) for item in items] == told
    assert len(told) == len(items)


def test_images_are_not_in_the_estimate(tmp_path, make_cli) -> None:
    """The estimate counts text; how many images it leaves out is said, without doubles."""
    head = b"\x89PNG\r\n\x1a\n"
    cli, reports = make_cli(), []
    for size in (1_000, 100_000):
        folder = tmp_path / str(size)
        folder.mkdir()
        rows = [{"k": name, "photo": [uri(head + bytes(size), "png")] * 2} for name in "abb"]
        path = folder / "in.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        arguments = ("validate", path, *GOOD, "--on-invalid", "skip")
        reports.append(cli.json(*arguments))
        assert "input tokens (bytes / 4), without those of 4 images" in cli(*arguments).err
    small, large = reports
    assert (small["requests"], small["images"], large["images"]) == (2, 4, 4)
    assert small["input_tokens_estimate"] == large["input_tokens_estimate"]
    assert 0 < small["params_bytes"] - small["image_bytes"] < 1_000
    assert large["params_bytes"] - large["image_bytes"] == (
        small["params_bytes"] - small["image_bytes"]
    )
