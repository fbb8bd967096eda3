"""What begins executions by itself: TestTriggers on Deployments, and the cron of TestWorkflows.

As in a real Testkube, one event of a Deployment is worked on at a time, its triggers in an order that is chance; a
trigger that waits for conditions holds up all others, and one that times out, whose workflow is missing, or that
forbids a second execution while one runs drops the rest of that event's triggers.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import structlog
from croniter import CroniterError, croniter

from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.caches import Caches
from kube.client import KubeClient
from kube.errors import KubeError
from kube.objects import DEPLOYMENT, Object, ObjectRef
from kube.reflector import Change
from localcluster.testkube.executions import Json

if TYPE_CHECKING:
    from localcluster.testkube.cluster import ClusterTestkube

_DEFAULT_TIMEOUT_SECONDS = 60
_DEFAULT_DELAY_SECONDS = 1

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeploymentEvent:
    """What happened to a Deployment: `modified` comes with what else it is, such as `deployment-image-update`."""

    deployment: ObjectRef
    kinds: frozenset[str]
    labels: Json


class Triggers:
    """Run it as one task, and let it hear of all changes."""

    def __init__(self, testkube: ClusterTestkube, kube: KubeClient, caches: Caches) -> None:
        self._testkube = testkube
        self._kube = kube
        self._caches = caches
        self._since = datetime.now(UTC)
        self._events: asyncio.Queue[DeploymentEvent] = asyncio.Queue()

    def on_change(self, change: Change) -> None:
        """Note an event of a Deployment that triggers may be waiting for."""
        if change.ref and change.ref.resource == DEPLOYMENT:
            kinds = event_kinds(change.old, change.new, self._since)
            if kinds:
                meta = (change.new or change.old or {})["metadata"]
                self._events.put_nowait(DeploymentEvent(change.ref, kinds, meta.get("labels") or {}))

    async def run(self) -> None:
        """Begin executions until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._fire_triggers())
            tasks.create_task(self._follow_the_clock())

    async def _fire_triggers(self) -> None:
        while True:
            event = await self._events.get()
            triggers = [each for each in await self._triggers() if _matches(each, event)]
            random.shuffle(triggers)
            for trigger in triggers:
                if problem := await self._fire(trigger, event):
                    log.warning("trigger dropped", trigger=trigger["metadata"]["name"], problem=problem)
                    break

    async def _triggers(self) -> list[Object]:
        """List all there are now; a cache might not have heard of one that was made just before its event."""
        try:
            return await self._kube.list(TEST_TRIGGER, namespace=self._testkube.namespace)
        except KubeError as error:
            log.warning("event dropped", error=str(error))
            return []

    async def _fire(self, trigger: Object, event: DeploymentEvent) -> str:
        """Begin what a trigger says once its conditions hold; returns why the event's other triggers are dropped."""
        spec = trigger["spec"]
        if not await self._holds(spec.get("conditionSpec") or {}, event.deployment):
            return "its conditions did not hold in time"
        name = spec["testSelector"].get("name", "")
        workflow = self._testkube.find_workflow(name)
        if workflow is None:
            return f"there is no TestWorkflow {name}"
        running = self._testkube.unfinished(name)
        policy = spec.get("concurrencyPolicy") or "allow"
        if running and policy == "forbid":
            return "an execution runs, and it forbids a second one"
        if policy == "replace":
            for execution in running:
                self._testkube.replace(execution)
        actor = {"name": trigger["metadata"]["name"], "type": "testtrigger"}
        tags = (spec.get("actionParameters") or {}).get("tags")
        more = {"tags": dict(tags)} if tags else {}
        self._testkube.begin(workflow, runningContext={"interface": {"type": "internal"}, "actor": actor}, **more)
        return ""

    async def _holds(self, wanted: Json, deployment: ObjectRef) -> bool:
        """Wait until all conditions hold; False where they do not in time."""
        deadline = time.monotonic() + (wanted.get("timeout") or _DEFAULT_TIMEOUT_SECONDS)
        while not conditions_hold(wanted.get("conditions") or (), self._caches.get(deployment), datetime.now(UTC)):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(wanted.get("delay") or _DEFAULT_DELAY_SECONDS)
        return True

    async def _follow_the_clock(self) -> None:
        """Begin each second what a schedule says."""
        before = datetime.now(UTC)
        while True:
            await asyncio.sleep(1)
            now = datetime.now(UTC)
            for workflow in self._caches.objects(TEST_WORKFLOW):
                if is_due(workflow, before, now):
                    name = workflow["metadata"]["name"]
                    if known := self._testkube.find_workflow(name):
                        self._testkube.begin(known)
            before = now


