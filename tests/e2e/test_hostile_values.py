"""Values that break programs, through the real command line, in from files and in from Valar."""

from __future__ import annotations

import csv
import gzip
import json
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.conftest import COMMAND, MODEL, environment
from tests.e2e.odd_valar import IDS, response

OUTPUTS = ("jsonl", "csv", "tsv", "parquet", "arrow")
ARGUMENTS = ("--model", MODEL)

IDS_GIVEN = [
    "../../etc/passwd", "..", ".", "a/b", "a b", "%2F", "😀", "a\0b", "\0", "k" * 1000, "k" * 64,
    "Case", "case", "cAse", "é", "e\u0301", "x-a", "r-1", "r-2", "-", "_", "a\nb", "\u202eb", "CON",
    "{{ id }}", "'; drop table rows; --", "x-aaaaaaaaaaaaaaaaaaaaaaaaaa", "NULL", "nan", "0", "00",
    "\ufeffa", "a\u200b", " a", "a ", "valar_batch", "…",
]  # fmt: skip
OWN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def read(path) -> list[dict]:
    """Read an output with the libraries that people use."""
    if path.suffix in (".csv", ".tsv"):
        csv.field_size_limit(100_000_000)
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    table = pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(path).read_all()
    return table.to_pylist()


def written(cli, run: str, folder, *more: str, formats=OUTPUTS, **code) -> dict[str, list[dict]]:
    """Write a run in every format, and read that."""
    for output in formats:
        cli("fetch", run, "--to", folder / f"out.{output}", *more, **code)
    return {output: read(folder / f"out.{output}") for output in formats}


def test_ids_of_any_kind(tmp_path, cli, valar) -> None:
    """Each id has a custom_id of its own, is in the output as it was, and names no file."""
    path = tmp_path / "in.jsonl"
    rows = [{"id": name, "n": place} for place, name in enumerate(IDS_GIVEN)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = cli.json("run", path, *ARGUMENTS, "--prompt", "{{ n }} {{ id }}", "--id", "id", "--to",
        tmp_path / "out.jsonl")["run"]  # fmt: skip
    found = written(cli, run, tmp_path)
    for output, out in found.items():
        assert [row["id"] for row in out] == IDS_GIVEN, output
        ids = [row["custom_id"] for row in out]
        for given, custom_id in zip(IDS_GIVEN, ids, strict=True):
            is_own = OWN.fullmatch(given) and not given.startswith("x-")
            assert re.fullmatch(re.escape(given) if is_own else "x-[a-z2-7]{26}", custom_id)
        assert len(set(ids)) == len(IDS_GIVEN)
        assert {row["status"] for row in out} == {"completed"}
    assert valar.executions()["total"] == len(IDS_GIVEN)
    made = {place.name for place in tmp_path.iterdir()}
    assert made == {"in.jsonl", "home", "valar", *(f"out.{output}" for output in OUTPUTS)}


DEEP = 100_000
LINES = {
    "fine": (rb'{"p": "fine", "more": [1e400, -0.0, 1E5, 123456789012345678901234567890]}', None),
    "NUL": (rb'{"p": "a\u0000b"}', None),
    "a raw NUL": (b'{"p": "a\0b"}', "invalid character"),
    "half a pair": (rb'{"p": "x\ud800"}', r"\ud800 is half of a surrogate pair"),
    "a raw surrogate": (b'{"p": "\xed\xa0\x80"}', "the line is not UTF-8"),
    "NaN": (b'{"p": "x", "n": NaN}', "there is no NaN in JSON"),
    "Infinity": (b'{"p": "x", "n": [-Infinity]}', "there is no -Infinity in JSON"),
    "twin keys": (b'{"p": "first", "p": "last"}', None),
    "deep": (b'{"p":' + b"[" * DEEP + b"]" * DEEP + b"}", "nested too deeply"),
    "deep objects": (b'{"p":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", "nested too deeply"),
    "deep, unclosed": (b'{"p":' + b"[" * DEEP, "nested too deeply"),
    "digits": (b'{"p": ' + b"9" * 5_001 + b"}", "more than 4,300 digits"),
    "many digits": (b'{"p": "x", "n": ' + b"9" * 4_000 + b"}", None),
    "a mark": (b'\xef\xbb\xbf{"p": "x"}', "a byte order mark stands before it"),
    "bare returns": (b'{"p": "x"}\r{"p": "y"}', "trailing characters"),
    "null": (b'{"p": null}', "p is null"),
    "separators": ('{"p": "a\u2028b\u2029c\x85d\x0b"}'.replace("\x0b", "\\u000b").encode(), None),
    "empty": (b'{"p": ""}', "the prompt is empty text"),
    "markup": (rb'{"p": "{{ p }} {% raw %} \u001b[31m [bold]"}', None),
}  # fmt: skip


def test_lines_of_json_of_any_kind(tmp_path, cli) -> None:
    """Each is a row, or one of our problems at its line; the outputs hold what was in the input."""
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line, _ in LINES.values()))
    recipe = (*ARGUMENTS, "--prompt", "{{ p }}", "--on-invalid", "skip")
    run = cli("submit", path, *recipe).out.strip()
    found = written(cli, run, tmp_path, code=3)
    reasons = [reason for _, reason in LINES.values()]
    for output, rows in found.items():
        assert [row["status"] for row in rows] == [
            "invalid" if reason else "completed" for reason in reasons
        ], output
        for number, (row, reason) in enumerate(zip(rows, reasons, strict=True), 1):
            assert (row["error"] or "").startswith(f"row {number}" if reason else "")
            assert (reason or "") in (row["error"] or "")
    lines = out.read_bytes().split(b"\n")
    for line, (given, reason) in zip(lines, LINES.values(), strict=False):
        assert line.startswith(given[:-1]) or reason
    shown = cli("preview", path, *recipe[:4], "--all", "--json", code=6).out.split("\n")[:-1]
    assert [json.loads(request)["params"]["input"] for request in shown] == [
        "fine", "a\0b", "last", "x", "a\u2028b\u2029c\x85d\x0b",
        "{{ p }} {% raw %} \x1b[31m [bold]",
    ]  # fmt: skip


