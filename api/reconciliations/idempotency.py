"""Runs that people ask for, each `Idempotency-Key` once.

The key travels as a digest in the signal that wakes the run, and the run notes it in its memo, so that any replica of
the api finds it again for as long as the run is among the newest of its Experiment. What this process was asked lately,
it knows without looking.
"""

from __future__ import annotations

import asyncio
import hashlib

from cachetools import TTLCache

from api.auth.kubernetes import User
from api.http.problems import KeyReused
from api.reconciliations.visibility import Runs, asking_temporal
from experiments.contract import Target, Wakeup
from temporal.client import Start

_KEYS_KEPT = 10_000
_SECONDS_KEPT = 600
_RUNS_LOOKED_AT = 100


class Requests:
    def __init__(self, start: Start, runs: Runs) -> None:
        self._start, self._runs = start, runs
        # By Experiment and key: the run, and the request that it was begun or woken for.
        self._served: TTLCache[tuple[str, str], asyncio.Task[tuple[str, str]]] = TTLCache(_KEYS_KEPT, _SECONDS_KEPT)

    async def run(self, target: Target, reason: str, key: str | None, user: User) -> str:
        """The id of the run that was begun or woken for this; for a known key, the one that was then.

        Raises KeyReused and TemporalUnavailable.
        """
        why = [f"requested: {reason}" if reason else "requested"]
        if key is None:
            return await self._begin(target, Wakeup(why))
        # Two users who choose the same key do not mean the same.
        mark = _digest(f"{user.name} {key}")
        request = f"{mark}-{_digest(reason)}"
        known = (target.workflow_id, mark)
        serving = self._served.get(known)
        if serving is None or (serving.done() and serving.exception()):
            serving = self._served[known] = asyncio.create_task(self._serve(target, Wakeup(why, request=request)))
        # It goes on for the others when one of those who wait leaves.
        run_id, served = await asyncio.shield(serving)
        if served != request:
            raise KeyReused("This Idempotency-Key was sent before, with another reason.")
        return run_id

    async def _serve(self, target: Target, wakeup: Wakeup) -> tuple[str, str]:
        mark, _, _ = wakeup.request.partition("-")
        for run_id, requests in await self._runs.requests(target, _RUNS_LOOKED_AT):
            for request in requests:
                if request.startswith(f"{mark}-"):
                    return run_id, request
        return await self._begin(target, wakeup), wakeup.request

    async def _begin(self, target: Target, wakeup: Wakeup) -> str:
        async with asking_temporal():
            return await self._start(target, wakeup)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
