"""`python -m localcluster.testkube`: a simulation of Testkube and of rollouts in KUBECONFIG's cluster, until killed.

Nothing is evaluated: executions go through their states, and scores are made up from scenarios and the agent's image.
"""

from __future__ import annotations

import argparse
import asyncio

from kube.client import KubeClient
from localcluster.rollouts import Rollouts
from localcluster.testkube.cluster import PACE_SECONDS, ClusterTestkube
from localcluster.testkube.scores import SIMULATION


async def _serve(namespace: str, port: int, pace: float, rollout: float) -> None:
    async with (
        await KubeClient.connect(role="testkube-simulation") as kube,
        asyncio.TaskGroup() as tasks,
        ClusterTestkube(kube, namespace, port=port, pace=pace) as testkube,
    ):
        tasks.create_task(Rollouts(kube, rollout).run())
        print(f"{testkube.url}/v1 answers. {SIMULATION}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m localcluster.testkube", description=__doc__)
    parser.add_argument("--namespace", default="testkube", help="Testkube's namespace (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1 (default: any free one, which is printed)")
    parser.add_argument("--pace", type=float, default=PACE_SECONDS, help="seconds for each state and phase")
    parser.add_argument("--rollout", type=float, default=1.0, help="seconds that a Deployment's rollout takes")
    told = parser.parse_args()
    asyncio.run(_serve(told.namespace, told.port, told.pace, told.rollout))


if __name__ == "__main__":
    main()
