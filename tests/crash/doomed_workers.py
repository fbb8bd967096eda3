"""Worker processes that die by SIGKILL at a given write: `doomed_workers.py < POINTS`, one JSON object a line.

Each line has `queue`, the task queue to work on; `call`, the first words of a write to the API server or of any call to
Testkube, where there is a `testkube` with its URL; and `moment`, `before` or `after`. Ends when all of them have ended,
with exit code 0 if SIGKILL ended each. Forked, since the imports cost more than all the rest.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker._worker import load_default_build_id

from experiments.options import Options
from kube.client import KubeClient
from testkube.client import TestkubeClient
from worker.main import run_worker


class DoomedClient(KubeClient):
    point: dict[str, str]

    async def _request(self, call: str, *args: Any, **kwargs: Any) -> Any:
        doomed = call.startswith(self.point["call"])
        if doomed and self.point["moment"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await super()._request(call, *args, **kwargs)
        if doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


class DoomedTestkubeClient(TestkubeClient):
    point: dict[str, str]

    @asynccontextmanager
    async def _opened(self, method: str, path: str, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        doomed = f"{method} {path}".startswith(self.point["call"])
        if doomed and self.point["moment"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        async with super()._opened(method, path, *args, **kwargs) as response:
            await response.read()
            if doomed:
                os.kill(os.getpid(), signal.SIGKILL)
            yield response


async def work(point: dict[str, str]) -> None:
    temporal = await Client.connect(os.environ["TEMPORAL_ADDRESS"], data_converter=pydantic_data_converter)
    async with await DoomedClient.connect() as client, AsyncExitStack() as stack:
        client.point, testkube = point, None
        if "testkube" in point:
            testkube = await stack.enter_async_context(DoomedTestkubeClient(point["testkube"]))
            testkube.point = point
        await run_worker(client, temporal, Options(), testkube, task_queue=point["queue"], sandbox=True)


def main() -> int:
    points = [json.loads(line) for line in sys.stdin]
    load_default_build_id()  # every worker hashes all code that is loaded; now it is done for all of them
    processes = {}
    for point in points:
        pid = os.fork()
        if not pid:
            asyncio.run(work(point))
            os._exit(1)
        processes[pid] = point
    survivors = [point for pid, point in processes.items() if os.waitpid(pid, 0)[1] != signal.SIGKILL]
    print(*survivors, sep="\n", file=sys.stderr)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
