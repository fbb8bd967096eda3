"""The command `ui`: the api's page on an address of this machine, with the kubeconfig's credentials.

What comes to that address goes to the api with them added, as `kubectl proxy` does. So only this machine can reach it,
and only the page itself is answered: neither a name that somebody else lets lead here, nor another site's page.
"""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from contextlib import suppress

import httpx
from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.http.server import serving
from experiment_operator.commands.api_client import ApiError, Remote, remote
from experiment_operator.settings import Ui

_HOST = "127.0.0.1"
# An event stream says something every 15 s.
_TIMEOUT = httpx.Timeout(60, connect=5)
_PASSED_ON = ("accept", "content-type", "idempotency-key", "if-none-match", "last-event-id", "hx-request")
# What is between two machines, and not the answer itself.
_KEPT_BACK = {"connection", "keep-alive", "transfer-encoding", "upgrade", "date", "server", "strict-transport-security"}


def ui(settings: Ui) -> int:
    """Open the page, and serve it until Ctrl-C. Returns 0, or 1 where there is no way to the api."""
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(settings))
    except (ApiError, OSError) as error:
        print(f"experiment-operator ui: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Ui) -> None:
    async with remote(settings) as api:
        relay = Relay(api)
        async with serving(relay, _HOST, settings.port) as port:
            relay.hosts = {f"{_HOST}:{port}", f"localhost:{port}"}
            url = f"http://{_HOST}:{port}/"
            print(
                f"The page is at {url} with your credentials, for everybody on this machine. Ctrl-C ends it.",
                flush=True,
            )
            if settings.browser:
                webbrowser.open(url)
            await asyncio.Event().wait()


class Relay:
    """Passes requests on to the api, and its answers back while they come. It answers to `hosts` alone."""

    def __init__(self, api: Remote) -> None:
        self.hosts: set[str] = set()
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = self._refusal(request.headers) or await self._passed_on(request)
        await response(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self.hosts:
            return PlainTextResponse("This address answers to its own name only.\n", 403)
        foreign = origin is not None and origin != f"http://{host}"
        if foreign or headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return PlainTextResponse("This address answers to its own pages only.\n", 403)
        return None

    async def _passed_on(self, request: Request) -> Response:
        headers = {name: value for name in _PASSED_ON if (value := request.headers.get(name))}
        if "origin" in request.headers or "sec-fetch-site" in request.headers:
            # It is its own page's, as was found above. What the api is called on the way, its page does not know.
            headers["sec-fetch-site"] = request.headers.get("sec-fetch-site", "same-origin")
        path = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        try:
            asked = self._api.http.build_request(
                request.method, path, headers=headers, content=await request.body(), timeout=_TIMEOUT
            )
            answer = await self._api.http.send(asked, stream=True)
        except httpx.TransportError as error:
            return PlainTextResponse(f"{self._api.where}: {error or type(error).__name__}\n", 502)
        shown = {name: value for name, value in answer.headers.items() if name.lower() not in _KEPT_BACK}
        return StreamingResponse(
            answer.aiter_raw(), answer.status_code, shown, background=BackgroundTask(answer.aclose)
        )
