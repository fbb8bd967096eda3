"""A stand-in for Testkube's API, which answers as a real one was recorded to (tests/testkube_api/recordings).

Executions are in memory, and go from one state to the next only when a test says so, or when they are aborted. Of the
API it has what this service uses; the rest is the 404 of an unknown route.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from copy import deepcopy
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal, Self, TypeAlias

from aiohttp import web

Json: TypeAlias = dict[str, Any]
Trouble: TypeAlias = Literal["", "away", "slow", "html"] | int
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NOT_YET = "0001-01-01T00:00:00Z"
_TIMES = dict.fromkeys(("queuedAt", "startedAt", "finishedAt"), _NOT_YET)
_NOT_STARTED = ("queued", "assigned", "starting", "scheduling")
_FINISHED = ("passed", "failed", "aborted", "canceled")
_STATES = (*_NOT_STARTED, "running", "pausing", "paused", "resuming", "stopping", *_FINISHED)
_CANCELED_AFTER_SECONDS = 0.05
_LOGIN_PAGE = "<!doctype html><title>Sign in</title><p>Who are you?"


class TestkubeStandIn:
    """Serve it with `async with`. Tests set `workflows` and `trouble`, and read `requests`.

    `workflows` are the names of TestWorkflows in the cluster, which executions outlive. `trouble` is what is wrong:
    `away` breaks connections, `slow` never answers, `html` is a proxy's login page, and a number is a status.
    With `stubborn`, what is aborted goes on.
    """

    def __init__(self) -> None:
        self.workflows: set[str] = set()
        self.executions: list[Json] = []
        self.requests: list[str] = []
        self.trouble: Trouble = ""
        self.stubborn = False
        self.context = "oss"
        self.url = ""
        self._end = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._answer])
        app.add_routes(
            [
                web.get("/v1/info", self._info),
                web.get("/v1/test-workflows/{workflow}", self._workflow),
                web.get("/v1/test-workflows/{workflow}/executions", self._list),
                web.post("/v1/test-workflows/{workflow}/executions", self._execute),
                web.post("/v1/test-workflows/{workflow}/abort", self._abort_all),
                web.get("/v1/test-workflows/{workflow}/executions/{id}", self._get),
                web.post("/v1/test-workflows/{workflow}/executions/{id}/abort", self._abort),
                web.get("/v1/test-workflow-executions", self._list),
                web.get("/v1/test-workflow-executions/{id}", self._get),
                web.post("/v1/test-workflow-executions/{id}/abort", self._abort),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = site.name
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end.set()
        await self._runner.cleanup()

    def add(self, workflow: str, status: str = "assigned", **more: Any) -> Json:
        """Add an execution in any state, also of a TestWorkflow that does not exist (any more)."""
        number = 1 + max((e["number"] for e in self.executions if e["workflow"]["name"] == workflow), default=0)
        now = _now()
        identity = f"{len(self.executions) + 1:024x}"
        about = {"name": workflow, "namespace": "testkube", "labels": {}, "annotations": {}}
        execution = {
            "id": identity,
            "groupId": identity,
            "runnerId": "default-agent",
            "runnerTarget": {},
            "runnerOriginalTarget": {},
            "name": f"{workflow}-{number}",
            "number": number,
            "scheduledAt": now,
            "assignedAt": now,
            "result": {
                "predictedStatus": "passed",
                **_TIMES,
                **dict.fromkeys(("durationMs", "totalDurationMs", "pausedMs"), 0),
                "initialization": {"status": "queued", **_TIMES},
            },
            "workflow": {**about, "created": now, "updated": now, "spec": {}},
            "resolvedWorkflow": {**about, "created": now, "updated": now, "spec": {}},
            **more,
        }
        self.set_status(execution, status)
        self.executions.append(execution)
        return execution

    def set_status(self, execution: Json, status: str) -> None:
        """Move an execution on to another state, with the times that go with it."""
        result, now = execution["result"], _now()
        execution["statusAt"] = now
        result["status"] = status
        if status not in (*_NOT_STARTED, "aborted", "canceled") and result["startedAt"] == _NOT_YET:
            result |= {"queuedAt": now, "startedAt": now}
        if status in _FINISHED:
            result["finishedAt"] = now
            if result["startedAt"] != _NOT_YET:
                result |= {"duration": "0s", "totalDuration": "0s"}

    def unfinished(self, workflow: str) -> list[Json]:
        return [
            each
            for each in self.executions
            if each["workflow"]["name"] == workflow and each["result"]["status"] not in _FINISHED
        ]

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.rel_url}")
        if self.trouble == "slow":
            await self._end.wait()
        if self.trouble in {"away", "slow"}:
            assert request.transport
            request.transport.abort()
        elif self.trouble == "html":
            return web.Response(text=_LOGIN_PAGE, content_type="text/html")
        elif isinstance(self.trouble, int):
            return _problem(self.trouble, "failed to do it: client problem: database is away")
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return web.Response(status=404, text=f"Cannot {request.method} {request.path}")

    async def _info(self, _: web.Request) -> web.Response:
        secret = {"prefix": "testkube-", "autoCreate": True} | dict.fromkeys(
            ("list", "listAll", "create", "modify", "delete"), False
        )
        about = {"version": "dev", "commit": "none", "namespace": "testkube", "clusterId": "cluster0"}
        return _json({**about, "context": self.context, "secret": secret})

    async def _workflow(self, request: web.Request) -> web.Response:
        name = request.match_info["workflow"]
        if name not in self.workflows:
            missing = f'client not found: testworkflows.testworkflows.testkube.io "{name}" not found'
            return _problem(404, f"failed to get test workflow '{name}': {missing}")
        about = {"name": name, "namespace": "testkube", "labels": {}, "annotations": {}}
        return _json({**about, "created": _NOT_YET, "updated": _NOT_YET, "spec": {}})

    async def _list(self, request: web.Request) -> web.Response:
        workflow = request.match_info.get("workflow")
        of_workflow = [e for e in reversed(self.executions) if workflow in {None, e["workflow"]["name"]}]
        wanted = [state for state in request.query.get("status", "").split(",") if state]
        filtered = of_workflow
        if wanted and set(wanted) <= set(_STATES):  # else the whole filter is ignored
            filtered = [each for each in of_workflow if each["result"]["status"] in wanted]
        size = _number(request.query.get("pageSize")) or 100
        first = size * _number(request.query.get("page"))
        results = [_in_list(each) for each in filtered[first : first + size]]
        return _json({"totals": _totals(of_workflow), "filtered": _totals(filtered), "results": results})

    async def _get(self, request: web.Request) -> web.Response:
        execution = self._find(request)
        if execution is None:
            return _problem(404, "get execution: client not found: rpc error: code = NotFound desc =  not found")
        return _json(execution)

    async def _execute(self, request: web.Request) -> web.Response:
        name = request.match_info["workflow"]
        failed = "failed to execute test workflow"
        text = await request.text()
        try:
            body = json.loads(text)
        except ValueError:
            words = "invalid character" if text else "unexpected end of JSON input"
            return _problem(400, f"{failed}: invalid body: {words}")
        if name not in self.workflows:
            missing = f'testworkflows.testworkflows.testkube.io "{name}" not found'
            return _problem(500, f"{failed}: invalid workflow id: {missing}")
        tags = {"tags": body["tags"]} if body.get("tags") else {}
        return _json(self.add(name, "assigned", **tags))

    async def _abort_all(self, request: web.Request) -> web.Response:
        for execution in self.unfinished(request.match_info["workflow"]):
            self._cancel(execution)
        return web.Response(status=204)

    async def _abort(self, request: web.Request) -> web.Response:
        failed = f"failed to abort test workflow execution '{request.match_info['id']}'"
        execution = self._find(request)
        if execution is None:
            return _problem(404, f"{failed}: client not found: rpc error: code = NotFound desc =  not found")
        if execution["result"]["status"] in _FINISHED:
            return _problem(400, f"{failed}: checking execution: execution already finished")
        self._cancel(execution)
        return web.Response(status=204)

    def _cancel(self, execution: Json) -> None:
        if not self.stubborn:
            asyncio.get_running_loop().call_later(_CANCELED_AFTER_SECONDS, self._canceled, execution)

    def _canceled(self, execution: Json) -> None:
        if execution["result"]["status"] not in _FINISHED:
            self.set_status(execution, "canceled")

    def _find(self, request: web.Request) -> Json | None:
        workflow = request.match_info.get("workflow")
        for each in self.executions:
            if request.match_info["id"] in {each["id"], each["name"]} and workflow in {None, each["workflow"]["name"]}:
                return each
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _number(value: str | None) -> int:
    """What cannot be read counts as not given."""
    return int(value) if value and value.isdecimal() else 0


def _in_list(execution: Json) -> Json:
    """A list has neither steps nor specs."""
    short = deepcopy(execution)
    for key in ("runnerTarget", "runnerOriginalTarget", "assignedAt", "resolvedWorkflow"):
        short.pop(key, None)
    short["result"].pop("initialization", None)
    for key in ("created", "updated", "spec"):
        short["workflow"].pop(key, None)
    return {"runningContext": {"interface": None, "actor": None}, **short, "runtime": {}}


def _totals(executions: list[Json]) -> Json:
    """Wrong as Testkube's own: of those that went wrong, only the last kind that there is counts."""
    by_status = Counter(each["result"]["status"] for each in executions)
    wrong = [by_status[state] for state in ("failed", "aborted", "canceled") if by_status[state]]
    counted = {state: by_status[state] for state in ("passed", "queued", "running")}
    return {"results": len(executions), "failed": wrong[-1] if wrong else 0, **counted}


def _json(answer: Json, status: int = 200) -> web.Response:
    """Testkube names no charset."""
    return web.Response(status=status, body=json.dumps(answer).encode(), content_type="application/json")


def _problem(status: int, detail: str) -> web.Response:
    title = HTTPStatus(status).phrase
    return _json(
        {"type": "about:blank", "title": title, "status": status, "detail": f"{detail}, context: null"}, status
    )