def event_kinds(old: Object | None, new: Object | None, since: datetime) -> frozenset[str]:
    """Say what a change of a Deployment is to triggers; nothing where only its status or metadata changed."""
    if new is None:
        return frozenset({"deleted"})
    if old is None:
        created = datetime.fromisoformat(new["metadata"]["creationTimestamp"])
        return frozenset({"created"} if created >= since.replace(microsecond=0) else ())
    if old["spec"] == new["spec"]:
        return frozenset()
    return frozenset({"modified", "deployment-generation-modified", *_causes(old["spec"], new["spec"])})


def conditions_hold(wanted: Any, deployment: Object | None, now: datetime) -> bool:
    """Tell whether a Deployment has all conditions that a trigger waits for, none older than the trigger's `ttl`."""
    status = (deployment or {}).get("status") or {}
    return all(any(_is(each, found, now) for found in status.get("conditions") or ()) for each in wanted)


def is_due(workflow: Object, after: datetime, until: datetime) -> bool:
    """Tell whether a schedule of a TestWorkflow names a moment after one and until another."""
    for each in workflow["spec"].get("events") or ():
        schedule = each.get("cronjob") or {}
        try:
            zone = ZoneInfo(schedule.get("timezone") or "UTC")
            following = croniter(schedule["cron"], after.astimezone(zone)).get_next(datetime)
        except (CroniterError, KeyError, ValueError):
            continue
        if following <= until:
            return True
    return False


def _causes(old: Json, new: Json) -> Iterator[str]:
    before, after = (each["template"]["spec"]["containers"] for each in (old, new))
    if old.get("replicas") != new.get("replicas"):
        yield "deployment-scale-update"
    if len(before) != len(after):
        yield "deployment-containers-modified"
    for key, kind in (("image", "image-update"), ("env", "env-update"), ("resources", "resource-modified")):
        if [each.get(key) for each in before] != [each.get(key) for each in after]:
            yield f"deployment-{kind}"


def _matches(trigger: Object, event: DeploymentEvent) -> bool:
    spec, at_home = trigger["spec"], trigger["metadata"]["namespace"]
    return (
        not spec.get("disabled")
        and spec.get("resource") == "deployment"
        and spec["execution"] == "testworkflow"
        and spec["event"] in event.kinds
        and _selects(spec.get("resourceSelector") or {}, event, at_home)
    )


def _selects(selector: Json, event: DeploymentEvent, at_home: str) -> bool:
    """Tell whether it means this Deployment; without a namespace it means those where the trigger is."""
    name, namespace = event.deployment.name, event.deployment.namespace
    by_regex = selector.get("namespaceRegex")
    labels = (selector.get("labelSelector") or {}).get("matchLabels") or {}
    return (
        selector.get("name") in {None, "", name}
        and bool(re.search(selector.get("nameRegex") or "", name))
        and (bool(re.search(by_regex, namespace)) if by_regex else (selector.get("namespace") or at_home) == namespace)
        and labels.items() <= event.labels.items()
    )


def _is(wanted: Json, found: Json, now: datetime) -> bool:
    since = datetime.fromisoformat(found.get("lastUpdateTime") or found["lastTransitionTime"])
    return (
        found["type"] == wanted["type"]
        and found["status"] == wanted["status"]
        and wanted.get("reason") in {None, "", found.get("reason")}
        and (not wanted.get("ttl") or (now - since).total_seconds() <= wanted["ttl"])
    )
