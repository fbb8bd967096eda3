"""The calls this service makes to Testkube's API: JSON in, JSON out, every failure a `TestkubeError`.

It knows TestWorkflows by name and nothing of Experiments. Nothing is retried or cached here; `stopping` builds on this.
Testkube's open-source API has no authentication.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import Any, Self, TypeAlias
from urllib.parse import quote

import aiohttp
from yarl import URL

from proxies.environment import proxy_for, through
from telemetry.identity import user_agent
from testkube.errors import NotFound, Unavailable, error_for
from testkube.executions import Execution

Query: TypeAlias = dict[str, str]

_CALL_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=3)
_PAGE_SIZE = 100  # Testkube's own, should it not heed this one either


@dataclass(frozen=True, slots=True)
class Info:
    """What a Testkube says of itself. `context` is `oss`, or `cloud` where a control plane is connected."""

    version: str
    namespace: str
    context: str


class TestkubeClient:
    """One connection pool to one Testkube. Make it where an event loop runs, and close it or use it in `async with`.

    `url` is that of the API server, like http://testkube-api-server.testkube:8088, with or without its `/v1`; `role`
    is who asks. Raises ProxyError where the environment names a proxy for it that cannot be used.
    """

    def __init__(self, url: str, role: str = "") -> None:
        self._url = f"{url.rstrip('/').removesuffix('/v1')}/v1"
        proxy = proxy_for(self._url)
        self._through = through(proxy)
        headers = {"User-Agent": user_agent(role)}
        self._session = aiohttp.ClientSession(timeout=_CALL_TIMEOUT, headers=headers, proxy=proxy)

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def info(self) -> Info:
        """Ask Testkube about itself."""
        answer = await self._request("GET", "/info")
        if not isinstance(answer, dict) or not answer.get("version"):
            raise Unavailable(f"GET {self._url}/info: the answer is not Testkube's")
        return Info(*(str(answer.get(key) or "") for key in ("version", "namespace", "context")))

    async def has_workflow(self, workflow: str) -> bool:
        """Ask whether Testkube knows a TestWorkflow of this name."""
        try:
            await self._request("GET", f"/test-workflows/{_quoted(workflow)}")
        except NotFound:
            return False
        return True

    async def executions(self, workflow: str, statuses: Collection[str] = ()) -> list[Execution]:
        """List the executions of a TestWorkflow, newest first; with `statuses`, those only.

        A TestWorkflow that Testkube does not know has none; of one that was deleted, they are still listed.
        """
        query = {"pageSize": str(_PAGE_SIZE), **({"status": ",".join(sorted(statuses))} if statuses else {})}
        found: dict[str, Execution] = {}
        for page in count():
            before = len(found)
            listed = await self._list(f"/test-workflows/{_quoted(workflow)}/executions", {**query, "page": str(page)})
            # What begins meanwhile pushes others to the next page, where they are listed again.
            found |= {each.id: each for each in listed}
            if len(listed) < _PAGE_SIZE or len(found) == before:
                break
        # Testkube ignores a filter of which it does not know every word, and answers with everything.
        return [each for each in found.values() if not statuses or each.status in statuses]

    async def abort_all(self, workflow: str) -> None:
        """Abort all unfinished executions of a TestWorkflow, which may be none, and need not exist.

        They are `canceled` a moment later. Returns as soon as Testkube has taken note.
        """
        await self._request("POST", f"/test-workflows/{_quoted(workflow)}/abort")

    async def _list(self, path: str, query: Query) -> list[Execution]:
        answer = await self._request("GET", path, query)
        try:
            return [Execution.of(each) for each in answer["results"] or []]
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable(f"GET {self._url}{path}: the answer is no list of executions: {error}") from error

    async def _request(self, method: str, path: str, query: Query | None = None) -> Any:
        """Return the answer's JSON, None where it has no content. `path` is quoted already."""
        call = f"{method} {self._url}{path}"
        url = URL(f"{self._url}{path}", encoded=True).with_query(query)
        try:
            # A redirection leads to some login page: Testkube has none.
            async with self._session.request(method, url, allow_redirects=False) as response:
                content = await response.read()
        except TimeoutError as error:
            raise Unavailable(f"{call}: no answer in time{self._through}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{call}: {error or type(error).__name__}{self._through}") from error
        if response.status == 204:
            return None
        if response.status >= 300:
            raise error_for(call, response.status, content)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{call}: the answer is no JSON: {content[:80]!r}", status=response.status) from error


def _quoted(name: str) -> str:
    return quote(name, safe="")