def test_finished_requests_of_any_kind(tmp_path, cli) -> None:
    """Params as text that no decoder takes, and bodies nested too deeply, are problems of a row."""
    path = tmp_path / "in.jsonl"
    nested = "[" * DEEP + "]" * DEEP
    given = [
        {"model": MODEL, "input": "fine"}, nested, f'{{"model": "{MODEL}", "input": {nested}}}',
        '{"model": "\ud800"}', r'{"model": "\ud800"}', "9" * 5_000, '{"model": NaN}', "", None, [],
        {"model": MODEL, "input": "x", "metadata": {"a": {"b": "c"}}},
        {"model": MODEL, "input": [{"role": "user", "content": [[[[[]]]]]}]},
        {"model": MODEL, "input": "x", "temperature": "1e400"},
    ]  # fmt: skip
    rows = [{"custom_id": f"a{number}", "params": params} for number, params in enumerate(given)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = cli.elsewhere(tmp_path / "none")("validate", path, code=6)
    assert "Traceback" not in report.err
    (listed,) = (tmp_path / "none" / "problems").iterdir()
    problems = [json.loads(line) for line in listed.read_text().splitlines()]
    assert {problem["row"] for problem in problems} == set(range(2, len(given) + 1))


CSV = "p,=cmd,+x\r\n" + "".join(
    f'"{field}","{field}","{field}"\r\n'
    for field in (
        "=1+1", "+1", "-1.5e3", "-x", "@a", "\tx", "\rx", "a=1", "x\0y", "\ufeffx", "=1\n=2", "-",
        "'=x", "1", "",
    )
)  # fmt: skip
ESCAPED = ["'=1+1", "+1", "-1.5e3", "'-x", "'@a", "'\tx", "'\rx", "a=1", "x\0y", "\ufeffx",
    "'=1\n=2", "'-", "'=x", "1", ""]  # fmt: skip


@pytest.mark.parametrize("output", ["csv", "tsv"])
def test_formulas(tmp_path, cli, output) -> None:
    """They are kept as they are, or made text that no spreadsheet computes; numbers stay."""
    path, out = tmp_path / "in.csv", tmp_path / f"out.{output}"
    path.write_text(CSV, newline="")
    given = list(csv.DictReader(CSV.splitlines(keepends=True)))
    run = cli.json("run", path, *ARGUMENTS, "--prompt", "x {{ p }}", "--to", out)["run"]
    assert [{name: row[name] for name in given[0]} for row in read(out)] == given
    cli("fetch", run, "--to", out, "--escape-formulas")
    for name in ("p", "'=cmd", "'+x"):
        assert [row[name] for row in read(out)] == ESCAPED
    assert {row["attempts"] for row in read(out)} == {"1"}
    refused = cli("fetch", run, "--to", tmp_path / "out.jsonl", "--escape-formulas", code=2)
    assert "--escape-formulas: it is for CSV and TSV" in refused.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("twice.csv", b"a,a\n1,2\n", "the header names 'a' more than once"),
        ("nameless.csv", b"a,,\n1,2,3\n", "the header has no name for column 2, 3"),
        ("blank.csv", b"\n" * 100_000, "there are no rows"),
        ("blank.jsonl.gz", gzip.compress(b"\n" * 40_000_000), "there are no rows"),
        ("array.json", b"[" * DEEP, "nested too deeply"),
        ("array.json", b'[{"a":' + b"[" * DEEP, "nested too deeply"),
        ("nul.csv", b"\0" * 1000, "no column 'p'"),
        ("bom.csv", b"\xef\xbb\xbf\xef\xbb\xbfp\nx\n", "no column 'p'; the input has: \ufeffp"),
        ("name.csv", b'"p\x1b[31m\nq"\nx\n', r"no column 'p'; the input has: p\x1b[31m"),
        ("cut.jsonl.zst", zstandard.compress(b'{"p":"x"}\n' * 999)[:-3], "cut off or damaged"),
        ("more.jsonl.gz", gzip.compress(b'{"p":"x"}\n') + b"more", "cut off or damaged"),
        ("empty.parquet", b"PAR1PAR1", "cannot be read as Parquet"),
        ("empty.arrow", b"ARROW1\0\0", "cannot be read as Arrow"),
        ("zip.csv", b"PK\x03\x04\x14\0\x06\0\xff\xfe,\n", "is not UTF-8"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_files_of_any_kind(tmp_path, make_cli, name, content, said) -> None:
    """The error is ours, names the file or the column, and shows what would move the cursor."""
    path = tmp_path / name
    path.write_bytes(content)
    done = make_cli()("validate", path, *ARGUMENTS, "--prompt", "{{ p }}", code=None)
    assert done.code in (1, 2, 6)
    assert said in done.err
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err


MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Runs a command from a small process: the most memory of a child counts from before its exec."""


def peak(home, *arguments: object) -> tuple[int, str, int]:
    """Run a command; give its exit status, what it said, and the most memory it had, in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *COMMAND, *map(str, arguments)],
        capture_output=True,
        check=False,
        env={**environment(home), "VALAR_API_KEY": "", "VALAR_BASE_URL": ""},
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return done.returncode, done.stderr.decode(), int(done.stdout) * unit // 1_000_000


BOMB = zstandard.compress(b"\0" * (1 << 26))
ROW = json.dumps({"p": "short", "rest": "x" * 100_000}).encode() + b"\n"


@pytest.mark.parametrize(
    ("name", "member", "times", "code", "said", "most"),
    [
        ("zeros.jsonl.zst", BOMB, 32, 6, "line 1 is longer than 256,000,000 bytes", 450),
        ("zeros.csv.zst", BOMB, 32, 6, "line 1 is longer than 256,000,000 bytes", 450),
        ("rows.jsonl.gz", gzip.compress(ROW * 100, 1), 50, 0, "5,000 rows", 300),
        ("rows.jsonl.zst", zstandard.compress(ROW * 100), 50, 0, "5,000 rows", 300),
        ("blank.jsonl.zst", zstandard.compress(b"\n" * (1 << 26)), 16, 6, "there are no rows", 250),
    ],
    ids=["zeros.jsonl.zst", "zeros.csv.zst", "rows.jsonl.gz", "rows.jsonl.zst", "blank.jsonl.zst"],
)
def test_bombs(tmp_path, name, member, times, code, said, most) -> None:
    """What unpacks to gigabytes is streamed: memory holds a line, however many there are."""
    path = tmp_path / name
    path.write_bytes(member * times)
    found, err, megabytes = peak(
        tmp_path / "home", "validate", path, *ARGUMENTS, "--prompt", "{{ p }}"
    )
    assert (found, said in err) == (code, True), err
    assert megabytes < most, megabytes


ANSWERS = {
    "r-1": "a\nb\r\nc\rd",
    "r-2": "a\0b\x1b[2J\x1b]0;title\x07\u202e\u2028\u2029\x85\x7f",
    "r-3": "x" * 5_000_000 + '"\\,\t;',
    "r-4": "",
    "r-5": '{"custom_id": "r-6"}\n{"custom_id":"r-1","status":"failed"}',
    "r-6": "\ufeff=1+1\ufffe😀",
}  # fmt: skip


def submitted(cli, tmp_path) -> str:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"w{n}"}) + "\n" for n in range(6)))
    return cli("submit", path, *ARGUMENTS).out.strip()


