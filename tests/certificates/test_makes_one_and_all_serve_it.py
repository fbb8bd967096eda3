"""The first replica makes a certificate, which the API server trusts and all replicas serve; none makes another."""

from __future__ import annotations

import asyncio

from experiments.names import MANAGED_BY, MANAGER


async def test_a_secret_a_bundle_and_files(replicas):
    await replicas.configure()
    replica = await replicas.start()
    await replica.wait_ready()
    issued = await replicas.settled()
    assert (issued.certificate, issued.key) == replica.pair
    secret = await replicas.kube.get(replicas.secret)
    assert secret["type"] == "kubernetes.io/tls"
    assert secret["metadata"]["labels"] == {MANAGED_BY: MANAGER}
    # The CA's key is nowhere: nothing can be signed with it any more.
    assert set(secret["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    assert (replica.directory / "tls.key").resolve().parent.stat().st_mode & 0o077 == 0


async def test_replicas_that_come_later_serve_the_same(replicas):
    await replicas.configure()
    await (await replicas.start()).wait_ready()
    await replicas.settled()
    before = await replicas.kube.get(replicas.secret)
    for _ in range(2):
        await (await replicas.start()).wait_ready()
    await replicas.settled()
    assert await replicas.kube.get(replicas.secret) == before


async def test_one_that_takes_over_the_lead_finds_nothing_to_do(replicas):
    await replicas.configure()
    first = await replicas.start()
    before = await replicas.settled()
    second = await replicas.start()
    await second.wait_ready()
    await first.stop()
    # The proof that the second sees to it now.
    await replicas.set_bundles(b"", b"")
    assert await replicas.settled() == before


async def test_one_that_cannot_lead_waits_for_a_secret(replicas):
    await replicas.configure()
    await replicas.lease("elsewhere", holderIdentity="somebody")
    waiting = await replicas.start(lease="elsewhere")
    waiter = asyncio.create_task(waiting.wait_ready())
    await replicas.start()
    await waiter
    await replicas.settled()


async def test_a_configuration_that_comes_later_is_told_whom_to_trust(replicas):
    await (await replicas.start()).wait_ready()
    await replicas.configure()
    await replicas.settled()
