"""`GET /events` and `GET …/{name}/events`: server-sent events of what changes, while it changes.

A stream begins with the present state, unless `Last-Event-ID` names a place from which `broadcast` can go on. It ends
when its reader may not see it any more, is too slow, or the process stops; browsers then come again by themselves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from api.auth.dependencies import Caller, MayGet, TheCaller
from api.dependencies import AppState, State, require_experiment, require_filled
from api.events.broadcast import run_event
from api.events.buffer import PORTION_BYTES, StreamPosition, frame
from api.http.path import Name, Namespace
from api.http.problems import AccessUnknown, Refusal, TemporalUnavailable, documented
from api.reconciliations.visibility import query_by_name
from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/api/v1", tags=["Live"])

_PERMISSION_SECONDS = 60.0
_SEND_TIMEOUT = 30.0
# How long a browser waits before it comes again; comments keep proxies from closing a silent stream.
_RETRY = b"retry: 1000\n\n"
_KEEP_ALIVE_SECONDS = 15

_EVENTS = """Server-sent events:

- `added`, `changed`, `deleted`: an Experiment, as in lists;
- `started`, `ended`: a run, as in its Experiment's reconciliations;
- `stale`: what cannot be told at present, with nulls again once it can;
- `reset`: forget everything; `added` follows for all that there is, then `synced`.

