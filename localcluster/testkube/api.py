"""Testkube's API, which answers as a real one was recorded to (tests/testkube_api/recordings).

Executions and artifacts are in memory. Of the API it has what this service uses; the rest is the 404 of an unknown
route. Here nothing goes on by itself, but for what is aborted: `cluster` executes, and tests say for themselves.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from copy import deepcopy
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self, TypeAlias
from urllib.parse import quote, unquote

from aiohttp import web

from localcluster.testkube.executions import NOT_YET, STATES, Json, end, finished, new_execution

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_VERSION = "simulation"
_CANCELED_AFTER_SECONDS = 0.05
_NO_FILE = "error getting file from presigned url: expected 200 OK response code, got 404"
_NOT_FOUND = "client not found: rpc error: code = NotFound desc =  not found"


class SimulatedTestkube:
    """Serve it with `async with`. `executions` are the oldest first; `artifacts` are bytes by execution and path.

    A subclass says which TestWorkflows there are, and has to do with what is begun and what is aborted.
    """

    def __init__(self, namespace: str = "testkube", *, port: int = 0) -> None:
        self.namespace = namespace
        self.executions: list[Json] = []
        self.artifacts: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.logs: dict[str, str] = {}
        self.context = "oss"
        self.url = ""
        self._port = port
        self._runner: web.AppRunner | None = None

    def find_workflow(self, name: str) -> Json | None:  # noqa: ARG002
        """Return a TestWorkflow as the API tells of it; None where there is none."""
        return None

    def begun(self, execution: Json) -> None:
        """Hear that an execution has been queued."""

    def abort(self, execution: Json) -> None:
        """Have it canceled, a moment later and not at once."""
        asyncio.get_running_loop().call_later(_CANCELED_AFTER_SECONDS, self._cancel, execution)

    def begin(self, workflow: Json, **more: Any) -> Json:
        """Queue an execution of a TestWorkflow, as the API tells of it."""
        of_this = (each["number"] for each in self.executions if each["workflow"]["name"] == workflow["name"])
        execution = new_execution(workflow, 1 + max(of_this, default=0), **more)
        self.executions.append(execution)
        self.begun(execution)
        return execution

    def unfinished(self, workflow: str) -> list[Json]:
        """List what is queued or runs of a TestWorkflow."""
        return [each for each in self.executions if each["workflow"]["name"] == workflow and not finished(each)]

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer one request; only an unknown route gets no JSON."""
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return web.Response(status=404, text=f"Cannot {request.method} {request.path}")

    async def __aenter__(self) -> Self:
        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self.answer(request, handler)

        app = web.Application(middlewares=[answer])
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, shutdown_timeout=1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.url = site.name
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    def _routes(self) -> list[web.RouteDef]:
        workflow, execution = "/v1/test-workflows/{workflow}", "/v1/test-workflow-executions/{id}"
        of_workflow = f"{workflow}/executions/{{id}}"
        return [
            web.get("/v1/info", self._info),
            web.get("/v1/tags", self._tags),
            web.get(workflow, self._workflow),
            web.get(f"{workflow}/tags", self._tags),
            web.get(f"{workflow}/executions", self._list),
            web.post(f"{workflow}/executions", self._execute),
            web.post(f"{workflow}/abort", self._abort_all),
            web.get("/v1/test-workflow-executions", self._list),
            *(web.get(each, self._get) for each in (of_workflow, execution)),
            *(web.post(f"{each}/abort", self._abort) for each in (of_workflow, execution)),
            web.patch(f"{execution}/tags", self._set_tags),
            web.get(f"{execution}/logs", self._logs),
            web.get(f"{execution}/artifacts", self._artifacts),
            web.get(f"{execution}/artifacts/{{path}}", self._artifact),
        ]

    async def _info(self, _: web.Request) -> web.Response:
        secret = {"prefix": "testkube-", "autoCreate": True} | dict.fromkeys(
            ("list", "listAll", "create", "modify", "delete"), False
        )
        about = {"version": _VERSION, "commit": "none", "namespace": self.namespace, "clusterId": "cluster0"}
        return _json({**about, "context": self.context, "secret": secret})

    async def _workflow(self, request: web.Request) -> web.Response:
        name = request.match_info["workflow"]
        workflow = self.find_workflow(name)
        if workflow is None:
            missing = f'client not found: testworkflows.testworkflows.testkube.io "{name}" not found'
            return _problem(404, f"failed to get test workflow '{name}': {missing}")
        return _json(workflow)

    async def _list(self, request: web.Request) -> web.Response:
        of_workflow = self._newest_first(request)
        filtered = [each for each in of_workflow if _is_asked_for(each, request.query)]
        size = _number(request.query.get("pageSize")) or 100
        first = size * _number(request.query.get("page"))
        results = [_in_list(each) for each in filtered[first : first + size]]
        return _json({"totals": _totals(of_workflow), "filtered": _totals(filtered), "results": results})

    async def _tags(self, request: web.Request) -> web.Response:
        found: dict[str, set[str]] = defaultdict(set)
        for execution in self._newest_first(request):
            for key, value in execution.get("tags", {}).items():
                found[key].add(value)
        return _json({key: sorted(values) for key, values in sorted(found.items())})

    async def _get(self, request: web.Request) -> web.Response:
        execution = self._find(request)
        if execution is None:
            return _problem(404, f"get execution: {_NOT_FOUND}")
        stored = {key: {**execution[key], "status": {}} for key in ("workflow", "resolvedWorkflow")}
        return _json({"runningContext": _BY_NOBODY, **execution, **stored, "runtime": {}})

    async def _execute(self, request: web.Request) -> web.Response:
        name = request.match_info["workflow"]
        failed = "failed to execute test workflow"
        text = await request.text()
        try:
            body = json.loads(text)
        except ValueError:
            words = "invalid character" if text else "unexpected end of JSON input"
            return _problem(400, f"{failed}: invalid body: {words}")
        workflow = self.find_workflow(name)
        if workflow is None:
            missing = f'testworkflows.testworkflows.testkube.io "{name}" not found'
            return _problem(500, f"{failed}: invalid workflow id: {missing}")
        own = (workflow["spec"].get("execution") or {}).get("tags") or {}
        tags = own | (body.get("tags") or {})
        more = {"tags": tags} if tags else {}
        return _json(self.begin(workflow, **more, **_running_context(body)))

    async def _abort_all(self, request: web.Request) -> web.Response:
        for execution in self.unfinished(request.match_info["workflow"]):
            self.abort(execution)
        return web.Response(status=204)

    async def _abort(self, request: web.Request) -> web.Response:
        failed = f"failed to abort test workflow execution '{request.match_info['id']}'"
        execution = self._find(request)
        if execution is None:
            return _problem(404, f"{failed}: {_NOT_FOUND}")
        if finished(execution):
            return _problem(400, f"{failed}: checking execution: execution already finished")
        self.abort(execution)
        return web.Response(status=204)

    async def _set_tags(self, request: web.Request) -> web.Response:
        execution = self._find(request)
        if execution is None:
            failed = f"failed to update tags for test workflow execution '{request.match_info['id']}'"
            return _problem(404, f"{failed}: {_NOT_FOUND}")
        execution["tags"] = await request.json()
        return web.Response(status=204)

    async def _logs(self, request: web.Request) -> web.Response:
        execution = self._find(request)
        if execution is None or execution["id"] not in self.logs:
            return _problem(500, f"can't get log: {request.match_info['id']}: {_NO_FILE}")
        return web.Response(body=self.logs[execution["id"]].encode(), content_type="text/plain")

    async def _artifacts(self, request: web.Request) -> web.Response:
        execution = self._find(request)
        if execution is None:
            failed = f"failed to list artifacts for test workflow execution {request.match_info['id']}"
            return _problem(404, f"{failed}: {_NOT_FOUND}")
        found = sorted(self.artifacts[execution["id"]].items())
        return _json([{"name": path, "size": len(content)} for path, content in found] or None)

    async def _artifact(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        execution = self._find(request)
        # What is escaped twice is understood, too.
        content = self.artifacts[execution["id"]].get(unquote(path)) if execution else None
        if content is None:
            failed = f"failed to get artifact {quote(path, safe='')} for workflow execution {request.match_info['id']}"
            return _problem(500, f"{failed}: could not download file: {_NO_FILE}")
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(content)
        return response

    def _cancel(self, execution: Json) -> None:
        if not finished(execution):
            end(execution, "canceled")

    def _newest_first(self, request: web.Request) -> list[Json]:
        workflow = request.match_info.get("workflow")
        return [each for each in reversed(self.executions) if workflow in {None, each["workflow"]["name"]}]

    def _find(self, request: web.Request) -> Json | None:
        wanted = request.match_info["id"]
        return next((each for each in self._newest_first(request) if wanted in {each["id"], each["name"]}), None)


_BY_NOBODY = {"interface": None, "actor": None}


def workflow_json(name: str, namespace: str, spec: Json, metadata: Json | None = None) -> Json:
    """Return a TestWorkflow as the API tells of it, from what Kubernetes has."""
    told = metadata or {}
    created = told.get("creationTimestamp", NOT_YET)
    about = {key: dict(told[key]) for key in ("labels", "annotations") if told.get(key)}
    return {"name": name, "namespace": namespace, **about, "created": created, "updated": created, "spec": spec}


def _running_context(body: Json) -> Json:
    """Take what the caller says of itself, which Testkube drops where a name or an address is missing."""
    context = body.get("runningContext") or {}
    actor = context.get("actor") or {}
    return {"runningContext": context} if actor.get("name") and actor.get("email") else {}


def _is_asked_for(execution: Json, query: Any) -> bool:
    """Whether all filters let it pass. Those with a word that Testkube does not understand let everything pass."""
    actor = (execution.get("runningContext") or _BY_NOBODY)["actor"] or {}
    wanted = [state for state in query.get("status", "").split(",") if state]
    scheduled = datetime.fromisoformat(execution["scheduledAt"])
    start, until = _date(query.get("startDate")), _date(query.get("endDate"))
    return all(
        (
            not wanted or not set(wanted) <= set(STATES) or execution["result"]["status"] in wanted,
            _selected(execution["workflow"].get("labels") or {}, query.get("selector")),
            _selected(execution.get("tags") or {}, query.get("tagSelector")),
            not start or scheduled >= start,
            not until or scheduled <= until,
            query.get("actorType") in {None, "", actor.get("type")},
            query.get("actorName") in {None, "", actor.get("name")},
            query.get("textSearch", "") in execution["name"],
        )
    )


def _selected(values: Json, selector: str | None) -> bool:
    """Tell whether `key=value,key` selects these."""
    for each in filter(None, (selector or "").split(",")):
        key, equals, value = each.partition("=")
        if key not in values or (equals and values[key] != value):
            return False
    return True


def _date(value: str | None) -> datetime | None:
    """Read a day or a moment; what is neither counts as not given."""
    try:
        date = datetime.fromisoformat(value or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _number(value: str | None) -> int:
    """Read a number; what is none counts as not given."""
    return int(value) if value and value.isdecimal() else 0


def _in_list(execution: Json) -> Json:
    """Leave out what a list has not: steps and specs."""
    short = deepcopy(execution)
    for key in ("runnerTarget", "runnerOriginalTarget", "assignedAt", "resolvedWorkflow", "signature", "output"):
        short.pop(key, None)
    for key in ("initialization", "steps"):
        short["result"].pop(key, None)
    for key in ("created", "updated", "spec"):
        short["workflow"].pop(key, None)
    return {"runningContext": _BY_NOBODY, **short, "runtime": {}}


def _totals(executions: list[Json]) -> Json:
    """Wrong as Testkube's own: of those that went wrong, only the last kind that there is counts."""
    by_status = Counter(each["result"]["status"] for each in executions)
    wrong = [by_status[state] for state in ("failed", "aborted", "canceled") if by_status[state]]
    counted = {state: by_status[state] for state in ("passed", "queued", "running")}
    return {"results": len(executions), "failed": wrong[-1] if wrong else 0, **counted}


def _json(answer: Any, status: int = 200) -> web.Response:
    """Testkube names no charset."""
    return web.Response(status=status, body=json.dumps(answer).encode(), content_type="application/json")


def _problem(status: int, detail: str) -> web.Response:
    title = HTTPStatus(status).phrase
    return _json(
        {"type": "about:blank", "title": title, "status": status, "detail": f"{detail}, context: null"}, status
    )
