"""SIGTERM ends each long-running command with exit code 0: at rest, with work in hand, and while it waits."""

from __future__ import annotations

import asyncio
import signal

from support.world import World

READY = {
    "watcher": ["watcher is ready"],
    "worker": ["worker is ready"],
    "all": ["watcher is ready", "worker is ready", "api listens"],
}
NOWHERE = "127.0.0.1:1"


async def test_sigterm_ends_each_role_at_rest(start_process):
    started = {role: await start_process(role) for role in READY}
    await asyncio.gather(*(started[role].says(line) for role, lines in READY.items() for line in lines))
    codes = await asyncio.gather(*(process.end(signal.SIGTERM) for process in started.values()))
    assert dict(zip(started, codes, strict=True)) == dict.fromkeys(READY, 0)


async def test_sigterm_ends_the_service_with_runs_in_hand(world: World, start_process, serve):
    """Some are in the middle of their steps, and one waits, which goes on elsewhere."""
    busy = await start_process("all")
    await world.create("waiting", aiGatewayRef={"name": "judge", "namespace": world.namespace})
    await world.reported("waiting", reason="GatewayMissing")
    await asyncio.gather(*(world.create(f"demo-{number}") for number in range(20)))
    assert await busy.end(signal.SIGTERM) == 0

    await world.gateway("judge")
    async with serve():
        await world.reported("waiting")
        await world.closed_runs(1, "waiting")


async def test_sigterm_ends_the_service_while_it_can_reach_nothing(start_process, cluster, tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(cluster.kubeconfig.read_text().replace(cluster.api_url, f"https://{NOWHERE}"))
    waiting = await start_process("all", TEMPORAL_ADDRESS=NOWHERE, KUBECONFIG=str(kubeconfig))
    await asyncio.gather(waiting.says("watch failed"), waiting.says("Temporal cannot be reached"))
    assert await waiting.end(signal.SIGTERM) == 0
