"""A Lease that somebody deletes or edits: the leader goes on or makes way, and nobody is locked out by it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from kube.errors import InvalidError
from support.polling import until


async def test_the_leader_of_a_deleted_lease_goes_on_and_creates_it_again(candidates):
    await candidates.write()
    leader = await candidates.start(candidates.patient)
    await candidates.leader()
    for _ in range(3):
        await candidates.start(candidates.patient)
    for _ in range(3):
        await candidates.delete()
        assert (await candidates.renewed())["holderIdentity"] == leader.lease.identity
    assert candidates.begun == [leader]


async def test_the_leader_goes_on_when_its_name_is_taken_out(candidates):
    await candidates.write()
    leader = await candidates.start(candidates.patient)
    await candidates.leader()
    for _ in range(3):
        await candidates.start(candidates.patient)
    await candidates.edit(holderIdentity="")
    assert (await candidates.renewed())["holderIdentity"] == leader.lease.identity
    assert candidates.begun == [leader]


async def test_the_leader_makes_way_for_a_name_that_is_put_in(candidates):
    await candidates.write()
    leader = await candidates.start(candidates.patient)
    await candidates.leader()
    await candidates.edit(holderIdentity="somebody-else")
    await until(lambda: not candidates.working)
    assert not leader.lease.held()
    assert (await candidates.spec())["holderIdentity"] == "somebody-else"


async def test_a_candidate_whose_name_is_put_in_waits_for_the_leader_to_end(candidates):
    await candidates.write()
    leader = await candidates.start()
    await candidates.leader()
    other = await candidates.start()
    await candidates.edit(holderIdentity=other.lease.identity)
    await until(lambda: len(candidates.begun) >= 2)
    assert not (leader.lease.held() and other.lease.held())


@pytest.mark.parametrize(
    "spec",
    [
        {"holderIdentity": "gone"},
        {"renewTime": "2026-11-24T08:00:00.000000Z"},
        {"holderIdentity": "gone", "leaseTransitions": 2**31 - 1, "leaseDurationSeconds": 2**31 - 1},
        {"holderIdentity": "gone", "strategy": "OldestEmulationVersion", "preferredHolder": "nobody"},
    ],
)
async def test_a_strange_record_runs_out_like_any_other(candidates, spec):
    await candidates.write(**spec)
    waiting = await candidates.start()
    assert await candidates.leader() is waiting
    assert (await candidates.renewed())["holderIdentity"] == waiting.lease.identity


async def test_a_busy_hand_on_its_labels_delays_nobody(candidates):
    await candidates.write(holderIdentity="gone")
    await candidates.start()

    async def label():
        number = 0
        while True:
            number += 1
            await candidates.kube.merge_patch(candidates.ref, {"metadata": {"labels": {"number": str(number)}}})
            await asyncio.sleep(0.05)

    labelling = asyncio.create_task(label())
    await candidates.leader()
    labelling.cancel()
    with suppress(asyncio.CancelledError):
        await labelling


async def test_what_the_api_server_refuses_cannot_be_there(candidates):
    """Why no candidate has to expect it."""
    for wrong in ({"leaseDurationSeconds": 0}, {"leaseTransitions": -1}, {"renewTime": "yesterday"}):
        with pytest.raises(InvalidError):
            await candidates.write(**wrong)
