"""The detached server: one for a home, up while it is leased, the same after a restart."""

import http.server
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from filelock import FileLock, Timeout

from valar_batch.errors import StateError, UsageError
from valar_batch.local import detached, launch
from valar_batch.local.launch import ensure
from valar_batch.local.leases import Leases

HOLD = """
import pathlib, sys
from valar_batch.local.launch import ensure
with ensure(pathlib.Path(sys.argv[1])) as lease:
    print(lease.base_url, lease.api_key, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home whose server ends at once when it is no longer leased."""
    monkeypatch.setenv("VALAR_LOCAL_LINGER", "0.2")
    yield tmp_path / "home"
    wait_for_end(tmp_path / "home")


def wait_for_end(home):
    """Wait until the server has given its lock back."""
    if (home / "local").exists():
        FileLock(home / "local" / "elected.lock").acquire(timeout=60).lock.release()


def announced(home):
    return json.loads((home / "local" / "server.json").read_bytes())


def call(lease, path, body=None):
    request = urllib.request.Request(  # noqa: S310 - our own server
        lease.base_url.removesuffix("/v1") + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {lease.api_key}"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def post_batch(lease, params, batch):
    return call(lease, "/v1/batches", batch(("a", params())))["id"]


def test_a_lease_gives_a_live_server(home):
    """ensure gives the address and the key of a server that answers."""
    with ensure(home) as lease:
        assert lease.base_url == f"http://127.0.0.1:{announced(home)['port']}/v1"
        assert call(lease, "/local/executions") == {"total": 0, "distinct": 0, "repeated": []}


def test_commands_at_the_same_time_share_one_server(home):
    """However many commands start at once, they end up on one server."""
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, home],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    told = {holder.stdout.readline() for holder in holders}
    for holder in holders:
        holder.communicate()
    assert len(told) == 1
    assert told != {""}


def test_the_files_are_private(home):
    """The token and the address are for their owner alone, and so is the folder."""
    with ensure(home):
        folder = home / "local"
        modes = {
            name: oct(stat.S_IMODE((folder / name).stat().st_mode))
            for name in (".", "server.json", "token")
        }
    assert modes == {".": "0o700", "server.json": "0o600", "token": "0o600"}


def test_it_ends_after_the_last_lease(home):
    """With the last lease gone the server ends by itself, and takes its address with it."""
    first, second = ensure(home), ensure(home)
    first.close()
    assert call(second, "/local/health")["status"] == "ok"
    second.close()
    wait_for_end(home)
    assert not (home / "local" / "server.json").exists()


def test_a_lease_outlasts_the_linger(home):
    """As long as a lease is held the server stays, whether it is used or not."""
    with ensure(home) as lease:
        time.sleep(0.6)
        assert call(lease, "/local/health")["status"] == "ok"