An event may come twice. With `Last-Event-ID` the stream goes on behind that event, or begins with `reset` where the
place is not known any more. A reader that is too slow is cut off, and may come again."""
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["added", "changed", "deleted", "started", "ended", "stale", "reset", "synced"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A stream without an end.",
        "content": {"text/event-stream": {"itemSchema": _EVENT}},
    }
}
LastEventId = Annotated[
    str, Header(max_length=100, description="The `id` of the last event that was received.", examples=["5f3a90c1-7"])
]


@router.get(
    "/events",
    summary="Follow the Experiments of all namespaces",
    description=f"Of those that the caller may list. {_EVENTS}",
    response_class=EventSourceResponse,
    responses=_RESPONSE | documented(401, 422, 503),
)
async def follow_all(state: State, caller: TheCaller, last_event_id: LastEventId = "") -> EventSourceResponse:
    require_filled(state.caches)
    return _Stream(_Reader(state, caller), StreamPosition.parse(last_event_id))


@router.get(
    "/namespaces/{namespace}/experiments/{name}/events",
    summary="Follow one Experiment",
    description=f"A stream that begins anew also has its newest run, or is 404 when the Experiment is gone. {_EVENTS}",
    dependencies=[MayGet],
    response_class=EventSourceResponse,
    responses=_RESPONSE | documented(401, 403, 404, 422, 503),
)
async def follow_one(
    namespace: Namespace, name: Name, state: State, caller: TheCaller, last_event_id: LastEventId = ""
) -> EventSourceResponse:
    position = StreamPosition.parse(last_event_id)
    if position is None or state.broadcast.buffer.since(position) is None:
        require_experiment(state.caches, namespace, name)
    return _Stream(_Reader(state, caller, ObjectRef(EXPERIMENT, namespace, name)), position)


class _Stream(EventSourceResponse):
    def __init__(self, reader: _Reader, position: StreamPosition | None) -> None:
        super().__init__(reader.portions(position), sep="\n", ping=_KEEP_ALIVE_SECONDS, send_timeout=_SEND_TIMEOUT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("a slow reader is cut off", seconds=_SEND_TIMEOUT)


class _VisibleNamespaces:
    """Which namespaces one reader may see; asked again once in a while."""

    def __init__(self, caller: Caller, only: ObjectRef | None) -> None:
        self._caller, self._only = caller, only
        self._verdicts: dict[str, bool] = {}
        self._due = time.monotonic() + _PERMISSION_SECONDS

    async def learn(self, namespaces: Iterable[str]) -> None:
        """Ask about those of `namespaces` that are new."""
        if new := set(namespaces) - self._verdicts.keys() - {""}:
            self._verdicts |= await self._ask(self._caller, new)

    def allows(self, namespace: str) -> bool:
        """Tell of a namespace that was learnt; what is about none is for everybody."""
        return not namespace or self._verdicts.get(namespace, False)

    async def has_changed(self) -> bool:
        """Ask again when it is time. Raises `Refusal` where nothing is left to see.

        What nobody can tell at present stays as it was.
        """
        if time.monotonic() < self._due:
            return False
        self._due = time.monotonic() + _PERMISSION_SECONDS
        try:
            caller = await self._caller.reauthenticate()
            verdicts = await self._ask(caller, self._verdicts)
        except AccessUnknown:
            return False
        before, self._verdicts, self._caller = self._verdicts, verdicts, caller
        return verdicts != before

    async def _ask(self, caller: Caller, namespaces: Iterable[str]) -> dict[str, bool]:
        if self._only:
            await caller.require("get", self._only.namespace)
            return {self._only.namespace: True}
        allowed = await caller.listable(namespaces)
        return {namespace: namespace in allowed for namespace in namespaces}


class _Reader:
    """Takes from the broadcast what its caller may see: of all Experiments, or `only` of one."""

    def __init__(self, state: AppState, caller: Caller, only: ObjectRef | None = None) -> None:
        self._runs, self._broadcast, self._only = state.runs, state.broadcast, only
        self._visible = _VisibleNamespaces(caller, only)

    async def portions(self, position: StreamPosition | None) -> AsyncIterator[bytes]:
        """Yield several events at a time, for as long as there is somebody to tell."""
        with self._broadcast.reading():
            yield _RETRY
            try:
                async for portion in self._portions(position):
                    yield portion
            except Refusal as refusal:
                log.info("a stream ends", why=str(refusal))

    async def _portions(self, position: StreamPosition | None) -> AsyncIterator[bytes]:
        if position and self._broadcast.buffer.since(position) is None:
            position = None
        while not self._broadcast.closed:
            if position is None or await self._visible.has_changed():
                position = self._broadcast.buffer.newest
                async for portion in self._present(position):
                    yield portion
            events = self._broadcast.buffer.since(position)
            if events is None:
                log.info("a reader has fallen too far behind", position=str(position))
                return
            if not events:
                await self._broadcast.wait(_PERMISSION_SECONDS)
                continue
            position = position.after(len(events))
            mine = [each for each in events if self._concerns(each.namespace, each.name)]
            await self._visible.learn(each.namespace for each in mine)
            if portion := b"".join(each.frame for each in mine if self._visible.allows(each.namespace)):
                yield portion

    def _concerns(self, namespace: str, name: str) -> bool:
        return self._only is None or not namespace or (namespace, name) == (self._only.namespace, self._only.name)

    async def _present(self, position: StreamPosition) -> AsyncIterator[bytes]:
        """Yield the state after `position`: what happens in between is told twice rather than never."""
        found = [ref for ref in self._broadcast.experiments() if self._concerns(ref.namespace, ref.name)]
        await self._visible.learn(ref.namespace for ref in found)
        portion = bytearray(frame("reset", event_id=""))
        for ref in found:
            portion += self._broadcast.present(ref) if self._visible.allows(ref.namespace) else b""
            if len(portion) > PORTION_BYTES:
                yield bytes(portion)
                portion.clear()
                await asyncio.sleep(0)  # a send that does not have to wait lets nobody else run
        yield bytes(portion)
        yield await self._newest_run() + self._broadcast.gaps() + frame("synced", event_id=str(position))

    async def _newest_run(self) -> bytes:
        """Write the newest run, so that who follows one Experiment never misses how that has ended."""
        if self._only is None:
            return b""
        try:
            found = await self._runs.read(
                await self._runs.listed(query_by_name(self._only.namespace, self._only.name), 1)
            )
        except TemporalUnavailable:
            return b""  # `stale` says so
        return b"".join(frame(*run_event(run)) for run in found)