def test_answers_of_any_text(tmp_path, odd, odd_cli) -> None:
    """Every answer is joined exactly, in every format."""
    run = submitted(odd_cli, tmp_path)
    for custom_id, text in ANSWERS.items():
        output = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
        body = json.dumps(response(custom_id, output=output), ensure_ascii=custom_id != "r-2")
        odd.results[custom_id] = (200, body.encode())
    for output, rows in written(odd_cli, run, tmp_path).items():
        assert [(row["custom_id"], row["output_text"]) for row in rows] == list(ANSWERS.items()), (
            output
        )


HARMLESS = {
    "r-2": response("r-2", usage={"input_tokens": 10**30, "output_tokens": -1}),
    "r-3": response("r-3", output={"type": {}, "content": [{"text": 7, "logprobs": True}]}),
    "r-4": response("r-4", "failed", error={"message": "\x1b[31mred\x07\r\u202e", "code": ["x"]}),
}
WORDS = ["completed", "completed", "completed", "failed", "missing", "missing"]
UNREADABLE = {
    "r-5": b'{"object":"response","id":"x","status":"completed","output":%s}'
    % (b"[" * DEEP + b"]" * DEEP),
    "r-6": json.dumps(response("r-6")).encode().replace(b"for", b"\xff\xfe"),
}


