"""Which runs a list shows, and where its next page begins.

Visibility has one order: runs that are open, then the last to end first. A page begins behind the last run of the one
before, so what begins or ends meanwhile neither hides nor repeats another. What a query cannot tell (outcome, reasons)
stands in each run's memo, so a filter has to look at run after run, and at no more than a few hundred for one page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from api.http import cursor
from api.http.cursor import CURSOR
from api.reconciliations.schemas import OUTCOMES, STATUSES, Reconciliation, RunPage
from api.reconciliations.visibility import (
    WITHOUT_ATTRIBUTES,
    Runs,
    has_outcome,
    query_by_name,
    query_by_target,
    read_memo,
    status_of,
    temporal_call,
)
from experiments.contract import Target
from experiments.models import Part

_OUTCOMES = (*STATUSES, *chain.from_iterable(OUTCOMES.values()))

# Each run that is looked at costs the server a read of its own; it allows a few thousand a second.
_MAX_RUNS_READ_FOR_A_PAGE = 400
_LIST_SIZE = 200
_READ_SIZE = 20


def _known(outcome: str) -> str:
    if outcome not in _OUTCOMES:
        raise ValueError(f"must be one of {', '.join(_OUTCOMES)}")
    return outcome


def _validate_year(time: datetime) -> datetime:
    if not 1970 < time.year < 2200:
        raise ValueError("must be between 1971 and 2199")
    return time


def _validate_timestamp(text: str) -> str:
    _validate_year(datetime.fromisoformat(text[:19]))
    return text


OutcomeParameter = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(_OUTCOMES)})]
Time = Annotated[AwareDatetime, AfterValidator(_validate_year)]
# As the server writes it: Python's have no nanoseconds.
ServerTime = Annotated[
    str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"), AfterValidator(_validate_timestamp)
]


class RunFilter(Part):
    """The parameters of a list. Unknown ones are refused: a filter that is misspelt must not look like no filter."""

    model_config = ConfigDict(populate_by_name=False, extra="forbid")

    outcome: OutcomeParameter | None = Field(None, description="A `status` or an `outcome`.", examples=["Reconciled"])
    reason: str = Field(
        "",
        max_length=100,
        description="Text in one of the first ten `reasons`, in upper or lower case.",
        examples=["TestTrigger"],
    )
    since: Time | None = Field(None, description="Runs that began then or later.", examples=["2026-11-01T00:00:00Z"])
    until: Time | None = Field(None, description="Runs that began before.", examples=["2199-01-01T00:00:00Z"])
    limit: int = Field(50, ge=1, le=200, description="How many runs at most.", examples=[20])
    cursor: str | None = Field(
        None, max_length=16_000, pattern=CURSOR, description="`nextCursor` of the page before, with the same filters."
    )

    @property
    def is_plain(self) -> bool:
        """Whether every run that visibility lists is wanted."""
        return not self.reason and self.outcome in (None, *STATUSES)

    def within(self, selection: str) -> str:
        """Select, as a query for visibility, those of `selection` in the time range, whatever they came to."""
        parts = [selection]
        parts += [f"StartTime >= '{_utc(self.since)}'"] if self.since else []
        parts += [f"StartTime < '{_utc(self.until)}'"] if self.until else []
        return " AND ".join(parts)

    def narrow(self, span: str, *, search_attributes: bool) -> str:
        """Leave out what visibility can tell of the outcome. What it cannot, each run's memo says."""
        if self.outcome is None:
            return span
        if self.outcome in STATUSES:
            return f"{span} AND ExecutionStatus = '{self.outcome}'"
        status = next(status for status, outcomes in OUTCOMES.items() if self.outcome in outcomes)
        narrowed = f"{span} AND ExecutionStatus = '{status}'"
        return (
            f"{narrowed} AND ({has_outcome(self.outcome)} OR {WITHOUT_ATTRIBUTES})" if search_attributes else narrowed
        )

    def accepts(self, status: str, outcome: str, reasons: Iterable[str]) -> bool:
        text = self.reason.casefold()
        return self.outcome in (None, status, outcome) and (
            not text or any(text in reason.casefold() for reason in reasons)
        )


