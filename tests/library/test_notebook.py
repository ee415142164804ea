"""Progress in a real kernel: one output for each call, which ends the same every time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")

from jupyter_client.kernelspec import KernelSpecManager  # noqa: E402
from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from nbformat.v4 import new_code_cell, new_notebook  # noqa: E402

from tests.conftest import MODEL  # noqa: E402

CALL = f"""
from concurrent.futures import ThreadPoolExecutor
import valar_batch

def label(path):
    return valar_batch.run(path, local=True, model={MODEL!r}, prompt="{{{{ a }}}}").num_rows
"""

BARS = """\
preparing ━━━━━━━━━━━━━━━━━━━━━━━━━━━━       3
sending   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━  1 of 1  302 bytes of 302 bytes
settling  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━  3 of 3
fetching  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━  3 of 3  {tokens} tokens
writing   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━  3 of 3
{run}: 3 completed; 3 tokens in, {written} out; {cost} at Valar's prices; it was a rehearsal \
and cost nothing"""
X = BARS.format(tokens=481, run="run-7e7b59a89fe1787d", written=478, cost="$0.0001")
Y = BARS.format(tokens=673, run="run-c19e1133423184d5", written=670, cost="$0.0002")
Z = BARS.format(tokens=529, run="run-798a6204b6412c22", written=526, cost="$0.0002")


def outputs(sources, folder):
    """Run cells in a kernel of this Python, and give the outputs of each."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    kernel = AsyncKernelManager(
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
        kernel_name="python3",
        connection_file=str(folder / "kernel.json"),
        transport="ipc",
    )
    client = nbclient.NotebookClient(
        notebook, km=kernel, timeout=120, resources={"metadata": {"path": str(folder)}}
    )
    client.owns_km = True
    root = Path(__file__).parents[2]
    client.execute(env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(root)})
    return [cell.outputs for cell in notebook.cells]


def text_of(output):
    return output.text if output.output_type == "stream" else output.data["text/plain"]


def test_one_output_for_each_call(tmp_path, home) -> None:
    """A call shows its bars in one output, in a thread too; nothing else is printed."""
    for name in "xyz":
        (tmp_path / f"{name}.csv").write_text(f"a\n{name}1\n{name}2\n{name}3\n")
    _, alone, together, quiet = outputs(
        [
            CALL,
            "label('x.csv')",
            "with ThreadPoolExecutor(2) as pool: print(*pool.map(label, ['y.csv', 'z.csv']))",
            "valar_batch.fetch(progress=None).num_rows",
        ],
        tmp_path,
    )
    assert list(map(text_of, alone)) == [X, "3"]
    assert "━" * 28 in alone[0].data["text/html"]
    assert sorted(map(text_of, together)) == sorted([Y, Z, "3 3\n"])
    assert list(map(text_of, quiet)) == ["3"]
