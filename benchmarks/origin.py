"""A cheap Valar to fetch from: nginx, or a small server of our own that can be slow or refuse.

Every result has its own text, so a benchmark can tell whether each answer came to its row. Both
answer all calls of a batch of `rows` requests, POST and status too, so a run is made by the real
`submit`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import ROOT, script
from benchmarks.inputs import SENTENCES, response

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = "batch_1"
PATH = f"batches/{BATCH}"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def custom_ids(rows: int) -> list[str]:
    """The ids of the batch, which are those of the input."""
    return [f"row-{number:06}" for number in range(rows)]


def answer_text(custom_id: str) -> str:
    """What the model says of a row."""
    return f"The answer to {custom_id}. {SENTENCES[0]} {SENTENCES[1]} {SENTENCES[2]}"


def result(custom_id: str) -> str:
    """A response object of about 1.8 KB with an answer of its own."""
    return json.dumps(response(custom_id, 0, answer_text(custom_id)), separators=(",", ":"))


def is_right(custom_id: str, body: bytes) -> bool:
    """Whether a body is the result of this id."""
    return b"The answer to %b. " % custom_id.encode() in body


def status(rows: int) -> str:
    """The batch's status: everything is completed."""
    entries = ",".join(f'"{one}":{{"status":"COMPLETED"}}' for one in custom_ids(rows))
    return f'{created(rows)[:-1]},"request_status":{{{entries}}}}}'


def created(rows: int) -> str:
    """The answer to the POST."""
    return f'{{"id":"{BATCH}","request_counts":{rows},"created_at":1764000000}}'


@dataclass(frozen=True)
class Origin:
    """Where it is: `base_url` as Valar's, `authority` the PEM file to trust."""

    base_url: str
    authority: Path


@contextlib.contextmanager
def serving(
    folder: Path,
    rows: int,
    *,
    tls: bool = True,
    latency: float = 0.0,
    rate: float = 0.0,
    retry_after: str = "",
) -> Iterator[Origin]:
    """Serve until the context ends, by nginx where it is installed and neither is asked for.

    `latency` is in seconds, `rate` in results a second, beyond which they are refused by a 429,
    with `retry_after` seconds where given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority = certificate(folder)
    port = free_port()
    if NGINX and not latency and not rate:
        command = [NGINX, "-c", str(nginx_configuration(folder, rows, port, tls=tls))]
    else:
        options: list[object] = ["--rows", rows, "--latency", latency, "--rate", rate]
        options += ["--port", port, "--retry-after", retry_after]
        options += ["--certificate", authority] if tls else []
        command = script("paced_origin", *options)
    server = subprocess.Popen(  # noqa: S603 - nginx, or a module of this package
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await_port(port, server)
        yield Origin(f"{'https' if tls else 'http'}://localhost:{port}/v1", authority)
    finally:
        server.terminate()
        server.wait()


def certificate(folder: Path) -> Path:
    """Make a certificate of localhost that guards nothing; its key is in the same file."""
    path = folder / "certificate.pem"
    if not path.exists():
        command = ("openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
                   "-days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost")  # fmt: skip
        made = subprocess.run(  # noqa: S603
            [*command.split(), "-keyout", "-", "-out", "-"], capture_output=True, check=True
        )
        path.write_bytes(made.stdout)
    return path


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def await_port(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server takes connections."""
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        if server.poll() is not None:
            raise SystemExit("the benchmark's server does not start")
        time.sleep(0.05)


def nginx_configuration(folder: Path, rows: int, port: int, *, tls: bool) -> Path:
    """Write what nginx needs: one worker, and results that are made of the path."""
    (folder / BATCH).write_text(status(rows))
    (folder / "temp").mkdir(exist_ok=True)
    listen = f"listen 127.0.0.1:{port} backlog=4096"
    if tls:
        pem = folder / "certificate.pem"
        listen += f" ssl; ssl_certificate {pem}; ssl_certificate_key {pem}"
    # Backslashes count in nginx's strings, too.
    body = result("$1").replace("\\", "\\\\")
    path = folder / "nginx.conf"
    path.write_text(f"""
        {"user root root;" if os.geteuid() == 0 else ""}
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 4096; }}
        http {{
            access_log off; keepalive_requests 100000000; keepalive_timeout 300; tcp_nodelay on;
            default_type application/json; client_max_body_size 300m;
            client_body_temp_path {folder}/temp; proxy_temp_path {folder}/temp;
            fastcgi_temp_path {folder}/temp; uwsgi_temp_path {folder}/temp;
            scgi_temp_path {folder}/temp;
            add_header X-Request-ID $request_id;
            server {{
                {listen};
                location = /v1/batches {{
                    if ($request_method = POST) {{ return 200 '{created(rows)}'; }}
                    return 200 '[]';
                }}
                location = /v1/batches/{BATCH} {{ alias {folder}/{BATCH}; }}
                location ~ ^/v1/batches/{BATCH}/(.*)$ {{ return 200 '{body}'; }}
            }}
        }}
    """)
    return path
