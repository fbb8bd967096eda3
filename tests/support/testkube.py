"""The simulated Testkube in the hands of a test.

The test says what is in the cluster, what becomes of executions, and what is wrong with Testkube itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Literal, Self, TypeAlias

from aiohttp import web

from localcluster.testkube.api import Handler, SimulatedTestkube, workflow_json
from localcluster.testkube.executions import Json, Phase, set_initialized, set_phase, set_phases, set_status

Trouble: TypeAlias = Literal["", "away", "slow", "html"] | int

EXPERIMENTS = "data/experiments"
EVALUATED = f"{EXPERIMENTS}/evaluated_experiment.json"
PHASES = (
    Phase("run", (f"{EXPERIMENTS}/executed_experiment.json",)),
    Phase("evaluate", (EVALUATED,)),
    Phase("publish"),
    Phase("visualize", ("data/results/evaluation_report.html",), shell=False),
)
_LOGIN_PAGE = "<!doctype html><title>Sign in</title><p>Who are you?"


class TestkubeStandIn(SimulatedTestkube):
    """Serve it with `async with`. Tests set `workflows` and `trouble`, and read `requests`.

    `workflows` are the names of TestWorkflows in the cluster, which executions outlive, and `metadata` their labels and
    annotations, `{"weather": {"labels": {…}}}`. `trouble` is what is wrong:
    `away` breaks connections, `slow` never answers, `html` is a proxy's login page, and a number is a status.
    With `stubborn`, what is aborted goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.workflows: set[str] = set()
        self.metadata: dict[str, Json] = {}
        self.requests: list[str] = []
        self.trouble: Trouble = ""
        self.stubborn = False
        self._end = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._end.clear()
        return await super().__aenter__()

    async def __aexit__(self, *told: object) -> None:
        self._end.set()
        await super().__aexit__(*told)

    def forget(self) -> None:
        """Be as at first: another test begins."""
        for each in (self.executions, self.artifacts, self.logs, self.workflows, self.metadata, self.requests):
            each.clear()
        self.trouble, self.stubborn = "", False

    def find_workflow(self, name: str) -> Json | None:
        return workflow_json(name, self.namespace, {}, self.metadata.get(name)) if name in self.workflows else None

    def abort(self, execution: Json) -> None:
        if not self.stubborn:
            super().abort(execution)

    def add(
        self,
        workflow: str,
        status: str = "assigned",
        labels: Json | None = None,
        annotations: Json | None = None,
        **more: Any,
    ) -> Json:
        """Add an execution in any state, also of a TestWorkflow that does not exist (any more)."""
        metadata = {**self.metadata.get(workflow, {}), **({"labels": labels} if labels else {})}
        metadata |= {"annotations": annotations} if annotations else {}
        about = workflow_json(workflow, self.namespace, {}, metadata)
        execution = self.begin(about, **more)
        self.set_status(execution, status)
        return execution

    def set_status(self, execution: Json, status: str) -> None:
        """Move an execution on to another state, with the times that go with it."""
        set_status(execution, status)

    def set_phases(self, execution: Json, statuses: dict[str, str], phases: Sequence[Phase] = PHASES) -> None:
        """Say how far its phases are: `{"run": "passed", "evaluate": "running"}`; those not named are queued."""
        set_phases(execution, phases)
        set_initialized(execution)
        for name, status in statuses.items():
            set_phase(execution, name, status)

    def upload(self, execution: Json, content: Any, path: str = EVALUATED) -> None:
        """Give it an artifact: bytes as they are, and anything else as JSON."""
        raw = content if isinstance(content, bytes) else json.dumps(content, indent=2).encode()
        self.artifacts[execution["id"]][path] = raw

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.rel_url}")
        if self.trouble == "slow":
            await self._end.wait()
        if self.trouble in {"away", "slow"}:
            assert request.transport
            request.transport.abort()
        elif self.trouble == "html":
            return web.Response(text=_LOGIN_PAGE, content_type="text/html")
        elif isinstance(self.trouble, int):
            detail = "failed to do it: client problem: database is away, context: null"
            problem = {"type": "about:blank", "title": "", "status": self.trouble, "detail": detail}
            return web.json_response(problem, status=self.trouble)
        return await super().answer(request, handler)
