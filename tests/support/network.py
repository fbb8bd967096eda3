"""Stands for the network of a cluster: an HTTP proxy on the loopback that knows Services by their names.

Programs that heed `http_proxy` ask it for `http://NAME.NAMESPACE.svc.cluster.local:PORT/…` as it stands in generated
objects; whoever is in `services` under NAME answers, or under the name of a host outside. What was asked for is
remembered, also where nobody answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_CLUSTER = ".svc.cluster.local"


@dataclass(frozen=True)
class Request:
    """`host` as it was asked for, with its port; `path` with its query; names of `headers` are in lower case."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """What a Service answers."""

    body: bytes = b""
    content_type: str = "application/json"
    status: int = 200


Service = Callable[[Request], Response]


class Network:
    """`services` by their names; `environment` is what makes a program use it."""

    def __init__(self, port: int) -> None:
        self.services: dict[str, Service] = {}
        self.requests: list[Request] = []
        url = f"http://127.0.0.1:{port}"
        self.environment = {"http_proxy": url, "https_proxy": url}

    def asked(self, name: str) -> list[Request]:
        """Return the requests for a Service, in order."""
        return [request for request in self.requests if _name(request.host) == name]

    @property
    def names(self) -> set[str]:
        """Of all that were asked for."""
        return {_name(request.host) for request in self.requests}

    def answer(self, request: Request) -> Response:
        """Hand the request to its Service; where there is none, answer as a proxy does."""
        self.requests.append(request)
        service = self.services.get(_name(request.host))
        return service(request) if service else Response(b"there is no such Service", "text/plain", 503)


@contextmanager
def network() -> Iterator[Network]:
    """Open one that listens until the end of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        _Handler.networks[server.server_port] = opened = Network(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield opened
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    networks: dict[int, Network] = {}  # noqa: RUF012 - by port, since the server makes the handlers
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        """Until the other side has enough, which it may say by going away."""
        with suppress(ConnectionError):
            super().handle()

    def _handle(self) -> None:
        url = urlsplit(self.path if "://" in self.path else f"//{self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = f"{url.path}?{url.query}" if url.query else url.path
        request = Request(self.command, url.netloc, path, headers, body)
        response = self.networks[self.server.server_port].answer(request)  # type: ignore[attr-defined]
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_CONNECT = _handle  # noqa: N815 - names that http.server looks for

    def log_message(self, *_: object) -> None: ...


def _name(host: str) -> str:
    """Of the Service; or of a host outside of the cluster."""
    name = host.partition(":")[0]
    return name.partition(".")[0] if name.endswith(_CLUSTER) else name
