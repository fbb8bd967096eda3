"""How commands that ask the api reach it, with the kubeconfig's credentials: directly, or through the API server.

The API server's service proxy keeps the Authorization header to itself, so the token travels in a second one. A person
whose kubeconfig has a certificate instead of a token has to name a token.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from experiment_operator.commands.output import Printer
from experiment_operator.settings import Asking, is_loopback
from kube.credentials import login
from kube.errors import KubeError
from proxies.environment import ProxyError, proxy_for, through
from telemetry.identity import user_agent

_TIMEOUT = httpx.Timeout(30, connect=5)
_AWAY = {502, 503, 504}
_BEHIND_PROXY = "X-Experiment-Operator-Authorization"

S = TypeVar("S", bound=Asking)


class ApiError(Exception):
    """The api did not answer as it should. The message is for the person who asked; `status` that of the answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ApiAwayError(ApiError):
    """Nobody answers, or not now. To ask again may help."""


@dataclass(frozen=True, slots=True)
class Remote:
    """`namespace` is the one to ask about, `where` says in errors what was asked."""

    http: httpx.AsyncClient
    namespace: str
    where: str

    async def get(self, path: str, **query: Any) -> Any:
        """Return the answer as JSON. Raises ApiError."""
        return await self._ask("GET", path, params={key: value for key, value in query.items() if value is not None})

    async def post(self, path: str, content: bytes, **headers: str) -> Any:
        """Return the answer as JSON. Of `headers`, `_` stands for `-`. Raises ApiError."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._ask("POST", path, content=content, headers=given)

    def url(self, path: str) -> str:
        """Return where a link of the api leads from here."""
        return f"{self.http.base_url}".rstrip("/") + path

    async def events(self, path: str) -> AsyncIterator[str]:
        """Yield the lines of a stream of server-sent events, keep-alives too, until the server ends it."""
        try:
            async with self.http.stream("GET", f"/api/v1{path}", timeout=httpx.Timeout(60, connect=5)) as response:
                if response.is_error:
                    await response.aread()
                    raise ApiError(_words(response))
                async for line in response.aiter_lines():
                    yield line
        except httpx.TransportError as error:
            raise ApiError(f"{self.where}: {error or type(error).__name__}") from error

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            response = await self.http.request(method, f"/api/v1{path}", **more)
        except httpx.TransportError as error:
            raise ApiAwayError(f"{self.where}: {error or type(error).__name__}") from error
        if response.is_error:
            kind = ApiAwayError if response.status_code in _AWAY else ApiError
            raise kind(_words(response), response.status_code)
        try:
            return response.json()
        except ValueError:
            raise ApiError(f"{response.url} answers, but is not the api: {response.text[:80]!r}") from None


@asynccontextmanager
async def remote(settings: Asking) -> AsyncIterator[Remote]:
    """Connect to the api.

    Raises ApiError where there is no way to it, KubeError where there is no kubeconfig and one is needed, ProxyError
    where it has to be reached through a proxy that cannot be used.
    """
    token = settings.token.get_secret_value() if settings.token else None
    if settings.server:
        url = str(settings.server).rstrip("/")
        namespace = settings.namespace or "default"
        try:
            known = await login(settings.kubeconfig)
        except KubeError:
            known = None  # the api may ask nobody who they are
        if known:
            token, namespace = token or known.token, settings.namespace or known.namespace
        headers = {"Authorization": f"Bearer {token}"} if token and _is_private(url) else {}
        proxy, context = proxy_for(url), None
    else:
        known = await login(settings.kubeconfig)
        token, namespace = token or known.token, settings.namespace or known.namespace
        headers = {_BEHIND_PROXY: f"Bearer {token}"} if token else {}
        if known.token:
            headers["Authorization"] = f"Bearer {known.token}"
        where, _, service = settings.service.partition("/")
        url = f"{known.url}/api/v1/namespaces/{where}/services/{service}/proxy"
        proxy, context = known.proxy, known.context
    headers["User-Agent"] = user_agent(settings.word())
    transport = _transport(proxy, context)
    async with httpx.AsyncClient(base_url=url, headers=headers, transport=transport, timeout=_TIMEOUT) as http:
        yield Remote(http, namespace, f"{http.base_url}{through(proxy)}")


def _transport(proxy: str | None, context: ssl.SSLContext | None) -> httpx.AsyncHTTPTransport:
    """Make a transport through this proxy or none, whatever httpx would find in the environment.

    A proxy that is itself reached by TLS has to show a certificate that the API server could show, as with kubectl.
    """
    by_tls = proxy is not None and proxy.startswith("https:")
    chosen = httpx.Proxy(proxy, ssl_context=context if by_tls else None) if proxy else None
    return httpx.AsyncHTTPTransport(verify=context or True, proxy=chosen)


def _is_private(url: str) -> bool:
    """Tell whether nobody on the way reads along. A token is sent nowhere else."""
    parts = urlsplit(url)
    return is_loopback(parts.hostname or "") or parts.scheme == "https"


def _words(response: httpx.Response) -> str:
    """Return the problem's sentence, or what a proxy or the API server says instead."""
    try:
        answer = response.json()
    except ValueError:
        answer = {}
    said = (answer.get("detail") or answer.get("message")) if isinstance(answer, dict) else None
    words = said or f"{response.url} answers {response.status_code} {response.reason_phrase}"
    if response.status_code == 401:
        words += (
            " Without a token in the kubeconfig, name one: --token, or EXPERIMENT_OPERATOR_TOKEN in the environment."
        )
    if said and (answer.get("details") or {}).get("kind") == "services":
        words = f"{words}. Name the api's Service: --service, or EXPERIMENT_OPERATOR_SERVICE in the environment."
    return str(words)


def asking(answer: Callable[[S, Remote, Printer], Awaitable[int]]) -> Callable[[S], int]:
    """Make a command of what answers it. It returns as `ask` does."""
    return lambda settings: ask(settings, answer)


def ask(
    settings: S,
    answer: Callable[[S, Remote, Printer], Awaitable[int]],
    fail: Callable[[S, Exception], int] = lambda *_: 1,
) -> int:
    """Run `answer`. Returns its exit code or, where the api is not reached or refuses, what `fail` makes of that."""
    try:
        return asyncio.run(_ask(settings, answer))
    except (ApiError, KubeError, ProxyError) as error:
        print(f"experiment-operator: {error}", file=sys.stderr)
        return fail(settings, error)
    except KeyboardInterrupt:
        return 130


async def _ask(settings: S, answer: Callable[[S, Remote, Printer], Awaitable[int]]) -> int:
    async with remote(settings) as api:
        return await answer(settings, api, Printer(settings.output))
