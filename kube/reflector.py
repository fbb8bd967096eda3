"""A cache of one `Source`, kept by listing and watching, that tells of every change.

This is where the watcher's knowledge comes from (through `caches`). It stays right when the API server closes watches,
forgets versions, throttles, goes away or hangs, when permissions are revoked, and when a CRD is not there yet or goes:
what changed in a gap is found by comparing the next list with the cache. It never gives up and decides nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import orjson
import structlog

from kube.backoff import Backoff
from kube.errors import ExpiredError, KubeError, NotServedError
from kube.objects import Object, ObjectRef, Source
from telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from kube.client import KubeClient

Key: TypeAlias = tuple[str, str]  # namespace, name

log = structlog.get_logger(__name__)

_MAX_RETRY_AFTER = 60.0  # a proxy may ask for hours
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MANAGED_FIELDS_KEYS = ("manager", "operation", "subresource", "time")


class SourceState(StrEnum):
    PENDING = "pending"
    """Not listed yet."""
    SERVED = "served"
    ABSENT = "absent"
    """The API server does not know the resource: no CRD."""


@dataclass(frozen=True, slots=True)
class Change:
    """One object before and after; None where there was or is none. The cache already holds `new`.

    Without a `ref`, a whole resource has become available or has gone: what depends on it needs a new look.
    """

    ref: ObjectRef | None
    old: Object | None
    new: Object | None


class _Whole:
    """An object as it is."""

    __slots__ = ("object",)

    def __init__(self, obj: Object) -> None:
        self.object = obj

    @property
    def version(self) -> str:
        return _version_of(self.object)


class _Compact:
    """An object as JSON."""

    __slots__ = ("_json", "version")

    def __init__(self, obj: Object) -> None:
        self.version = _version_of(obj)
        # A copy, since orjson's own bytes hold on to all the room that it has written in.
        self._json = bytes(memoryview(orjson.dumps(obj)))

    @property
    def object(self) -> Object:
        found: Object = orjson.loads(self._json)
        return found


_Kept: TypeAlias = _Whole | _Compact


def _compact(obj: Object) -> _Kept:
    try:
        return _Compact(obj)
    except TypeError:  # nested deeper than orjson follows, or with numbers beyond 64 bits
        return _Whole(obj)


def _object(kept: _Kept | None) -> Object | None:
    return kept.object if kept else None


class Reflector:
    """Run it as one task. Cached objects are shared: do not change them.

    With `compact`, they are kept as JSON and parsed when read: a third of the memory, for who rarely reads all of them.

    They lack what nobody here reads and everybody would pay for: `fieldsV1` in managedFields, and kubectl's copy of the
    last applied configuration. `on_change` is called synchronously, in the order of events; `idle_seconds` is the
    silence after which a watch is taken for dead and must be longer than a minute, the interval of bookmarks.
    """

    def __init__(
        self,
        client: KubeClient,
        source: Source,
        on_change: Callable[[Change], None],
        *,
        compact: bool = False,
        idle_seconds: float = 90.0,
        watch_seconds: float = 300.0,
        first_pause: float = 0.5,
        max_pause: float = 30.0,
    ) -> None:
        self.source = source
        self.state = SourceState.PENDING
        self.error = ""
        """What keeps the cache from being up to date, in words; empty while all is well."""
        self.as_of = datetime.fromtimestamp(0, UTC)
        """When the API server was last heard, at least once a minute while all is well: the cache is as it was then."""
        self._client = client
        self._on_change = on_change
        self._idle_seconds = idle_seconds
        self._watch_seconds = watch_seconds
        self._backoff = Backoff(first_pause, max_pause)
        self._keep: Callable[[Object], _Kept] = _compact if compact else _Whole
        self._objects: dict[Key, _Kept] = {}
        self._version = ""
        self._first_look = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether the cache has once been complete; a resource that does not exist has nothing to list."""
        return self._first_look.is_set()

    async def wait_synced(self) -> None:
        await self._first_look.wait()

    def get(self, namespace: str, name: str) -> Object | None:
        return _object(self._objects.get((namespace, name)))

    def objects(self) -> list[Object]:
        return [kept.object for kept in self._objects.values()]

    async def run(self) -> None:
        """List and watch until cancelled."""
        plural, since = self.source.resource.plural, datetime.now(UTC)
        with (
            metrics.CACHE_OBJECTS.of(lambda: len(self._objects), plural),
            metrics.CACHE_STALENESS.of(lambda: _seconds_since(max(self.as_of, since)), plural),
        ):
            await self._run()

    async def _run(self) -> None:
        while True:
            started = time.monotonic()
            retry_after = 0.0
            try:
                await self._list_and_watch()
            except NotServedError:
                self._version = ""
                self._enter(SourceState.ABSENT, {})
            except ExpiredError as gap:
                self._version = ""
                log.info("listing again", source=str(self.source), reason=str(gap))
            except KubeError as error:
                if not error.transient:
                    self._version = ""  # refused: perhaps for the version's sake
                retry_after = error.retry_after or 0.0
                self._note(str(error))
            except Exception as error:  # an answer of a shape nobody thought of must not end the cache
                self._version = ""
                self.error = f"watch {self.source}: {error!r}"
                log.exception("watch failed", source=str(self.source))
            pause = self._backoff.pause_after(time.monotonic() - started)
            await asyncio.sleep(max(pause, min(retry_after, _MAX_RETRY_AFTER)))

    async def _list_and_watch(self) -> None:
        """List, unless the last version can be continued from, and watch until the watch ends."""
        if not self._version:
            await self._list()
        seconds = self._watch_seconds * random.uniform(0.8, 1.2)  # noqa: S311  no secret depends on it
        async with self._client.watch(
            self.source, self._version, idle_seconds=self._idle_seconds, server_seconds=seconds
        ) as events:
            self._heard()
            async for event in events:
                self._on_event(event["type"], event["object"])
                self._heard()

    async def _list(self) -> None:
        listed: dict[Key, _Kept] = {}
        listed_at = ""
        async for page, version in self._client.list_pages(self.source):
            listed |= {_key(obj): self._keep(_lean(obj)) for obj in page}
            listed_at = version
        if self.synced:
            metrics.RELISTS.labels(self.source.resource.plural).inc()
        self._version = listed_at
        self._enter(SourceState.SERVED, listed)

    def _enter(self, state: SourceState, objects: dict[Key, _Kept]) -> None:
        """Replace the whole cache and tell the difference, so that deletes in a gap are seen like all others."""
        came_or_went = {self.state, state} == {SourceState.ABSENT, SourceState.SERVED}
        before = self._objects
        if state is not self.state:
            log.info("state of resource", source=str(self.source), state=state)
        # All of it before the first change is told: whoever hears of one object may look at another.
        self.state, self._objects = state, objects
        self._heard()
        self._first_look.set()
        for key in before | objects:
            self._tell(key, before.get(key), objects.get(key))
        if came_or_went:
            self._call(Change(None, None, None))

    def _on_event(self, kind: str, obj: Object) -> None:
        if kind != "BOOKMARK":
            key = _key(obj)
            old = self._objects.pop(key, None)
            new = None if kind == "DELETED" else _lean(obj)
            if new is not None:
                self._objects[key] = self._keep(new)
            self._tell(key, old, _Whole(new) if new else None)
        self._version = obj["metadata"]["resourceVersion"]

    def _tell(self, key: Key, old: _Kept | None, new: _Kept | None) -> None:
        if (old and old.version) != (new and new.version):
            self._call(Change(ObjectRef(self.source.resource, *key), _object(old), _object(new)))

    def _call(self, change: Change) -> None:
        try:
            self._on_change(change)
        except Exception:
            log.exception("change not handled", source=str(self.source), object=str(change.ref))

    def _heard(self) -> None:
        self.error, self.as_of = "", datetime.now(UTC)

    def _note(self, error: str) -> None:
        if error != self.error:  # the same failure every half minute is one line
            log.warning("watch failed", source=str(self.source), error=error)
        self.error = error


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


def _key(obj: Object) -> Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _version_of(obj: Object) -> str:
    version: str = obj["metadata"]["resourceVersion"]
    return version


def _lean(obj: Object) -> Object:
    meta = obj["metadata"]
    if "managedFields" in meta:
        meta["managedFields"] = [
            {key: entry[key] for key in _MANAGED_FIELDS_KEYS if key in entry} for entry in meta["managedFields"]
        ]
    meta.get("annotations", {}).pop(_LAST_APPLIED, None)
    return obj
