"""A client of the API server whose calls a test can hold back."""

from __future__ import annotations

import asyncio
from typing import Any

from kube.client import KubeClient
from kube.objects import Object


class Held:
    """A call that is not let through yet. `reached` is set when the service has come to it."""

    def __init__(self) -> None:
        self.reached, self._released = asyncio.Event(), asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def wait(self) -> None:
        self.reached.set()
        await self._released.wait()


class HoldingClient(KubeClient):
    """Holds back calls that begin with given words, such as `create TestWorkflow`: each time the first that comes."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._held: dict[str, Held] = {}

    def hold(self, words: str) -> Held:
        held = self._held[words] = Held()
        return held

    async def _request(self, call: str, *args: Any, **kwargs: Any) -> Object:
        for words in [words for words in self._held if call.startswith(words)]:
            await self._held.pop(words).wait()
        return await super()._request(call, *args, **kwargs)