class RunQuery(RunFilter):
    """The same for the runs of one name."""

    uid: UUID | None = Field(
        None, description="Of one of the objects that had the name.", examples=["a72ea94c-ace5-463f-8578-0b98d0584fd8"]
    )

    def selection(self, namespace: str, name: str) -> str:
        return query_by_target(Target(namespace, name, str(self.uid))) if self.uid else query_by_name(namespace, name)


async def page(runs: Runs, selection: str, query: RunFilter, *, scope: str = "") -> RunPage:
    """Read one page of the runs of `selection`, a query for visibility.

    Cursors are good for the same `scope` and filters. It is the selection itself, unless that may change between one
    page and the next. Raises InvalidRequest and TemporalUnavailable.
    """
    span = query.within(selection)
    listed = f"{query.within(scope or selection)} {query.outcome} {query.reason}"
    async with temporal_call():
        if query.cursor is not None:
            items, end = await _fill(runs, query, span, cursor.decode(query.cursor, _POSITION, listed))
            counts = None
        else:
            (items, end), counts = await asyncio.gather(_fill(runs, query, span, _PagePosition()), runs.counts(span))
    next_cursor = cursor.encode(end, _POSITION, listed) if end else None
    return RunPage(items=items, next_cursor=next_cursor, counts=counts)


class _PagePosition(BaseModel):
    """How far pages have come: when the last run that they have passed ended, None where that one was open.

    A query from there finds again those that ended at the same time, and perhaps those that were open: visibility may
    not have known yet that they had ended.
    """

    model_config = ConfigDict(frozen=True)

    close_time: ServerTime | None = None
    same_time: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    def after(self, run: WorkflowExecution) -> Self:
        if run.status is WorkflowExecutionStatus.RUNNING:
            return self.model_copy(update={"open": (*self.open, run.run_id)})
        time = run.raw_info.close_time.ToJsonString()
        same = (*self.same_time, run.run_id) if time == self.close_time else (run.run_id,)
        return self.model_copy(update={"close_time": time, "same_time": same})

    def query(self, span: str) -> str:
        return f"{span} AND CloseTime <= '{self.close_time}'" if self.close_time else span

    @property
    def passed(self) -> set[str]:
        return {*self.same_time, *self.open}


_POSITION = TypeAdapter(_PagePosition)


async def _fill(
    runs: Runs, query: RunFilter, span: str, position: _PagePosition
) -> tuple[list[Reconciliation], _PagePosition | None]:
    """Collect the runs of one page, and how far it has come; None at the end."""
    items: list[Reconciliation] = []
    looked_at = 0
    async with aclosing(_following(runs, query, span, position)) as following:
        async for run, item in following:
            if len(items) == query.limit or looked_at == _MAX_RUNS_READ_FOR_A_PAGE:
                return items, position
            position, looked_at = position.after(run), looked_at + 1
            items += [item] if item else []
    return items, None


async def _following(
    runs: Runs, query: RunFilter, span: str, position: _PagePosition
) -> AsyncGenerator[tuple[WorkflowExecution, Reconciliation | None]]:
    """Yield every run behind `position` that visibility lists, and what it is if it is wanted."""
    span = query.narrow(span, search_attributes=runs.search_attributes)
    more = True
    while more:
        size = (query.limit + 1 if query.is_plain else _LIST_SIZE) + len(position.passed)
        listed = await runs.listed(position.query(span), size)
        more = len(listed) == size
        found = [run for run in listed if run.run_id not in position.passed]
        at_once = max(query.limit + 1, _READ_SIZE)
        for start in range(0, len(found), at_once):
            batch = found[start : start + at_once]
            read = await runs.read([run for run in batch if await _matches_memo(run, query)])
            items = {item.run_id: item for item in read if query.accepts(item.status, item.outcome, item.reasons)}
            for run in batch:
                position = position.after(run)
                yield run, items.get(run.run_id)


async def _matches_memo(run: WorkflowExecution, query: RunFilter) -> bool:
    """Tell by what visibility knows of it. True, too, where only the history can tell."""
    if query.outcome is None and not query.reason:
        return True
    note, status = await read_memo(run), status_of(run)
    if status in ("Completed", "Failed") and not note.outcome:
        return True
    return query.accepts(status, note.outcome or status, note.reasons)


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()
