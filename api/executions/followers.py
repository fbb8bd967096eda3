"""The executions that Temporal knows: each is followed by a workflow, whose memo has what a list shows of it.

What it came to in full is its result, or the details of its failure. Visibility tells which there are; it lags behind
by up to a second or so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter
from temporalio.client import Client, WorkflowExecution, WorkflowFailureError, WorkflowHistoryEventFilterType

from api.executions.stretches import Key, window
from api.reconciliations.close_event import decode
from api.reconciliations.visibility import begun_within, temporal_call, unless_forgotten
from experiments.contract import Target
from experiments.executions import (
    FOLLOW_EXECUTION,
    ExecutionMemo,
    ExecutionResult,
    StartRequest,
    followed_prefix,
    followed_workflow_id,
    of_followed,
)

_MEMO = TypeAdapter(ExecutionMemo)
# An execution is followed from a moment after its start, or from when the watcher was back, which may be much later.
_MAX_LAG = timedelta(days=1)
_MAX_SKEW = timedelta(minutes=1)
_MAX_SEARCHED = 2000
_PAGE_SIZE = 200


@dataclass(frozen=True, slots=True)
class Follower:
    """The run that follows, or has followed, an execution."""

    target: Target
    execution: str
    workflow_id: str
    run_id: str
    start_time: datetime
    is_open: bool
    memo: ExecutionMemo

    @property
    def key(self) -> Key:
        """By the start of the execution or, before Testkube has said when that was, of the run."""
        start = self.memo.start_time
        time = datetime.fromisoformat(start) if start else self.start_time.replace(microsecond=0)
        return time, self.memo.number, self.execution


class Followers:
    """Every method raises `TemporalUnavailable` when Temporal does not answer in time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._converter = client.data_converter.payload_converter

    async def exist(self, namespace: str, name: str) -> bool:
        """Tell whether an execution of any Experiment that has or had this name was followed."""
        return bool(await self.count(query_by_name(namespace, name)))

    async def count(self, query: str) -> int:
        """Count the runs that visibility has for `query`."""
        async with temporal_call():
            return (await self._client.count_workflows(query)).count

    async def listed(self, query: str) -> AsyncIterator[Follower]:
        """List all that visibility has for `query`, however long that takes, as long as Temporal goes on answering."""
        pages = self._client.list_workflows(query, page_size=_PAGE_SIZE)
        while pages.next_page_token or pages.current_page is None:
            async with temporal_call():
                await pages.fetch_next_page()
            for run in pages.current_page or ():
                if found := await _follower(run):
                    yield found

    async def of_all(self, targets: Collection[Target], size: int) -> list[Follower]:
        """List those of executions of these Experiments, by one query: open ones and the last to end."""
        prefixes = [followed_prefix(each.namespace, each.name, each.uid) for each in targets]
        if not prefixes:
            return []
        of_any = " OR ".join(f"WorkflowId STARTS_WITH '{prefix}'" for prefix in prefixes)
        query = f"WorkflowType = '{FOLLOW_EXECUTION}' AND ({of_any}) AND ExecutionStatus != 'ContinuedAsNew'"
        async with temporal_call():
            found = [await _follower(run) async for run in self._client.list_workflows(query, limit=size)]
        return [each for each in found if each]

    async def find(self, namespace: str, name: str, execution: str, uids: Collection[str]) -> Follower | None:
        """Find the one of an execution; `uids` are those of the Experiments that it is most likely of."""
        async with temporal_call():
            for uid in dict.fromkeys(uids):
                if found := await self._describe(Target(namespace, name, uid), execution):
                    return found
            # No query knows how an ID ends. It is one of an Experiment that had the name before.
            known = [f"WorkflowId NOT STARTS_WITH '{followed_prefix(namespace, name, uid)}'" for uid in uids]
            earlier = await self._search(" AND ".join((query_by_name(namespace, name), *known)), execution)
            return await self._describe(earlier, execution) if earlier else None

    async def result(self, follower: Follower) -> ExecutionResult | None:
        """Read what it came to. None while it goes on, and where it has come to nothing."""
        if follower.is_open:
            return None
        async with temporal_call():
            handle = self._client.get_workflow_handle(follower.workflow_id, run_id=follower.run_id)
            history = await handle.fetch_history(event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT)
        event = history.events[-1]
        completed = event.workflow_execution_completed_event_attributes.result
        failed = event.workflow_execution_failed_event_attributes.failure.application_failure_info.details
        return decode(completed, ExecutionResult, self._converter) or decode(failed, ExecutionResult, self._converter)

    async def was_requested(self, wish: StartRequest) -> bool:
        """Tell whether an execution was asked for with this key before."""
        async with temporal_call():
            with unless_forgotten():
                await self._client.get_workflow_handle(wish.workflow_id).describe()
                return True
        return False

    async def wait_closed(self, target: Target, execution: str) -> None:
        """Return when the execution was followed to its end, however long that takes, or nobody follows it."""
        handle = self._client.get_workflow_handle(followed_workflow_id(target, execution))
        async with temporal_call(limited=False):
            with suppress(WorkflowFailureError), unless_forgotten():  # it fails where the verdict is not Passed
                await handle.result()

    async def _describe(self, target: Target, execution: str) -> Follower | None:
        with unless_forgotten():
            handle = self._client.get_workflow_handle(followed_workflow_id(target, execution))
            return await _follower(await handle.describe())
        return None

    async def _search(self, query: str, execution: str) -> Target | None:
        async for run in self._client.list_workflows(query, limit=_MAX_SEARCHED):
            match of_followed(run.id):
                case target, found if found == execution:
                    return target
        return None


