"""A home of its own for each test, and a target for the calls in this process."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The home folder of the calls in this process, and no target; gives its path."""
    path = tmp_path / "home"
    for name in ("VALAR_API_KEY", "VALAR_BASE_URL", "VALAR_LOCAL_LATENCY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VALAR_BATCH_HOME", str(path))
    monkeypatch.setenv("VALAR_LOCAL_LINGER", "2")
    return path


@pytest.fixture
def target(home, valar, monkeypatch):
    """A served Valar, named by the environment."""
    monkeypatch.setenv("VALAR_BASE_URL", valar.base_url)
    monkeypatch.setenv("VALAR_API_KEY", valar.key)
    return valar


@pytest.fixture
def tickets(tmp_path):
    """A small input: its path."""
    path = tmp_path / "tickets.jsonl"
    rows = [{"n": n, "text": f"ticket number {n}", "tags": ["a"] * n} for n in range(5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
