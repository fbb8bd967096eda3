"""What an evaluation came to: the scores of evaluated_experiment.json, the verdict, and how two of them differ. Pure.

The file is made by the phase `evaluate` (agentic-layer-testbench 0.10.0). It is read leniently, since other versions
have other fields: what makes no sense is left out, and a file of which nothing is left has not been evaluated.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Verdict: TypeAlias = Literal["Passed", "Failed", "Errored", "NotEvaluated"]
"""Errored is one that could not be judged in full: the agent did not answer, or a metric had an error."""
Effect: TypeAlias = Literal["worse", "better", "same", "added", "removed"]

EVALUATED_EXPERIMENT = "data/experiments/evaluated_experiment.json"
REPORT = "data/results/evaluation_report.html"
MAX_ARTIFACT_BYTES = 32 * 1024 * 1024
"""Of evaluated_experiment.json: the largest Experiment, with its answers, stays far below."""

_MAX_NAMED = 3
_MAX_ERROR_LENGTH = 200
# Thresholds and scores are compared by the phase itself, which knows more digits: this is only for words and changes.
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class MetricScore:
    """One metric of one step. `step` counts from 0 within its scenario; `score` is 0 to 1, None where it has an error.

    `variant` tells metrics of the same name in one step apart: their parameters, as JSON.
    """

    scenario: str
    step: int
    metric: str
    score: float | None
    threshold: float | None
    passed: bool
    error: str = ""
    variant: str = ""

    @property
    def key(self) -> tuple[str, int, str, str]:
        """By which it is found again in another execution."""
        return self.scenario, self.step, self.metric, self.variant


@dataclass(frozen=True, slots=True)
class Counts:
    """How many metrics there are; each is one of passed, failed and errored."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    errored: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdict with what it rests on. `message` is a sentence for people."""

    verdict: Verdict
    message: str
    scores: tuple[MetricScore, ...] = field(default=(), repr=False)

    @property
    def counts(self) -> Counts:
        errored = sum(bool(score.error) for score in self.scores)
        passed = sum(score.passed for score in self.scores)
        return Counts(len(self.scores), passed, len(self.scores) - passed - errored, errored)

    @property
    def by_metric(self) -> dict[str, float]:
        """Return the mean score of each metric, over all steps in which it has one."""
        found: defaultdict[str, list[float]] = defaultdict(list)
        for score in self.scores:
            if score.score is not None:
                found[score.metric].append(score.score)
        return {metric: sum(scores) / len(scores) for metric, scores in sorted(found.items())}


def not_evaluated(why: str) -> Evaluation:
    """Make what stands for an evaluation where there is none, with the sentence that says why."""
    return Evaluation("NotEvaluated", why)


def read(content: bytes) -> Evaluation:
    """Judge the content of evaluated_experiment.json. Never raises."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        return not_evaluated(f"{EVALUATED_EXPERIMENT} is no JSON: {error}.")
    if not isinstance(document, dict) or not isinstance(document.get("scenarios"), list):
        return not_evaluated(f"{EVALUATED_EXPERIMENT} names no scenarios.")
    return _judge(list(_steps(document)))


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said in a step, by `human`, `agent` or `tool`. `tool_calls` are as they are in the file."""

    type: str
    content: str
    tool_calls: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step with its scores. `error` is what the agent's client said instead of an answer."""

    scenario: str
    number: int
    scores: tuple[MetricScore, ...]
    error: str = ""
    document: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def input(self) -> str:
        return str(self.document.get("input") or "")

    @property
    def turns(self) -> list[Turn]:
        return [
            Turn(str(turn.get("type") or ""), str(turn.get("content") or ""), tuple(_objects(turn.get("tool_calls"))))
            for turn in _objects(self.document.get("turns"))
        ]


