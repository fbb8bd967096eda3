"""One port a process for those who look after it: /metrics, /healthz and /readyz.

Served from threads of its own, so that it answers also while the event loop does not. It asks nobody who they are, and
so says nothing of any Experiment.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, TypeAlias

import structlog
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from telemetry.errors import ListenError
from telemetry.health import Pulse

log = structlog.get_logger(__name__)

Answer: TypeAlias = tuple[int, str, bytes]  # status, content type, body

_TEXT = "text/plain; charset=utf-8"
_REQUEST_TIMEOUT_SECONDS = 10


@contextmanager
def listening(host: str, port: int, pulse: Pulse, more_metrics: Callable[[], bytes]) -> Iterator[int]:
    """Serve while the context is open; the value is the port, which for 0 is any free one.

    `more_metrics` is appended to /metrics and must be in Prometheus' text format. Raises ListenError.
    """

    def answer(path: str) -> Answer:
        if path == "/metrics":
            return 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(REGISTRY) + more_metrics()
        if path == "/healthz":
            return _verdict(["the event loop hangs"] if pulse.wedged else [])
        if path == "/readyz":
            return _verdict(pulse.missing)
        return 404, _TEXT, b"There is /metrics, /healthz and /readyz.\n"

    try:
        server = _ProbeServer((host, port), answer)
    except OSError as error:
        hint = "; choose another --metrics-port (METRICS_PORT), or 0 for any free one"
        raise ListenError(
            f"cannot listen on {host}, port {port}, for /metrics: {error.strerror}"
            f"{hint if error.errno == errno.EADDRINUSE else ''}"
        ) from error
    threading.Thread(target=server.serve_forever, name="listener", daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class _ProbeServer(ThreadingTCPServer):
    """Not `http.server`'s own, which asks DNS for the name of the address before it listens."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, address: tuple[str, int], answer: Callable[[str], Answer]) -> None:
        self.answer = answer
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def handle_error(self, *_: object) -> None:
        log.debug("a request to the listener failed", exc_info=True)  # noqa: LOG014 - it is called in a handler


class _Handler(BaseHTTPRequestHandler):
    server: _ProbeServer
    server_version, sys_version = "experiment-operator", ""
    timeout = _REQUEST_TIMEOUT_SECONDS

    def do_GET(self) -> None:
        status, content_type, body = self.server.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: probes are no events."""


def _verdict(wrong: list[str] | tuple[str, ...]) -> Answer:
    return (503, _TEXT, "".join(f"{each}\n" for each in wrong).encode()) if wrong else (200, _TEXT, b"ok\n")
