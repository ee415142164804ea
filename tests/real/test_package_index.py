"""The index of Debian's packages, tens of thousands of records by many hands, goes unharmed."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess

import pytest

from tests.real.outputs import differences

FEWEST = 1_000


@pytest.fixture(scope="module")
def records() -> list[dict[str, str]]:
    """What `apt-cache dumpavail` prints: a dict for each package, with line breaks in values."""
    command = shutil.which("apt-cache")
    if command is None:
        pytest.skip("there is no apt-cache")
    done = subprocess.run([command, "dumpavail"], capture_output=True, check=True, timeout=60)
    found = [parsed(stanza) for stanza in done.stdout.decode().split("\n\n") if stanza.strip()]
    if len(found) < FEWEST:
        pytest.skip(f"apt-cache knows {len(found)} packages only")
    return found


def parsed(stanza: str) -> dict[str, str]:
    """Read a record of `Name: value` lines; a line that begins with a space goes on."""
    record: dict[str, str] = {}
    name = ""
    for line in stanza.strip("\n").split("\n"):
        if line.startswith(" "):
            record[name] += f"\n{line}"
        else:
            name, _, value = line.partition(":")
            record[name] = value.strip()
    return record


PROMPT = "{{ Package }}: {{ Description }}"


def test_as_jsonl_and_as_csv(records, tmp_path, cli, valar) -> None:
    """Records of unlike fields, then the same as a wide CSV, mostly of empty fields.

    Both give the same requests, so they are paid for once; each output has the rows of its input.
    """
    path = tmp_path / "packages.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    assert differences(cli, path, tmp_path, records, PROMPT)[:3] == []

    path = tmp_path / "packages.csv"
    names = list(dict.fromkeys(name for record in records for name in record))
    rows = [{name: record.get(name, "") for name in names} for record in records]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    assert differences(cli, path, tmp_path, rows, PROMPT)[:3] == []
    assert valar.executions()["total"] == len(records)
