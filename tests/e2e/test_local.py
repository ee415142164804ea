"""`--local`: no key, no address; one server for a home, there when it is needed."""

from __future__ import annotations

import json
import time

from tests.conftest import MODEL

RECIPE = ("--local", "--model", MODEL, "--prompt", "{{ a }}")


def server_pids(cli) -> set[int]:
    path = cli.home / "local" / "server.json"
    return {json.loads(path.read_bytes())["pid"]} if path.exists() else set()


def test_submit_now_and_fetch_later(tmp_path, make_cli) -> None:
    """submit returns, its server goes away when unused, and a fetch long after still works."""
    path, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    path.write_text("a\nx\ny\n")
    cli = make_cli(VALAR_LOCAL_LINGER="0.1")
    run = cli("submit", path, *RECIPE).out.strip()
    while server_pids(cli):
        time.sleep(0.1)
    cli("fetch", run, "--to", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["a"], row["status"]) for row in rows] == [("x", "completed"), ("y", "completed")]


def test_two_commands_share_one_server(tmp_path, make_cli) -> None:
    """Commands at the same time find one server, also when it has to be started."""
    cli = make_cli(VALAR_LOCAL_LINGER="20")
    processes = []
    for n in range(3):
        path = tmp_path / f"{n}.csv"
        path.write_text(f"a\nx{n}\n")
        processes.append(cli.start("run", path, *RECIPE, "--to", tmp_path / f"{n}.jsonl"))
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    (pid,) = server_pids(cli)
    cli("models", "--local")
    assert server_pids(cli) == {pid}


def test_the_environment_may_say_local(tmp_path, make_cli) -> None:
    """VALAR_BASE_URL=local is --local, and a run remembers its target."""
    path = tmp_path / "in.csv"
    path.write_text("a\nx\n")
    cli = make_cli(VALAR_BASE_URL="local")
    run = cli("submit", path, *RECIPE[1:]).out.strip()
    elsewhere = cli.elsewhere(cli.home, VALAR_BASE_URL="https://api.example.org/v1")
    standing = elsewhere.json("status", run)
    assert (standing["target"], standing["statuses"]) == ("local", {"completed": 1})


def test_a_rehearsal_can_be_slow_and_can_fail(tmp_path, make_cli) -> None:
    """Latency and failures are set by the environment, and are the same at every rehearsal."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"a": f"w{n}"}) + "\n" for n in range(100)))
    statuses = []
    for home in ("one", "two"):
        cli = make_cli(home=home, VALAR_LOCAL_LATENCY="0.5", VALAR_LOCAL_FAILURE_SHARE="0.2")
        out = tmp_path / f"{home}.jsonl"
        cli("run", path, *RECIPE, "--to", out, code=3)
        statuses.append([json.loads(line)["status"] for line in out.read_text().splitlines()])
    assert statuses[0] == statuses[1]
    assert 5 < statuses[0].count("failed") < 40


def test_two_servers_do_not_share_a_state(serve, make_cli) -> None:
    """A second server on the same home is refused, and says what to do."""
    valar = serve()
    done = make_cli(home=valar.home.name)("serve", "--port", "0", code=2)
    assert "another server is at work on" in done.err
    assert "VALAR_BATCH_HOME" in done.err
