"""Lists of what has begun, the newest first, made of sources that keep it in an order of their own.

A source gives a stretch: whatever it has between two points in time. Where stretches of several sources overlap, all is
known, and can be put in order; what one of them has beyond is read again for the next stretch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, TypeAlias, TypeVar

from pydantic import TypeAdapter

from api.reconciliations.pages import Time
from api.reconciliations.visibility import begun_within

T = TypeVar("T")

Key: TypeAlias = tuple[datetime, int, str]
"""When it began and, for what began in the same moment, its number and its ID. No two have the same."""
KEY: TypeAdapter[tuple[datetime, int, str]] = TypeAdapter(tuple[Time, int, Annotated[str, "ID"]])
OLDEST = datetime(1971, 1, 1, tzinfo=UTC)

# What is not more than this is read at once, without looking for a window in which there is enough.
_FEW = 100
_FIRST_WINDOW = timedelta(hours=1)
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Stretch(Generic[T]):
    """All that there is from some point back to `reached`, itself included; None where nothing older is left."""

    items: list[tuple[Key, T]]
    reached: Key | None


def at(time: datetime) -> Key:
    """Make the key that comes before those of all that began at this time, or later."""
    return time, 0, ""


def merged(stretches: Iterable[Stretch[T]]) -> Stretch[T]:
    """Put stretches that begin at the same point into one, the newest first, as far back as all of them go."""
    found = list(stretches)
    reached = max((each.reached for each in found if each.reached), default=None)
    items = [(key, item) for each in found for key, item in each.items if reached is None or key >= reached]
    return Stretch(sorted(items, key=lambda keyed: keyed[0], reverse=True), reached)


async def window(
    count: Callable[[str], Awaitable[int]], query: str, end: datetime, since: datetime, size: int
) -> datetime | None:
    """Find the time since which, before `end`, `query` has `size` and not many more. None where all since `since` do.

    `count` says how many a query for visibility has. It is cheap, where a list in this order is not to be had.
    """
    total = await count(f"{query} AND {begun_within(since, end)}")
    span = _FIRST_WINDOW
    while total > max(_FEW, size) and end - span > since:
        if await count(f"{query} AND {begun_within(end - span, end)}") >= size:
            return end - span
        span *= _GROWTH
    return None
