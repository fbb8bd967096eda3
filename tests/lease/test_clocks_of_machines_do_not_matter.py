"""What a record says of time was written by another machine's clock, or by a person: nobody acts on it."""

from __future__ import annotations

import pytest

LONG_AGO, FAR_AHEAD = "1999-12-31T23:59:59.000000Z", "2099-12-31T23:59:59.000000Z"


@pytest.mark.parametrize("stamp", [LONG_AGO, FAR_AHEAD])
async def test_a_lease_that_is_renewed_is_held_whatever_it_says(candidates, stamp):
    """By a holder that is no candidate of this test: it renews by counting microseconds."""
    await candidates.write(holderIdentity="elsewhere", renewTime=stamp)
    waiting = await candidates.start(candidates.patient)
    for number in range(20):
        await candidates.edit(renewTime=stamp.replace("000000Z", f"{number:06}Z"))
    assert candidates.begun == []
    # The proof that it looked: as soon as the holder lets go, it leads.
    await candidates.edit(holderIdentity=None, renewTime=None)
    assert await candidates.leader() is waiting


@pytest.mark.parametrize("stamp", [LONG_AGO, FAR_AHEAD])
async def test_a_lease_that_nobody_renews_runs_out_whatever_it_says(candidates, stamp):
    await candidates.write(holderIdentity="gone", renewTime=stamp, leaseDurationSeconds=2**31 - 1)
    waiting = await candidates.start()
    assert await candidates.leader() is waiting
