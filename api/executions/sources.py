"""The two that know of executions, asked together: where one is away, what the other knows is shown, and that it is so.

Temporal has what was followed, for as long as it keeps it; Testkube has what has just begun or was never followed, and
the files. Where Testkube is not configured, Temporal alone is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from api.dependencies import AppState
from api.executions.followers import Follower, FollowerList, Followers
from api.executions.rows import Subject, key_of, row, start_of
from api.executions.schemas import Execution
from api.executions.stretches import Key, Stretch, at, merged
from api.http.problems import ServiceUnavailable, TestkubeNotConfigured, TestkubeUnavailable
from api.reconciliations.visibility import Runs
from experiments.executions import rfc3339
from experiments.names import placement
from experiments.resources import EXPERIMENT
from kube.objects import Object, ObjectRef
from testkube.client import TestkubeClient
from testkube.errors import TestkubeError
from testkube.executions import Execution as InTestkube

log = structlog.get_logger(__name__)

T = TypeVar("T")

_TIMEOUT_SECONDS = 5


@asynccontextmanager
async def testkube_call() -> AsyncIterator[None]:
    """Raise `TestkubeUnavailable` where a call fails that may succeed later, or takes longer than anybody waits."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            yield
    except TestkubeError as error:
        if not error.transient:
            raise
        raise _unavailable(str(error)) from error
    except TimeoutError as error:
        raise _unavailable(f"nothing within {_TIMEOUT_SECONDS} s") from error


def _unavailable(why: str) -> TestkubeUnavailable:
    log.warning("Testkube does not answer", why=why)
    return TestkubeUnavailable(f"Testkube does not answer: {why.rstrip('.')}.")


def require_testkube(state: AppState) -> TestkubeClient:
    """Return the client. Raises TestkubeNotConfigured where there is none."""
    if state.testkube is None:
        raise TestkubeNotConfigured("TESTKUBE_API_URL is not set, so this service neither starts nor sees executions.")
    return state.testkube


def _crons(obj: Object) -> tuple[tuple[str, str], ...]:
    schedule = (obj.get("spec") or {}).get("schedule") or {}
    cron = schedule.get("cron")
    return ((str(cron), str(schedule.get("timezone") or "")),) if cron else ()


@dataclass(slots=True)
class Sources:
    """Both, for one request. `refusals` are those of what did not answer."""

    subject: Subject
    followers: Followers
    runs: Runs
    testkube: TestkubeClient | None
    refusals: dict[type[ServiceUnavailable], ServiceUnavailable] = field(default_factory=dict)
    listing: FollowerList = field(init=False)

    def __post_init__(self) -> None:
        self.listing = FollowerList(self.followers, self.subject.namespace, self.subject.name)

    @classmethod
    def of(cls, state: AppState, namespace: str, name: str) -> Sources:
        """Ask for those of an Experiment, or of one that had this name."""
        workflow = placement(namespace, name, state.options).test_workflow.name
        obj = state.caches.get(ObjectRef(EXPERIMENT, namespace, name))
        uid, crons = (obj["metadata"]["uid"], _crons(obj)) if obj else ("", ())
        asked = Subject(namespace, name, workflow, uid, crons)
        return cls(asked, state.followers, state.runs, state.testkube)

    @property
    def unavailable(self) -> list[str]:
        """Say in sentences what did not answer."""
        return [str(refusal) for refusal in self.refusals.values()]

    async def ask(self, question: Awaitable[T]) -> T | None:
        """Wait for an answer. None where there is none, which is kept for whoever reads what the rest has said."""
        try:
            return await question
        except ServiceUnavailable as refusal:
            self.refusals.setdefault(type(refusal), refusal)
            return None

    def require(self, *answers: object) -> None:
        """Raise the first refusal where not one of these was answered."""
        if all(answer is None for answer in answers):
            raise next(iter(self.refusals.values()))

    async def stretch(self, before: Key, since: datetime, size: int) -> Stretch[Execution]:
        """List the newest executions that began between `since` and `before`: `size`, or more, unless that is all.

        Raises ServiceUnavailable where nothing has answered.
        """
        asked = self.ask(self.listing.newest(before, since, size)), self.ask(self._listed(before, since, size))
        temporal, listed = await asyncio.gather(*asked)
        self.require(temporal, listed if self.testkube else None)
        listed = listed or Stretch([], None)
        followed, start = temporal or ([], None)
        seen = {each.id: each for _, each in listed.items}
        near = [each for each in followed if each.execution in seen or (since <= each.key[0] and each.key < before)]
        rows = [self.row(seen.pop(each.execution, None), each) for each in near]
        rows += [self.row(each, None) for each in seen.values()]
        keyed = [(key_of(each), each) for each in rows]
        within = [(key, each) for key, each in keyed if since <= key[0] and key < before]
        return merged([Stretch(within, at(start) if start else None), Stretch([], listed.reached)])

    def row(self, seen: InTestkube | None, follower: Follower | None) -> Execution:
        """Sum up an execution that one of both knows."""
        temporal = self.runs.url(follower.workflow_id, follower.run_id) if follower else None
        return row(self.subject, seen, follower, temporal)

    async def _listed(self, before: Key, since: datetime, size: int) -> Stretch[InTestkube]:
        """List what Testkube has. It ignores a filter that it does not understand, and then lists all."""
        found: list[tuple[Key, InTestkube]] = []
        if self.testkube is None:
            return Stretch(found, None)
        query = {"endDate": rfc3339(before[0] + timedelta(seconds=1))}
        async with testkube_call():
            async for each in self.testkube.newest(self.subject.workflow, query):
                key = start_of(each)
                if key is None or key >= before or not self.subject.owns(each):
                    continue
                if key[0] < since:
                    break
                if len(found) == size:
                    return Stretch(found, min(key for key, _ in found))
                found.append((key, each))
        return Stretch(found, None)