def test_results_of_any_kind(tmp_path, odd, odd_cli) -> None:
    """What can be used of a result is; what cannot be read is missing, and costs no other row."""
    run = submitted(odd_cli, tmp_path)
    odd.results = {name: (200, json.dumps(body).encode()) for name, body in HARMLESS.items()}
    odd.results |= {name: (200, body) for name, body in UNREADABLE.items()}
    odd.statuses |= {f"\x1b[31mstranger\n{number}": "COMPLETED" for number in range(5_000)}
    done = odd_cli("fetch", run, "--to", tmp_path / "out.jsonl", "--keep-response", code=3)
    rows = read(tmp_path / "out.jsonl")
    assert [row["status"] for row in rows] == WORDS
    assert set(odd.asked) == set(IDS)
    assert "Traceback" not in done.err
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(done.err)
    assert r"\x1b[31mred\x07\r\u202e" in done.err
    odd.asked.clear()
    for output, rows in written(
        odd_cli, run, tmp_path, "--no-wait", formats=("csv", "arrow"), code=3
    ).items():
        assert [row["status"] for row in rows] == WORDS, output
        assert rows[1]["output_text"] == "for r-2"
        assert rows[1]["input_tokens"] in (None, "")
        assert rows[3]["error"].startswith("\x1b[31mred\x07\r\u202e")
    assert set(odd.asked) == set(UNREADABLE)


def test_words_of_any_kind(tmp_path, odd, odd_cli) -> None:
    """Nothing that Valar says moves the cursor, whichever command shows it."""
    run = submitted(odd_cli, tmp_path)
    odd.statuses["r-1"] = "\x1b[5mPONDERING"
    for progress in ("plain", "bar"):
        done = odd_cli("fetch", run, "--to", tmp_path / "out.jsonl", "--no-wait", "--progress",
            progress, "--overwrite", code=4)  # fmt: skip
        assert r"\x1b[5mPONDERING" in done.err
        assert "\x1b[5m" not in done.err
    odd.batch |= {"label": "a\tb\nc\x1b[31m", "created_at": 10**15}
    listed = odd_cli("list", "--remote").out.splitlines()
    assert [line.split("\t")[:3] for line in listed] == [
        ["id", "label", "requests"], ["b/1", r"a\tb\nc\x1b[31m", "6"],
    ]  # fmt: skip
    odd.batch |= {"label": "run-²-²-²"}
    assert odd_cli.json("list", "--remote")[0]["label"] == "run-²-²-²"
    envelope = {"error": {"message": "\x1b[31m no", "type": "\x07", "param": "\r"}}
    odd.get = lambda _: (400, json.dumps(envelope).encode())
    refused = odd_cli("list", "--remote", code=1)
    assert r"\x1b[31m no" in refused.err
    assert not {"\x1b", "\x07", "\r"} & set(refused.err)


def test_rows_of_ten_megabytes(tmp_path, cli) -> None:
    """Long text goes through whole, in every format."""
    path = tmp_path / "in.jsonl"
    texts = ["x" * 10_000_000, 'é\n",' * 2_000_000, "short"]
    path.write_text("".join(json.dumps({"p": text}) + "\n" for text in texts))
    run = cli.json("run", path, *ARGUMENTS, "--prompt", "{{ p }}", "--to",
        tmp_path / "out.jsonl")["run"]  # fmt: skip
    for output, rows in written(cli, run, tmp_path).items():
        assert [row["p"] for row in rows] == texts, output
        assert {row["status"] for row in rows} == {"completed"}
