"""Valars that are not as they should be: one behind a gate, one that answers oddly."""

from __future__ import annotations

import pytest

from tests.conftest import Served
from tests.e2e.gate import Gate
from tests.e2e.odd_valar import OddValar


@pytest.fixture
def gate(valar):
    gate = Gate(valar.port)
    yield gate
    gate.open()
    gate.listener.close()


@pytest.fixture
def gated(make_cli, gate, valar):
    """The command line, with the gate between it and the Valar."""
    return make_cli(gate.before(valar))


@pytest.fixture
def odd():
    odd = OddValar()
    yield odd
    odd.close()


@pytest.fixture
def odd_cli(make_cli, odd, tmp_path):
    """The command line, pointed at the odd Valar."""
    target = Served(tmp_path, port=odd.server.server_address[1])
    return make_cli(target, VALAR_BATCH_MISSING_AFTER="0.5")
