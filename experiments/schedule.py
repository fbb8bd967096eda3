"""Whether a schedule can ever run: Testkube only logs one that cannot.

The CRD's pattern keeps out what does not look like five cron fields; this is about what does and still is nonsense.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, CroniterError, croniter

from experiments.errors import InvalidSchedule
from experiments.models import Schedule

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NUMBERS = {name: n for n, name in enumerate(_DAYS)} | {name: n for n, name in enumerate(_MONTHS, 1)}
_SCHEDULER_SECONDS = 10
_RANGE = re.compile(r"(\w+)-(\w+)")


def check_schedule(schedule: Schedule | None) -> None:
    """Raise `InvalidSchedule` where Testkube's scheduler would refuse it, or it would never run."""
    if schedule is None:
        return
    for start, end in _RANGE.findall(schedule.cron.lower()):
        # Testkube's scheduler refuses a range that runs backwards; croniter lets it wrap around.
        if int(_NUMBERS.get(start, start)) > int(_NUMBERS.get(end, end)):
            raise InvalidSchedule(f"spec.schedule.cron: the range {start}-{end} of '{schedule.cron}' runs backwards.")
    try:
        croniter(schedule.cron, 0, max_years_between_matches=8).get_next()
    except CroniterBadDateError:
        raise InvalidSchedule(f"spec.schedule.cron: '{schedule.cron}' names no date that exists.") from None
    except CroniterError as error:
        raise InvalidSchedule(f"spec.schedule.cron: '{schedule.cron}': {error}.") from None
    if schedule.timezone:
        _check_timezone(schedule.timezone)


def fires_at(cron: str, timezone: str, time: datetime) -> bool:
    """Tell whether a schedule begins something at this time, give or take what Testkube's scheduler needs for it."""
    try:
        local = time.astimezone(ZoneInfo(timezone or "UTC"))
        return local.second < _SCHEDULER_SECONDS and bool(croniter.match(cron, local))
    except (CroniterError, ValueError, ZoneInfoNotFoundError):
        return False


def next_run(cron: str, timezone: str, now: datetime) -> datetime | None:
    """Return when a schedule begins something next; None where it makes no sense, or never does."""
    try:
        found: datetime = croniter(
            cron, now.astimezone(ZoneInfo(timezone or "UTC")), max_years_between_matches=8
        ).get_next(datetime)
    except (CroniterError, ValueError, ZoneInfoNotFoundError):
        return None
    return found


def shortest_pause(schedule: Schedule) -> int:
    """Return the minutes between two runs where they follow each other fastest; 60 for an hour and more."""
    try:
        fields, _ = croniter.expand(schedule.cron)
    except CroniterError:
        return 60
    minutes, hours = (
        range(end) if "*" in field else sorted(map(int, field)) for field, end in zip(fields, (60, 24), strict=False)
    )
    pauses = [later - earlier for earlier, later in pairwise(minutes)]
    if any((later - earlier) % 24 == 1 for earlier, later in pairwise([*hours, hours[0]])):
        pauses.append(60 - minutes[-1] + minutes[0])
    return min(pauses, default=60)


def _check_timezone(name: str) -> None:
    if name not in _time_zones():
        raise InvalidSchedule(f"spec.schedule.timezone: there is no time zone '{name}'.")


@cache
def _time_zones() -> frozenset[str]:
    """Read the names of the IANA database as it was released, not those of files that this machine happens to have."""
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    # What stands for a clock that nobody has set.
    return frozenset(names) - {"Factory"}
