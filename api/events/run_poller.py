"""The runs that began or ended since the last poll, of all Experiments, each told once for either.

Temporal tells nobody of a change, so `broadcast` polls each second, while there is somebody to tell.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from temporalio.client import WorkflowExecution

from api.reconciliations.schemas import Reconciliation
from api.reconciliations.visibility import Runs, query_all

# By as much visibility may lag behind, or one clock behind another.
_OVERLAP = timedelta(seconds=5)
_MAX_RUNS = 1000
_READ_SIZE = 100


class RunPoller:
    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._since = datetime.now(UTC) - _OVERLAP
        self._ended: dict[str, bool] = {}
        """By run ID, what has been told of the runs in the last window."""

    async def poll(self) -> tuple[list[Reconciliation], bool]:
        """Return what is new, oldest first, and whether that is all. A short run has ended before it is first seen.

        Raises `TemporalUnavailable`; the next poll then has what this one would have had.
        """
        when = self._since.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        found = await self._runs.listed(
            f"{query_all()} AND (StartTime >= '{when}' OR CloseTime >= '{when}')", _MAX_RUNS
        )
        new = await self._read([run for run in found if self._is_new(run)])
        self._ended = {run.run_id: bool(run.close_time) or self._ended.get(run.run_id, False) for run in found}
        # Visibility may know later than the server that a run has ended.
        self._ended |= {run.run_id: run.status != "Running" for run in new}
        self._since = max([self._since, *((run.close_time or run.start_time) - _OVERLAP for run in found)])
        return sorted(new, key=lambda run: run.close_time or run.start_time), len(found) < _MAX_RUNS

    async def _read(self, new: list[WorkflowExecution]) -> list[Reconciliation]:
        """Read a few at a time, since Temporal is not waited for longer however many there are."""
        parts = [new[start : start + _READ_SIZE] for start in range(0, len(new), _READ_SIZE)]
        return [run for part in parts for run in await self._runs.read(part)]

    def _is_new(self, run: WorkflowExecution) -> bool:
        told = self._ended.get(run.run_id)
        return told is None or (not told and run.close_time is not None)
