"""The reflectors of all sources together: one place to look objects up and to hear of changes.

The watcher reads its snapshots from here. Sources of one resource may overlap or differ in selectors; an object is
known when one of them covers it.
"""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kube.objects import ref_of
from kube.reflector import Change, Reflector, SourceState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Sequence
    from datetime import datetime

    from kube.client import KubeClient
    from kube.objects import Object, ObjectRef, Resource, Source


@dataclass(frozen=True, slots=True)
class Staleness:
    """Since when a cache may lack changes, and what keeps it from being up to date, in words."""

    as_of: datetime
    errors: tuple[str, ...]


class Caches:
    """Subscribe first, then run as one task. Cached objects are shared: do not change them."""

    def __init__(
        self,
        client: KubeClient,
        sources: Sequence[Source],
        *,
        compact: Collection[Resource] = (),
        max_pause: float = 30.0,
    ) -> None:
        """Cache `sources`, the `compact` ones for little memory, and for who rarely wants all of them.

        A CRD that was missing is found within `max_pause` seconds of its arrival.
        """
        self._subscribers: list[Callable[[Change], None]] = []
        self._indexes: dict[tuple[Resource, Callable[[Object], Hashable]], defaultdict[Hashable, set[ObjectRef]]] = {}
        self._reflectors = [
            Reflector(client, source, self._tell, compact=source.resource in compact, max_pause=max_pause)
            for source in sources
        ]

    def subscribe(self, callback: Callable[[Change], None]) -> None:
        """Call `callback` synchronously with every change, from the first lists on."""
        self._subscribers.append(callback)

    async def run(self) -> None:
        """Keep all of them up to date until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(reflector.run(), name=f"reflector of {reflector.source}")

    @property
    def synced(self) -> bool:
        """Whether each source has been listed once, or found not to be served."""
        return all(reflector.synced for reflector in self._reflectors)

    def missing(self) -> list[str]:
        """Say what has never been listed yet; empty once everything has been."""
        unknown = [reflector for reflector in self._reflectors if not reflector.synced]
        return [reflector.error or f"{reflector.source} have not been listed yet" for reflector in unknown]

    async def wait_synced(self) -> None:
        for reflector in self._reflectors:
            await reflector.wait_synced()

    async def freeze(self) -> None:
        """Spare what is there once they are synced from garbage collection, which would stop everything for 100 ms."""
        await self.wait_synced()
        gc.collect()
        gc.freeze()

    def get(self, ref: ObjectRef) -> Object | None:
        found = (reflector.get(ref.namespace, ref.name) for reflector in self._of(ref.resource))
        return next((obj for obj in found if obj is not None), None)

    def objects(self, resource: Resource) -> list[Object]:
        """List each object once, even where sources overlap."""
        found = (obj for reflector in self._of(resource) for obj in reflector.objects())
        return list({ref_of(resource, obj): obj for obj in found}.values())

    def of(self, resource: Resource, key_of: Callable[[Object], Hashable], key: Hashable) -> list[Object]:
        """List objects of which `key_of` says `key`, by an index that is kept from when it is first asked for."""
        index = self._indexes.get((resource, key_of))
        if index is None:
            index = self._indexes[resource, key_of] = defaultdict(set)
            for obj in self.objects(resource):
                index[key_of(obj)].add(ref_of(resource, obj))
        return [found for ref in index.get(key, ()) if (found := self.get(ref)) is not None]

    def served(self, resource: Resource) -> bool:
        """Tell whether it is served: False while its CRD is missing, or nobody has looked yet."""
        return any(reflector.state is SourceState.SERVED for reflector in self._of(resource))

    def errors(self) -> list[str]:
        """Say what keeps caches from being up to date; empty while all is well."""
        return [reflector.error for reflector in self._reflectors if reflector.error]

    def staleness(self, *resources: Resource) -> Staleness | None:
        """Tell of what is known of these resources, or of all; None while it is up to date, as far as anybody knows."""
        behind = [
            reflector
            for reflector in self._reflectors
            if reflector.error and (not resources or reflector.source.resource in resources)
        ]
        if not behind:
            return None
        return Staleness(min(reflector.as_of for reflector in behind), tuple(reflector.error for reflector in behind))

    def _of(self, resource: Resource) -> list[Reflector]:
        return [reflector for reflector in self._reflectors if reflector.source.resource == resource]

    def _tell(self, change: Change) -> None:
        for (resource, key_of), index in self._indexes.items():
            if change.ref and change.ref.resource == resource:
                if change.old:
                    index[key_of(change.old)].discard(change.ref)
                if change.new:
                    index[key_of(change.new)].add(change.ref)
        for callback in self._subscribers:
            callback(change)
