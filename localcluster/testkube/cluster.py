"""The simulated Testkube at work in a cluster: it executes the TestWorkflows there, and sends Events about it.

An execution goes through the states and phases of a real one, at a pace that is a setting, and does for each phase what
`phases` makes of it. `triggers` begins executions by itself; everybody else does by the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

import structlog

from experiments.resources import TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from kube.caches import Caches
from kube.client import KubeClient
from kube.errors import KubeError
from kube.objects import CONFIG_MAP, DEPLOYMENT, Object, ObjectRef, Source
from kube.reflector import Change
from localcluster.rollouts import is_rolled_out
from localcluster.testkube.api import SimulatedTestkube, workflow_json
from localcluster.testkube.events import ENDED, QUEUED, STARTED, send_event
from localcluster.testkube.executions import (
    Json,
    Phase,
    end,
    finished,
    set_initialized,
    set_phase,
    set_phases,
    set_status,
    set_unable,
    timestamp,
)
from localcluster.testkube.phases import (
    PhaseError,
    Pod,
    config_maps_of,
    deployment_of,
    parameters_of,
    phases_of,
    work,
)
from localcluster.testkube.scores import SIMULATION
from localcluster.testkube.triggers import Triggers

PACE_SECONDS = 0.3
_MOUNT_PAUSE_SECONDS = 0.1

log = structlog.get_logger(__name__)


class ClusterTestkube(SimulatedTestkube):
    """Serve it with `async with`. `pace` is how many seconds each state and each phase takes."""

    def __init__(
        self, kube: KubeClient, namespace: str = "testkube", *, port: int = 0, pace: float = PACE_SECONDS
    ) -> None:
        super().__init__(namespace, port=port)
        self._kube = kube
        self._pace = pace
        in_namespace = (TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE, CONFIG_MAP)
        sources = [Source(DEPLOYMENT), *(Source(resource, namespace) for resource in in_namespace)]
        self._caches = Caches(kube, sources, max_pause=1.0)
        self._triggers = Triggers(self, kube, self._caches)
        self._answering: dict[ObjectRef, str] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._caches.subscribe(self._note_rollouts)
        self._caches.subscribe(self._triggers.on_change)
        self._keep(self._caches.run())
        await self._caches.wait_synced()
        self._keep(self._triggers.run())
        return await super().__aenter__()

    async def __aexit__(self, *told: object) -> None:
        await super().__aexit__(*told)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def find_workflow(self, name: str) -> Json | None:
        """Return a TestWorkflow as the API tells of it; None where there is none."""
        found = self._caches.get(ObjectRef(TEST_WORKFLOW, self.namespace, name))
        return workflow_json(name, self.namespace, found.get("spec") or {}, found["metadata"]) if found else None

    def begun(self, execution: Json) -> None:
        """Execute it."""
        missing = self._missing_template(execution["workflow"])
        if missing:
            set_unable(
                execution,
                "\x1b[1mCannot fetch required Test Workflow Templates\x1b[0m\n"
                f'testworkflowtemplates.testworkflows.testkube.io "{missing}" not found',
            )
        self._running[execution["id"]] = self._keep(self._give_up(execution) if missing else self._go_on(execution))

    def abort(self, execution: Json) -> None:
        """Kill it, and have it canceled a moment later. No Event tells of that."""
        self._running[execution["id"]].cancel()
        super().abort(execution)

    def replace(self, execution: Json) -> None:
        """Kill it for a newer one."""
        self._running[execution["id"]].cancel()
        self._keep(self._finish(execution, "aborted"))

    async def _go_on(self, execution: Json) -> None:
        await self._send(execution, QUEUED)
        for status in ("starting", "scheduling"):
            await self._pause()
            set_status(execution, status)
        templates = self._templates()
        phases = phases_of(execution["workflow"], templates)
        await self._pause()
        set_status(execution, "running")
        set_phases(execution, phases)
        await self._send(execution, STARTED)
        files = await self._mounted(execution["workflow"])
        await self._pause()
        set_initialized(execution)
        parameters = parameters_of(execution["workflow"], templates)
        pod = Pod(execution["id"], parameters, self._image_at, files)
        lines = [SIMULATION]
        status = await self._go_through(execution, phases, pod, lines)
        await self._finish(execution, status, lines)

    async def _go_through(self, execution: Json, phases: list[Phase], pod: Pod, lines: list[str]) -> str:
        """Do one phase after the other; what comes after one that failed is skipped."""
        status = "passed"
        for phase in phases:
            if status == "failed":
                set_phase(execution, phase.name, "skipped")
                continue
            set_phase(execution, phase.name, "running")
            await self._pause()
            lines.append(f"Phase {phase.name}, simulated")
            try:
                work(phase, pod)
                set_phase(execution, phase.name, "passed")
            except PhaseError as error:
                lines.append(str(error))
                status = "failed"
                set_phase(execution, phase.name, "failed", exit_code=1)
            uploads = {path.lstrip("/") for path in phase.uploads}
            self.artifacts[execution["id"]] |= {path: pod.files[path] for path in uploads & pod.files.keys()}
        return status

    async def _give_up(self, execution: Json) -> None:
        await self._send(execution, QUEUED)
        await self._pause()
        await self._finish(execution, "aborted")

    async def _finish(self, execution: Json, status: str, lines: list[str] | None = None) -> None:
        if finished(execution):
            return
        if lines:
            self.logs[execution["id"]] = "".join(f"{timestamp()} {line}\n" for line in lines)
        if status == "aborted":
            end(execution, status)
        else:
            set_status(execution, status)
        await self._send(execution, ENDED[status])

    async def _mounted(self, workflow: Json) -> dict[str, bytes]:
        """Return the files from ConfigMaps. While one is missing the pod cannot start, and waits for it for ever."""
        files: dict[str, bytes] = {}
        for path, name, key in config_maps_of(workflow):
            while not (found := self._caches.get(ObjectRef(CONFIG_MAP, self.namespace, name))):  # noqa: ASYNC110
                await asyncio.sleep(_MOUNT_PAUSE_SECONDS)
            files[path] = str((found.get("data") or {}).get(key, "")).encode()
        return files

    def _image_at(self, url: str) -> str | None:
        """Return the image that answers at a URL, which is that of the last rollout that has ended."""
        known = deployment_of(url)
        if known is None:
            return url
        ref = ObjectRef(DEPLOYMENT, *known)
        deployment = self._caches.get(ref)
        answers = deployment and deployment["spec"].get("replicas", 1)
        return self._answering.get(ref) if answers else None

    def _note_rollouts(self, change: Change) -> None:
        if not change.ref or change.ref.resource != DEPLOYMENT:
            return
        if change.new is None:
            self._answering.pop(change.ref, None)
        elif change.ref not in self._answering or is_rolled_out(change.new):
            self._answering[change.ref] = change.new["spec"]["template"]["spec"]["containers"][0]["image"]

    def _templates(self) -> dict[str, Object]:
        return {each["metadata"]["name"]: each for each in self._caches.objects(TEST_WORKFLOW_TEMPLATE)}

    def _missing_template(self, workflow: Json) -> str:
        """Return the name of a template that it uses and that is not there; empty where all are."""
        templates = self._templates()
        return next((use["name"] for use in workflow["spec"].get("use") or () if use["name"] not in templates), "")

    async def _send(self, execution: Json, reason: str) -> None:
        try:
            await send_event(self._kube, execution, reason)
        except KubeError as error:  # as with the real one, nothing hangs on it
            log.warning("event not sent", reason=reason, error=str(error))

    async def _pause(self) -> None:
        await asyncio.sleep(self._pace)

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it until this ends; a failure is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            if error := task.exception():
                log.error("simulation failed", exc_info=error)
