"""A leader that cannot renew has stopped before another begins, and is a candidate again afterwards."""

from __future__ import annotations

import time

import pytest

from kube.lease import Times
from support.polling import until


@pytest.mark.parametrize("cut", ["hang", "close"])
async def test_a_leader_cut_off_from_the_api_server_makes_way(candidates, cut):
    """Also in the middle of a call: with these times, the second that fails would end too late."""
    await candidates.write()
    times = Times(duration=1.8, deadline=1.6, renew=0.75, retry=0.05)
    first = await candidates.start(times)
    await candidates.leader()
    await candidates.start(times)
    if cut == "hang":
        first.line.hang()
    else:
        await first.line.close()
    second = await candidates.leader(first)
    assert not first.lease.held()
    if cut == "hang":
        first.line.mend()
        await second.end()
        assert await candidates.leader(second) is first


async def test_all_of_them_cut_off_for_longer_than_the_lease_lasts(candidates):
    await candidates.write()
    for _ in range(3):
        await candidates.start()
    await candidates.leader()
    await candidates.cluster.stop_apiserver()
    try:
        await until(lambda: not candidates.working)
    finally:
        await candidates.cluster.start_apiserver()
    await candidates.leader()


async def test_a_leader_whose_process_paused_knows_that_it_leads_no_more(candidates):
    """It knows at once, before anything else has had its turn, that its work must start nothing more."""
    await candidates.write()
    first = await candidates.start()
    await candidates.leader()
    time.sleep(candidates.brisk.deadline)  # noqa: ASYNC251 - the point of it
    assert candidates.working == [first]
    assert not first.lease.held()
    await until(lambda: not candidates.working)
    await candidates.leader()
