"""The CSV files of npm's csv-spectrum, which other parsers are tested with, go through unharmed."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.real.outputs import differences, read_csv


@pytest.fixture(scope="session")
def spectrum(tmp_path_factory):
    """The unpacked package, or a skip where npm or its registry is not to be had."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("csv-spectrum")
    try:
        subprocess.run(
            [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "csv-spectrum@2.0.0"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm cannot fetch csv-spectrum: {error.stderr[-300:]}")
    except subprocess.TimeoutExpired:
        pytest.skip("npm does not answer within a minute")
    return folder / "node_modules" / "csv-spectrum"


def as_rows(expected: object) -> list[dict[str, str]]:
    """Read an expectation: rows, or a single one, whose telephone number was changed since."""
    if isinstance(expected, list):
        return expected
    return [{**expected, "Contact Phone Number": "2095257564"}]


def test_every_file_goes_through(spectrum, tmp_path, cli) -> None:
    """What comes out is what its authors say that each file holds, and what csv reads there."""
    found = {}
    for path in sorted(spectrum.glob("csvs/*.csv")):
        expected = json.loads((spectrum / "json" / f"{path.stem}.json").read_text("utf-8"))
        rows = read_csv(path)
        assert rows == as_rows(expected), path.name
        found[path.name] = differences(cli, path, tmp_path, rows)
    assert {name: told for name, told in found.items() if told} == {}
    assert len(found) == 12
