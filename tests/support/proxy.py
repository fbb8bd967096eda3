"""A forward proxy on loopback, as a company has one: it notes what it is asked for, and knows where names lead."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ForwardProxy:
    """Serve it with `async with`. Takes CONNECT for TLS and gRPC, and requests for whole URLs for plain HTTP.

    `routes` are hosts with their ports, like `kubernetes.example:6443`, and where on this machine they are served: no
    name of theirs leads anywhere but here. `asked` has the hosts that were asked for, `logins` what came with them.
    With `tls`, it is itself reached by TLS.
    """

    def __init__(self, routes: Mapping[str, str], tls: ssl.SSLContext | None = None) -> None:
        self.routes = dict(routes)
        self.asked: list[str] = []
        self.logins: set[str] = set()
        self.address = ""
        self._tls = tls

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.address}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            request, *headers = head.split("\r\n")[:-2]
            method, target, version = request.split(" ")
            self.logins |= {line.partition(": ")[2] for line in headers if line.lower().startswith("proxy-auth")}
            url = urlsplit(f"//{target}" if method == "CONNECT" else target)
            host = f"{url.hostname}:{url.port or 80}"
            self.asked.append(host)
            if host not in self.routes:
                writer.write(_REFUSED)
            else:
                up = await asyncio.open_connection(*self.routes[host].split(":"))
                if method == "CONNECT":
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    up[1].write(_as_origin(f"{method} {url.path or '/'}?{url.query} {version}", headers))
                await _join((reader, writer), up)
        writer.close()


def _as_origin(request: str, headers: list[str]) -> bytes:
    """The head of a request as the server itself wants it. One connection is for one request."""
    kept = [line for line in headers if not line.lower().startswith(("connection:", "proxy-"))]
    return "\r\n".join((request.replace("? ", " "), *kept, "Connection: close", "", "")).encode("latin-1")


async def _join(here: tuple[StreamReader, StreamWriter], there: tuple[StreamReader, StreamWriter]) -> None:
    """Until either of the two ends."""
    ways = [asyncio.create_task(_pass_on(*each)) for each in ((here[0], there[1]), (there[0], here[1]))]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    there[1].close()


async def _pass_on(reader: StreamReader, writer: StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