class FollowerList:
    """Those of one name, from the newest back, as one request goes through them: each is read once."""

    def __init__(self, followers: Followers, namespace: str, name: str) -> None:
        self._followers = followers
        self._query = query_by_name(namespace, name)
        self._known: dict[str, Follower] = {}
        self._known_since, self._known_until = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)

    async def newest(self, before: Key, since: datetime, size: int) -> tuple[list[Follower], datetime | None]:
        """List those of executions that began before `before`: `size`, or more; and the time since which that is all.

        That is None where it is all since `since`. Some of the list may have begun out of these limits.
        """
        end = min(before[0], datetime.now(UTC) + _MAX_SKEW)
        start = await window(self._followers.count, self._query, end, since, size)
        await self._read((start or since) - _MAX_SKEW, end + _MAX_LAG)
        return list(self._known.values()), start

    async def _read(self, first: datetime, last: datetime) -> None:
        """Have all that were begun in this time; what was read before is known."""
        if last > self._known_until:
            self._known, self._known_until, self._known_since = {}, last, last
        if first < self._known_since:
            async for each in self._followers.listed(f"{self._query} AND {begun_within(first, self._known_since)}"):
                self._known.setdefault(each.execution, each)
            self._known_since = first


def query_by_name(namespace: str, name: str) -> str:
    """Select the runs that follow executions of every Experiment that has or had this name."""
    of_name = f"WorkflowId STARTS_WITH '{followed_prefix(namespace, name)}'"
    # Of one that went on as a new run, the newest tells.
    return f"WorkflowType = '{FOLLOW_EXECUTION}' AND {of_name} AND ExecutionStatus != 'ContinuedAsNew'"


async def _follower(run: WorkflowExecution) -> Follower | None:
    """Read what lists show of a run; None where somebody has begun it by hand, under an ID of their own."""
    followed = of_followed(run.id)
    if followed is None:
        return None
    target, execution = followed
    return Follower(target, execution, run.id, run.run_id, run.start_time, run.close_time is None, await _memo(run))


async def _memo(run: WorkflowExecution) -> ExecutionMemo:
    """Read what the run has noted; nothing where that is of a version that noted other things."""
    try:
        memo = _MEMO.validate_python(await run.memo())
        if memo.start_time:
            datetime.fromisoformat(memo.start_time)
    except (ValueError, KeyError, RuntimeError):
        return ExecutionMemo()
    return memo
