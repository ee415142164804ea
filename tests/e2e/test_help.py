"""Help costs nothing and is complete."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "pyarrow", "httpx", "pycurl", "uvicorn", "starlette", "zstandard", "msgspec", "orjson",
    "minijinja", "tenacity", "sqlite3", "asyncio", "jsonschema_rs",
)  # fmt: skip

PROBE = """
import sys
sys.argv = ["valar-batch", *{arguments!r}]
from valar_batch.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]])
def test_help_imports_nothing_heavy(arguments) -> None:
    """--help needs neither pyarrow nor the HTTP stack nor the server."""
    probe = PROBE.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_importing_the_package_imports_nothing_heavy() -> None:
    """A script that imports valar_batch pays for what it uses, when it uses it."""
    probe = f"import sys, valar_batch; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
