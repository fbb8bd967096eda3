"""What templates show, made of what the rest of the api knows. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from api.executions.followers import Follower
from api.experiments.listing import agent_of
from api.pages.charts import TONES, Point, sparkline
from experiments.conditions import ConditionType
from experiments.models import ExperimentStatus, LastExecution, parse_status
from experiments.schedule import next_run
from kube.objects import Object

TREND = 20
"""How many executions a sparkline shows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One Experiment in the list. `tone` is how its state looks, `state` says it in a sentence."""

    namespace: str
    name: str
    uid: str
    agent: str
    tone: str
    state: str
    verdict: str
    verdict_tone: str
    score: str
    next_run: datetime | None
    starts: str


def row(obj: Object, now: datetime) -> Row:
    """Sum up an Experiment as the list shows it."""
    meta, status = obj["metadata"], parse_status(obj)
    tone, sentence = state(obj, status)
    last = status.last_execution
    verdict, score = judged(last)
    return Row(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        agent=agent_of(obj) or "",
        tone=tone,
        state=sentence,
        verdict=verdict,
        verdict_tone=TONES.get(verdict, "quiet"),
        score=score,
        next_run=next_time(obj, now),
        starts=_starts(obj),
    )


def state(obj: Object, status: ExperimentStatus) -> tuple[str, str]:
    """Say in a sentence whether it is Ready or why not, and how that looks."""
    ready = status.condition(ConditionType.READY)
    if ready is None:
        return "quiet", "Nothing was reported yet."
    words = ready.message if ready.status == "True" else f"{ready.reason}: {ready.message}"
    if obj["metadata"].get("deletionTimestamp"):
        return "warn", f"Being deleted. {words}"
    if ready.status == "True":
        return "good", "Ready."
    return ("quiet" if ready.reason == "Suspended" else "bad"), words


def judged(last: LastExecution | None) -> tuple[str, str]:
    """Say what the last execution came to, and how many of its metrics passed."""
    if last is None:
        return "", ""
    if not last.verdict:
        return last.status or "", ""
    counts = last.metrics
    return last.verdict, f"{counts.passed}/{counts.total}" if counts and counts.total else ""


def next_time(obj: Object, now: datetime) -> datetime | None:
    """Say when its schedule begins the next execution; None where it has none, or none that makes sense."""
    schedule = (obj.get("spec") or {}).get("schedule") or {}
    cron, timezone = schedule.get("cron"), schedule.get("timezone") or ""
    return next_run(str(cron), str(timezone), now) if cron else None


def _starts(obj: Object) -> str:
    """Say what begins an execution beside the clock."""
    trigger = (obj.get("spec") or {}).get("trigger") or {}
    return "when the agent changes" if trigger.get("enabled") else ""


def trends(followers: Iterable[Follower]) -> dict[str, Markup]:
    """Draw, by the uid of the Experiment, how its last executions went."""
    found: defaultdict[str, list[Follower]] = defaultdict(list)
    for each in followers:
        if each.memo.verdict:
            found[each.target.uid].append(each)
    return {uid: sparkline(_points(executions)) for uid, executions in found.items()}


def _points(executions: list[Follower]) -> Sequence[Point]:
    newest = sorted(executions, key=lambda each: each.key)[-TREND:]
    return [Point(each.memo.verdict, _share(each.memo.passed, each.memo.total)) for each in newest]


def _share(passed: int, total: int) -> float | None:
    return passed / total if total else None
