"""What templates show, made of what the rest of the api knows. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from api.executions.followers import Follower
from api.executions.schemas import Execution
from api.experiments.listing import agent_of
from api.pages.advice import advice
from api.pages.charts import TONES, Point, plot, sparkline
from api.timeline.schemas import TimelineItem
from experiments.conditions import ConditionType, Reason
from experiments.models import Condition, ExperimentStatus, LastExecution, parse_status
from experiments.schedule import next_run
from kube.objects import Object

TREND = 20
"""How many executions a sparkline shows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One Experiment in the list and on its page. `tone` is how its state looks, `state` says it in a sentence."""

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
    """Sum up an Experiment, as far as it says itself how it is."""
    meta, status = obj["metadata"], parse_status(obj)
    tone, sentence = _state(obj, status)
    verdict, score = _judged(status.last_execution)
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
        next_run=_next_time(obj, now),
        starts=_starts(obj),
    )


def _state(obj: Object, status: ExperimentStatus) -> tuple[str, str]:
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


def _judged(last: LastExecution | None) -> tuple[str, str]:
    """Say what the last execution came to, and how many of its metrics passed."""
    if last is None:
        return "", ""
    if not last.verdict:
        return last.status or "", ""
    counts = last.metrics
    return last.verdict, f"{counts.passed}/{counts.total}" if counts and counts.total else ""


def _next_time(obj: Object, now: datetime) -> datetime | None:
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
    newest = [each.memo for each in sorted(executions, key=lambda each: each.key)[-TREND:]]
    return [Point(memo.verdict, memo.passed / memo.total if memo.total else None) for memo in newest]


@dataclass(frozen=True, slots=True)
class Notice:
    """What is wrong, or worth knowing, in the words of the status; and what to do, in those of the docs."""

    tone: str
    title: str
    message: str
    advice: Markup


def notices(status: ExperimentStatus) -> list[Notice]:
    """Collect what conditions tell, the worst first: each reason once."""
    found = [each for each in status.conditions if _tone(each) and each.type not in _SAME_AS_READY]
    found.sort(key=lambda each: (_tone(each) != "bad", each.type != ConditionType.READY))
    by_reason = {each.reason: each for each in reversed(found)}
    return [
        Notice(_tone(each), f"{each.type}: {each.reason}", each.message, advice(each.reason))
        for each in found
        if by_reason[each.reason] is each
    ]


def _tone(condition: Condition) -> str:
    if condition.status == "False":
        return "warn" if condition.type == ConditionType.AGENT_RESOLVED else "bad"
    return "warn" if condition.reason in _WORTH_KNOWING else ""


_SAME_AS_READY = (ConditionType.RECONCILING, ConditionType.STALLED)
_WORTH_KNOWING = (Reason.APPLIED_WITH_WARNINGS, Reason.PARAMETERS_UNFILLED, Reason.AGENT_NOT_READY)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline: a reconciliation, or with `execution` an execution."""

    time: datetime
    what: str
    tone: str
    outcome: str
    why: str
    message: str
    changes: list[str]
    seconds: float | None
    execution: str
    temporal: str | None


def entry(item: TimelineItem) -> Entry:
    """Tell of one thing that has happened."""
    done, executed = item.reconciliation, item.execution
    if executed:
        return execution_entry(executed)
    if done is None:
        raise ValueError("an item has one of both")
    return Entry(
        time=item.time,
        what="Reconciliation",
        tone=_OUTCOMES.get(done.status, "bad"),
        outcome=done.outcome,
        why="; ".join(done.reasons),
        message=done.message,
        changes=done.changes,
        seconds=done.duration_seconds,
        execution="",
        temporal=done.temporal_url,
    )


def execution_entry(executed: Execution) -> Entry:
    """Tell of one execution."""
    number = f" {executed.execution_number}" if executed.execution_number else ""
    return Entry(
        time=executed.start_time,
        what=f"Execution{number}",
        tone=TONES.get(executed.verdict or "", "quiet"),
        outcome=executed.summary or "unknown",
        why=_STARTERS.get(executed.started_by or "", ""),
        message=executed.message or "",
        changes=[],
        seconds=executed.duration_seconds,
        execution=executed.execution_id,
        temporal=executed.links.temporal,
    )


_OUTCOMES = {"Completed": "good", "Running": "quiet", "ContinuedAsNew": "quiet"}
_STARTERS = {
    "Trigger": "The agent changed.",
    "Cron": "Its schedule.",
    "User": "Somebody started it in Testkube.",
    "Service": "Somebody asked this service for it.",
}
CHILD_STATES = {
    "asPlanned": ("good", "as planned"),
    "missing": ("bad", "missing"),
    "edited": ("warn", "edited by somebody, will be corrected"),
    "outdated": ("warn", "outdated, will be changed"),
    "unwanted": ("warn", "not wanted any more"),
    "terminating": ("warn", "being deleted"),
    "foreign": ("bad", "made by somebody else"),
    "unchecked": ("quiet", "not compared at present"),
}
"""How a generated object looks, and in words."""


def plots(executions: Sequence[Execution]) -> list[tuple[str, Markup]]:
    """Draw the mean score of each metric over these executions, which come newest first."""
    oldest_first = [each for each in reversed(executions) if each.verdict]
    names = sorted({metric for each in oldest_first for metric in each.by_metric})
    return [(name, plot(name, [_point(each, name) for each in oldest_first])) for name in names[:_MAX_PLOTS]]


_MAX_PLOTS = 20


def _point(executed: Execution, metric: str) -> Point:
    value = executed.by_metric.get(metric)
    words = "" if value is None else f"Execution {executed.execution_number or ''}: {value:.2f}"
    return Point(executed.verdict or "", value, words)
