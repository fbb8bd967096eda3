"""Which executions a list shows, and where its next page begins.

The newest by their start come first, whichever source has them. A page begins behind the last execution of the one
before, so what begins meanwhile neither hides nor repeats another. Verdict, status and starter stand in memos and in
Testkube's answers, which no query can look into: a filter looks at one after the other, at some thousand for one page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, TypeVar

from pydantic import ConfigDict, Field

from api.executions.schemas import Execution
from api.executions.stretches import KEY, OLDEST, Key, Stretch, at
from api.http import cursor
from api.http.cursor import CURSOR
from api.reconciliations.pages import Time
from experiments.evaluation import Verdict
from experiments.executions import Starter
from experiments.models import Part

T = TypeVar("T")

_MAX_LOOKED_AT = 2000
_LEAST = 50
_MAX_CLOCK_SKEW = timedelta(days=1)


class TimeQuery(Part):
    """The parameters of a list by time. Unknown ones are refused: one that is misspelt must not look like none."""

    model_config = ConfigDict(populate_by_name=False, extra="forbid")

    since: Time | None = Field(None, description="What began then or later.", examples=["2026-11-01T00:00:00Z"])
    until: Time | None = Field(None, description="What began before.", examples=["2199-01-01T00:00:00Z"])
    limit: int = Field(50, ge=1, le=200, description="How many at most.", examples=[20])
    cursor: str | None = Field(
        None, max_length=1000, pattern=CURSOR, description="`nextCursor` of the page before, with the same filters."
    )


class ExecutionQuery(TimeQuery):
    verdict: Verdict | None = Field(None, description="How the agent did.", examples=["Failed"])
    status: str | None = Field(None, pattern="^[a-z]{1,30}$", description="As Testkube calls it.", examples=["passed"])
    started_by: Starter | None = Field(None, description="Who or what began it.", examples=["Trigger"])

    def accepts(self, execution: Execution) -> bool:
        wanted = (self.verdict, self.status, self.started_by)
        found = (execution.verdict, execution.status, execution.started_by)
        return all(want is None or want == is_ for want, is_ in zip(wanted, found, strict=True))


Reads: TypeAlias = Callable[[Key, datetime, int], Awaitable[Stretch[T]]]
"""Reads a stretch: what began before the one and since the other, the newest first, so many or more."""


async def page(
    read: Reads[T], query: TimeQuery, listed: str, accepts: Callable[[T], bool] = lambda _: True
) -> tuple[list[T], str | None]:
    """Read one page, and name the next. `listed` says what is listed, for the cursor. Raises InvalidRequest."""
    listed = f"{listed} {query.model_dump_json(exclude={'cursor', 'limit'})}"
    before = cursor.decode(query.cursor, KEY, listed) if query.cursor else at(query.until or _now())
    items, end = await _fill(read, query, before, accepts)
    return items, cursor.encode(end, KEY, listed) if end else None


async def first(read: Reads[T], accepts: Callable[[T], bool], before: Key | None = None) -> T | None:
    """Find the newest, or the newest before `before`, that is accepted: among some thousand, or else None."""
    items, _ = await _fill(read, TimeQuery(limit=1), before or at(_now()), accepts)
    return items[0] if items else None


async def _fill(
    read: Reads[T], query: TimeQuery, before: Key, accepts: Callable[[T], bool]
) -> tuple[list[T], Key | None]:
    """Collect the items of one page, and how far it has come; None at the end."""
    items: list[T] = []
    looked_at, size = 0, max(query.limit + 1, _LEAST)
    while True:
        stretch = await read(before, query.since or OLDEST, size)
        for key, item in stretch.items:
            if len(items) == query.limit:
                return items, before
            before, looked_at = key, looked_at + 1
            items += [item] if accepts(item) else []
        if stretch.reached is None:
            return items, None
        before, size = stretch.reached, 2 * size  # few fit
        if looked_at >= _MAX_LOOKED_AT:
            return items, before


def _now() -> datetime:
    """Return the end of what can have begun, as whichever clock says."""
    return datetime.now(UTC) + _MAX_CLOCK_SKEW
