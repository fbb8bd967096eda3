"""A part that cannot start says why, with the end of its own log."""

from __future__ import annotations

import pytest

from localcluster import ProcessError
from localcluster.processes import Process


async def never() -> bool:
    return False


async def test_a_part_that_dies_at_start_shows_the_end_of_its_log(tmp_path):
    part = Process.start(["sh", "-c", "echo unknown flag; exit 1"], tmp_path / "part.log")
    with pytest.raises(ProcessError, match=r"(?s)part ended before it was ready.*unknown flag"):
        await part.until(never)


async def test_a_part_that_does_not_become_ready_is_ended_and_shows_the_end_of_its_log(tmp_path):
    part = Process.start(["sh", "-c", "echo still waiting; exec sleep 1000"], tmp_path / "part.log")
    with pytest.raises(ProcessError, match=r"part was not ready after 0.3 s"):
        await part.until(never, limit=0.3)
    assert not part.running