def steps(content: bytes) -> list[Step]:
    """Read the steps with what was said in them, in the order of the file. Empty where `read` makes no sense of it."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return []
    makes_sense = isinstance(document, dict) and isinstance(document.get("scenarios"), list)
    return list(_steps(document)) if makes_sense else []


def _judge(steps: Sequence[Step]) -> Evaluation:
    scores = tuple(score for step in steps for score in step.scores)
    unanswered = [step for step in steps if step.error]
    counts = Evaluation("NotEvaluated", "", scores).counts
    if unanswered:
        message = f"The agent did not answer in {len(unanswered)} of {len(steps)} steps: {unanswered[0].error}"
        return Evaluation("Errored", message, scores)
    if counts.errored:
        first = next(score for score in scores if score.error)
        message = f"{counts.errored} of {_metrics(counts.total)} could not be judged: {first.metric}: {first.error}"
        return Evaluation("Errored", message, scores)
    if not scores:
        return not_evaluated("No step has a metric, so nothing was judged.")
    if counts.failed:
        missed = [score for score in scores if not score.passed]
        more = f" and {len(missed) - _MAX_NAMED} more" if len(missed) > _MAX_NAMED else ""
        named = ", ".join(map(_told, missed[:_MAX_NAMED]))
        return Evaluation("Failed", f"{counts.failed} of {_metrics(counts.total)} failed: {named}{more}.", scores)
    return Evaluation("Passed", f"{_metrics(counts.total)} passed.".capitalize(), scores)


def _metrics(number: int) -> str:
    return "1 metric" if number == 1 else f"{number} metrics"


def _told(score: MetricScore) -> str:
    value = "no score" if score.score is None else f"{score.score:.2f}"
    limit = "" if score.threshold is None else f", threshold {score.threshold:g}"
    return f"{score.metric} of '{score.scenario}' ({value}{limit})"


def _steps(document: dict[str, Any]) -> Iterator[Step]:
    default = _number(document.get("default_threshold"))
    for scenario in _objects(document["scenarios"]):
        name = str(scenario.get("name") or scenario.get("id") or "")
        for number, step in enumerate(_objects(scenario.get("steps"))):
            error = _unanswered(step)
            scores = tuple(_scores(name, number, step, default, error))
            yield Step(name, number, scores, error, step)


def _scores(
    scenario: str, number: int, step: dict[str, Any], default: float | None, unanswered: str
) -> Iterator[MetricScore]:
    for evaluation in _objects(step.get("evaluations")):
        metric, result = _object(evaluation.get("metric")), _object(evaluation.get("result"))
        value, threshold = result.get("score"), _number(metric.get("threshold"))
        score = _number(value)
        # What was said of an answer that is none says nothing of the agent.
        error = unanswered or _error(result, value, score)
        yield MetricScore(
            scenario=scenario,
            step=number,
            metric=str(metric.get("metric_name") or "(unnamed)"),
            score=None if error else score,
            threshold=default if threshold is None else threshold,
            passed=not error and result.get("result") == "pass",
            error=error,
            variant=json.dumps(metric["parameters"], sort_keys=True) if metric.get("parameters") else "",
        )


def _error(result: dict[str, Any], value: Any, score: float | None) -> str:
    if error := _object(result.get("details")).get("error"):
        return _in_brief(error)
    if value is not None and (score is None or not 0 <= score <= 1):
        return _in_brief(f"the score {value!r} is no number from 0 to 1")
    return ""


def _unanswered(step: dict[str, Any]) -> str:
    """Return what stands in the place of the last answer where there is none: the phase writes the error there."""
    turn = _object(next(reversed(_objects(step.get("turns"))), None))
    content = str(turn.get("content") or "")
    return _in_brief(content) if turn.get("type") == "agent" and content.startswith("ERROR:") else ""


def _in_brief(text: Any) -> str:
    return " ".join(str(text).split())[:_MAX_ERROR_LENGTH]


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Change:
    """One metric in two executions. `change` is head's score less base's; None where one of them has none."""

    scenario: str
    step: int
    metric: str
    base: MetricScore | None
    head: MetricScore | None
    change: float | None
    effect: Effect


def compare(base: Iterable[MetricScore], head: Iterable[MetricScore]) -> list[Change]:
    """Compare two executions metric by metric, the greatest harm first.

    What passed and does not any more comes before what has lost score, and what was gained comes last.
    """
    before, after = _numbered(base), _numbered(head)
    changes = [_change(before.get(key), after.get(key)) for key in dict.fromkeys((*before, *after))]
    return sorted(changes, key=_harm)


def _numbered(scores: Iterable[MetricScore]) -> dict[tuple[Any, ...], MetricScore]:
    """File scores by their key. The same metric may stand in one step several times."""
    seen: Counter[tuple[Any, ...]] = Counter()
    found = {}
    for score in scores:
        found[(*score.key, seen[score.key])] = score
        seen[score.key] += 1
    return found


def _change(base: MetricScore | None, head: MetricScore | None) -> Change:
    either = head or base
    if either is None:
        raise ValueError("a change needs one side at least")
    change = None
    if base and head and base.score is not None and head.score is not None:
        change = head.score - base.score
    return Change(either.scenario, either.step, either.metric, base, head, change, _effect(base, head, change))


def _effect(base: MetricScore | None, head: MetricScore | None, change: float | None) -> Effect:
    if base is None or head is None:
        return "added" if base is None else "removed"
    if base.passed != head.passed:
        return "better" if head.passed else "worse"
    if bool(base.error) != bool(head.error):
        return "worse" if head.error else "better"
    if change is None or abs(change) < _SAME:
        return "same"
    return "better" if change > 0 else "worse"


def _harm(change: Change) -> tuple[int, float, str, int, str]:
    base, head = change.base, change.head
    lost = base is not None and head is not None and base.passed and not head.passed
    rank = 0 if lost else {"worse": 1, "removed": 2, "added": 3, "same": 4, "better": 5}[change.effect]
    return rank, change.change or 0.0, change.scenario, change.step, change.metric