def test_a_killed_command_gives_its_lease_back(home):
    """kill -9 of the holder ends the lease like any other end."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, home],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline()
    holder.kill()
    holder.communicate()
    wait_for_end(home)
    assert not (home / "local" / "server.json").exists()


def test_a_restart_keeps_state_and_token(home, params, batch):
    """A new server of the home knows its batches and takes the same key."""
    with ensure(home) as lease:
        token = lease.api_key
        batch_id = post_batch(lease, params, batch)
    wait_for_end(home)
    with ensure(home) as lease:
        assert lease.api_key == token
        assert call(lease, f"/v1/batches/{batch_id}/a")["status"] == "completed"


def test_a_killed_server_is_replaced(home, params, batch):
    """After kill -9 of the server, the next command starts another on the same state."""
    with ensure(home) as lease:
        batch_id = post_batch(lease, params, batch)
        os.kill(announced(home)["pid"], signal.SIGKILL)
    with ensure(home) as lease:
        assert call(lease, f"/v1/batches/{batch_id}/a")["status"] == "completed"


def test_leases_come_and_go_around_the_end(home, monkeypatch):
    """A command that meets a server just as it ends gets another one, never a dead lease."""
    monkeypatch.setenv("VALAR_LOCAL_LINGER", "0")
    for pause in (0, 0.05, 0.1, 0.15, 0.2):
        with ensure(home) as lease:
            assert call(lease, "/local/health")["status"] == "ok"
        time.sleep(pause)


def test_the_token_goes_to_no_stranger(home):
    """A stale address, with another program at its port, is not trusted with the token."""
    folder = launch.folder_of(home)
    seen = []

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "ok", "pid": 1}')

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever).start()
        stale = {"port": stranger.server_port, "pid": 2, "version": "0"}
        (folder / "server.json").write_text(json.dumps(stale))
        (folder / "token").write_text("secret")
        with ensure(home) as lease:
            assert call(lease, "/local/health")["pid"] == announced(home)["pid"]
        stranger.shutdown()
    assert set(seen) == {("/local/health", None)}


def test_settings_reach_a_running_server(home, params, batch):
    """Latency and failures are those of the command that asks; what was created keeps its own."""
    with ensure(home, {}) as first:
        with ensure(home, {"VALAR_LOCAL_FAILURE_SHARE": "1"}) as second:
            failing = post_batch(second, params, batch)
        with ensure(home, {}):
            assert call(first, "/local/settings", {}) == {"latency": 0.0, "failure_share": 0.0}
        assert call(first, f"/v1/batches/{failing}/a")["status"] == "failed"


def test_a_new_server_waits_for_its_first_lease():
    """However short the linger, a server that was just started is there to be leased."""
    now = 0.0
    leases = Leases(0, clock=lambda: now)
    now = 29.0
    assert not leases.end_if_unused()
    now = 30.0
    assert leases.end_if_unused()


@pytest.mark.parametrize(
    "environ", [{"VALAR_LOCAL_LATENCY": "soon"}, {"VALAR_LOCAL_FAILURE_SHARE": "2"}]
)
def test_settings_that_make_no_sense_are_usage_errors(home, environ):
    """A wrong value in the environment is told to the user, by the variable's name."""
    with pytest.raises(UsageError) as caught:
        ensure(home, environ)
    assert next(iter(environ)) in caught.value.message + caught.value.hint


def test_a_server_that_cannot_start_is_told_with_its_log(home):
    """When the server dies at its start, the error names the log, and the log the reason."""
    folder = launch.folder_of(home)
    (folder / "state.sqlite").write_text("this is no database, " * 100)
    with pytest.raises(StateError) as caught:
        ensure(home)
    log = folder / "server.log"
    assert caught.value.hint == f"its log is {log}"
    assert "file is not a database" in log.read_text()


def test_a_loser_goes_away_when_the_winner_serves(tmp_path):
    """A candidate that finds the lock taken and a server announced does not wait."""
    (tmp_path / "server.json").touch()
    with FileLock(tmp_path / "lock"):
        assert detached.elected(FileLock(tmp_path / "lock"), tmp_path / "server.json") is False


def test_a_candidate_waits_for_one_that_is_ending(tmp_path):
    """A candidate that finds the lock taken but nobody announced takes its turn."""
    holder = FileLock(tmp_path / "lock", thread_local=False)
    candidate = FileLock(tmp_path / "lock")
    holder.acquire()
    timer = threading.Timer(0.2, holder.release)
    timer.start()
    assert detached.elected(candidate, tmp_path / "server.json") is True
    timer.join()
    with pytest.raises(Timeout):
        holder.acquire(timeout=0)
    candidate.release()


def test_no_lease_is_granted_once_the_end_is_decided():
    """The server counts its linger from the last lease, and decides the end once and for all."""
    now = 0.0
    leases = Leases(10, clock=lambda: now)
    leases.take()
    now = 100.0
    assert not leases.end_if_unused()
    leases.give_back()
    now = 109.0
    assert not leases.end_if_unused()
    now = 110.0
    assert leases.end_if_unused()
    with pytest.raises(Exception, match="ending") as caught:
        leases.take()
    assert caught.value.status == 503


def test_the_command_side_imports_nothing_heavy():
    """Holding a lease needs no server code."""
    code = "import sys, valar_batch.local.launch; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"uvicorn", "starlette", "sqlite3", "asyncio", "filelock", "httpx", "pyarrow"}
    assert heavy.isdisjoint(done.stdout.split())
