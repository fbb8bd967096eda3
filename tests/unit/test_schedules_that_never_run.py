"""Testkube only logs a schedule that it cannot keep, so it is checked here."""

from __future__ import annotations

import zoneinfo
from importlib import resources
from pathlib import Path

import pytest

from experiments.errors import InvalidSchedule
from experiments.models import Schedule
from experiments.resources import TEST_WORKFLOW
from experiments.schedule import check_schedule
from support.memory import MemoryWorld


@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *",
        "*/15 8-17 * * 1-5",
        "0 6 1,15 JAN-jun MON-FRI",
        "0 0 29 2 *",
        "0 0 31 2 1",
        "*/90 * * * *",
        "1/5 * * * *",
        "5-5 * * * *",
        "0 0 * * 0-6",
    ],
)
def test_a_schedule_that_runs_is_fine(cron: str) -> None:
    check_schedule(Schedule(cron=cron))


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("0 0 30 2 *", "'0 0 30 2 *' names no date that exists."),
        ("0 0 31 4,6,9,11 *", "'0 0 31 4,6,9,11 *' names no date that exists."),
        ("0 17-8 * * *", "the range 17-8 of '0 17-8 * * *' runs backwards."),
        ("0 0 * NOV-feb *", "the range nov-feb of '0 0 * NOV-feb *' runs backwards."),
        ("0 0 * * fri-mon", "the range fri-mon of '0 0 * * fri-mon' runs backwards."),
    ],
)
def test_one_that_never_runs_is_named(cron: str, problem: str) -> None:
    with pytest.raises(InvalidSchedule) as error:
        check_schedule(Schedule(cron=cron))
    assert str(error.value) == f"spec.schedule.cron: {problem}"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "CET"])
def test_a_time_zone_that_exists(zone: str) -> None:
    check_schedule(Schedule(cron="0 6 * * *", timezone=zone))


NO_ZONES = [
    *("Europe/Atlantis", "Berlin", "Europe", "MESZ", "europe/berlin", "utc", "Local"),
    # Files of that name lie where machines have their time zones.
    *("localtime", "posixrules", "Factory", "posix/Europe/Berlin", "right/UTC", "leapseconds"),
]


@pytest.mark.parametrize("zone", NO_ZONES)
def test_a_time_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(InvalidSchedule) as error:
        check_schedule(Schedule(cron="0 6 * * *", timezone=zone))
    assert str(error.value) == f"spec.schedule.timezone: there is no time zone '{zone}'."


def test_what_the_machine_has_does_not_matter(tmp_path: Path) -> None:
    """Some have none at all, and some have their own."""
    berlin = resources.files("tzdata").joinpath("zoneinfo/Europe/Berlin").read_bytes()
    (tmp_path / "Ours").write_bytes(berlin)
    zoneinfo.reset_tzpath(to=[tmp_path])
    try:
        with pytest.raises(InvalidSchedule):
            check_schedule(Schedule(cron="0 6 * * *", timezone="Ours"))
        check_schedule(Schedule(cron="0 6 * * *", timezone="Europe/Berlin"))
    finally:
        zoneinfo.reset_tzpath()


def test_every_name_of_the_database_is_one() -> None:
    zones = resources.files("tzdata").joinpath("zones").read_text().split()
    for zone in set(zones) - {"Factory"}:
        check_schedule(Schedule(cron="0 6 * * *", timezone=zone))
    assert len(zones) > 500


def test_a_schedule_is_in_the_workflow(world: type[MemoryWorld]) -> None:
    made = world(schedule={"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"})
    cronjob = {"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"}
    assert made.manifest(TEST_WORKFLOW)["spec"]["events"] == [{"cronjob": cronjob}]
    made.edit(schedule={"cron": "0 6 * * 1-5"})
    assert made.manifest(TEST_WORKFLOW)["spec"]["events"] == [{"cronjob": {"cron": "0 6 * * 1-5"}}]
    made.edit(schedule=None)
    assert "events" not in made.manifest(TEST_WORKFLOW)["spec"]


def test_one_that_never_runs_keeps_the_workflow_back(world: type[MemoryWorld]) -> None:
    made = world(schedule={"cron": "0 0 30 2 *"})
    assert made.condition("Ready")[:2] == ("False", "InvalidSchedule")
    assert TEST_WORKFLOW not in {action.ref.resource for action in made.plan().actions}
