"""The calls this service makes to Testkube's API: JSON in, JSON out, every failure a `TestkubeError`.

It knows TestWorkflows by name and nothing of Experiments. Nothing is retried or cached here.
Testkube's open-source API has no authentication.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Self, TypeAlias
from urllib.parse import quote

import aiohttp
from yarl import URL

from proxies.environment import proxy_for, through
from telemetry.identity import user_agent
from testkube.errors import NotFound, Unavailable, error_for
from testkube.executions import Artifact, Execution, ExecutionDetail

Query: TypeAlias = dict[str, str]

_CALL_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=3)
# A file is read as fast as whoever wants it takes it; it is Testkube that must not keep anybody waiting.
_FILE_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=10)
_PAGE_SIZE = 100  # Testkube's own, should it not heed this one either
_CHUNK_BYTES = 64 * 1024


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
        self._session = aiohttp.ClientSession(headers=headers, proxy=proxy)

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
        query = {"status": ",".join(sorted(statuses))} if statuses else {}
        # Testkube ignores a filter of which it does not know every word, and answers with everything.
        return [each async for each in self.newest(workflow, query) if not statuses or each.status in statuses]

    async def newest(self, workflow: str = "", query: Query | None = None) -> AsyncIterator[Execution]:
        """List the executions of one TestWorkflow or of all, newest first, page by page as they are asked for.

        `query` are filters of Testkube's, like `tagSelector`. It ignores those that it does not understand, so whoever
        asks has to look at what comes.
        """
        of = f"/test-workflows/{_quoted(workflow)}/executions" if workflow else "/test-workflow-executions"
        known: set[str] = set()
        for page in count():
            listed = await self._list(of, {**(query or {}), "pageSize": str(_PAGE_SIZE), "page": str(page)})
            # What begins meanwhile pushes others to the next page, where they are listed again.
            new = [each for each in listed if each.id not in known]
            known.update(each.id for each in new)
            for each in new:
                yield each
            if len(listed) < _PAGE_SIZE or not new:
                return

    async def execution(self, execution: str) -> ExecutionDetail:
        """Read one execution with its phases. Raises NotFound where there is none of this id."""
        path = f"/test-workflow-executions/{_quoted(execution)}"
        answer = await self._request("GET", path)
        try:
            return ExecutionDetail.of(answer)
        except ValueError as error:
            raise Unavailable(f"GET {self._url}{path}: the answer is no execution: {error}") from error

    async def start(self, workflow: str, tags: Mapping[str, str]) -> Execution:
        """Start an execution of a TestWorkflow, which carries these tags. It is never repeated here.

        Raises NotFound where there is no such TestWorkflow. After Unavailable, it may have been started all the same.
        """
        path = f"/test-workflows/{_quoted(workflow)}/executions"
        try:
            answer = await self._request("POST", path, json_body={"tags": dict(tags)})
            return Execution.of(answer)
        except ValueError as error:
            raise Unavailable(f"POST {self._url}{path}: the answer is no execution: {error}") from error
        except Unavailable as error:
            if error.status == 500 and "not found" in str(error):  # what it says of a workflow that it does not know
                raise NotFound(str(error), status=500) from error
            raise

    async def abort(self, workflow: str, execution: str) -> None:
        """Abort one execution, which is `canceled` a moment later.

        Raises NotFound where this TestWorkflow has none of this id, and Refused where it has ended.
        """
        await self._request("POST", f"/test-workflows/{_quoted(workflow)}/executions/{_quoted(execution)}/abort")

    async def artifacts(self, execution: str) -> list[Artifact]:
        """List what an execution has left so far."""
        path = f"/test-workflow-executions/{_quoted(execution)}/artifacts"
        answer = await self._request("GET", path) or []  # it says null for none
        try:
            return [Artifact(str(each["name"]), int(each.get("size") or 0)) for each in answer]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Unavailable(f"GET {self._url}{path}: the answer is no list of artifacts: {error}") from error

    @asynccontextmanager
    async def artifact(self, execution: str, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open an artifact that is listed, to be read in pieces. Of one that is not, Testkube says 500: Unavailable."""
        path = f"/test-workflow-executions/{_quoted(execution)}/artifacts/{_quoted(path)}"
        async with self._opened("GET", path, timeout=_FILE_TIMEOUT) as response:
            yield response.content.iter_chunked(_CHUNK_BYTES)

    async def abort_all(self, workflow: str) -> None:
        """Abort all unfinished executions of a TestWorkflow, which may be none, and need not exist.

        They are `canceled` a moment later. Returns as soon as Testkube has taken note.
        """
        await self._request("POST", f"/test-workflows/{_quoted(workflow)}/abort")

    async def read_artifact(self, execution: str, path: str, limit: int) -> bytes | None:
        """Read an artifact that is listed; None where it has more than `limit` bytes."""
        content = bytearray()
        async with self.artifact(execution, path) as pieces:
            async for piece in pieces:
                content += piece
                if len(content) > limit:
                    return None
        return bytes(content)

    async def _list(self, path: str, query: Query) -> list[Execution]:
        answer = await self._request("GET", path, query)
        try:
            return [Execution.of(each) for each in answer["results"] or []]
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable(f"GET {self._url}{path}: the answer is no list of executions: {error}") from error

    async def _request(
        self, method: str, path: str, query: Query | None = None, json_body: dict[str, Any] | None = None
    ) -> Any:
        """Return the answer's JSON, None where it has no content. `path` is quoted already."""
        async with self._opened(method, path, query, json_body, timeout=_CALL_TIMEOUT) as response:
            content = await response.read()
        if response.status == 204:
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            call = f"{method} {self._url}{path}"
            raise Unavailable(f"{call}: the answer is no JSON: {content[:80]!r}", status=response.status) from error

    @asynccontextmanager
    async def _opened(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        json_body: dict[str, Any] | None = None,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - that of aiohttp
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open an answer that is a success, to be read in the context. Raises TestkubeError there, too."""
        call = f"{method} {self._url}{path}"
        url = URL(f"{self._url}{path}", encoded=True).with_query(query)
        try:
            # A redirection leads to some login page: Testkube has none.
            async with self._session.request(
                method, url, json=json_body, allow_redirects=False, timeout=timeout
            ) as response:
                if response.status >= 300:
                    raise error_for(call, response.status, await response.read())
                yield response
        except TimeoutError as error:
            raise Unavailable(f"{call}: no answer in time{self._through}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{call}: {error or type(error).__name__}{self._through}") from error


def _quoted(name: str) -> str:
    return quote(name, safe="")
