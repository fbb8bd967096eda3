"""Of several candidates one leads; when it is gone another does. (That they never overlap, the fixture sees to.)"""

from __future__ import annotations

import asyncio


async def test_of_many_that_find_a_free_lease_at_once_one_gets_it(candidates):
    await candidates.write()
    await asyncio.gather(*(candidates.start(candidates.patient) for _ in range(10)))
    first = await candidates.leader()
    spec = await candidates.renewed()
    assert candidates.begun == [first]
    assert spec["holderIdentity"] == first.lease.identity
    assert spec["leaseTransitions"] == 1


async def test_of_many_that_find_no_lease_one_creates_it(candidates):
    await asyncio.gather(*(candidates.start() for _ in range(5)))
    leader = await candidates.leader()
    assert (await candidates.spec())["holderIdentity"] == leader.lease.identity


async def test_one_that_is_killed_is_followed_by_another(candidates):
    await candidates.write()
    gone = []
    for _ in range(3):
        await candidates.start()
        gone.append(await candidates.leader(*gone))
        await candidates.start()
        await gone[-1].kill()
    await candidates.leader(*gone)


async def test_one_that_ends_lets_go_and_is_followed_at_once(candidates):
    """At once, since this Lease would not run out before the test does."""
    await candidates.write()
    gone = []
    for _ in range(4):
        await candidates.start(candidates.patient)
        gone.append(await candidates.leader(*gone))
        await candidates.start(candidates.patient)
        await gone[-1].end()
        assert not gone[-1].lease.held()
    await candidates.leader(*gone)
    assert (await candidates.spec())["leaseTransitions"] == 5


async def test_one_that_only_waited_changes_nothing_when_it_ends(candidates):
    await candidates.write()
    first = await candidates.start(candidates.patient)
    await candidates.leader()
    waiting = await candidates.start(candidates.patient)
    await candidates.renewed()
    await waiting.end()
    spec = await candidates.renewed()
    assert spec["holderIdentity"] == first.lease.identity
    assert candidates.begun == [first]
