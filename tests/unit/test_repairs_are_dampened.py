"""The first repairs of a minute are made at once, further ones with a pause between them."""

from __future__ import annotations

from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef
from watcher.repairs import MAX_REPAIRS_AT_ONCE, RepairLimiter

ONE, OTHER = (ObjectRef(EXPERIMENT, "default", name) for name in ("one", "other"))


def made(limiter: RepairLimiter, until: float) -> list[float]:
    """When repairs are made of a child that is edited every second."""
    times = []
    now = 0.0
    while now < until:
        if limiter.pause(ONE, now) == 0:
            limiter.note(ONE, now)
            times.append(now)
        now += 1.0
    return times


def test_in_any_minute_there_are_a_handful_and_a_few() -> None:
    times = made(RepairLimiter(), 600)
    assert times[:MAX_REPAIRS_AT_ONCE] == [float(i) for i in range(MAX_REPAIRS_AT_ONCE)]
    assert max(sum(start <= time < start + 60 for time in times) for start in range(600)) <= MAX_REPAIRS_AT_ONCE + 4
    assert times[-1] > 580, "it never gives up"


def test_after_a_quiet_minute_it_is_as_before() -> None:
    limiter = RepairLimiter()
    made(limiter, 30)
    assert limiter.pause(ONE, 30) > 0
    assert limiter.pause(ONE, 120) == 0


def test_no_experiment_waits_for_another() -> None:
    limiter = RepairLimiter()
    made(limiter, 30)
    assert limiter.pause(OTHER, 30) == 0
    limiter.forget(ONE)
    assert limiter.pause(ONE, 30) == 0
