"""How an agent did, made up from the scenarios' texts and the agent's image: the same again for the same.

No agent is asked, and no model. Another image may be worse, as rollouts sometimes are: half of them are, and miss about
half of the metrics. What comes out has the format of the phases' own files, and says in each answer that it is a
simulation.
"""

from __future__ import annotations

import html
import json
from hashlib import sha256

from localcluster.testkube.executions import Json

SIMULATION = "This is a simulation of Testkube: no agent was asked and no model judged, and the scores are made up."
_ANSWER = "Simulated answer"
_NO_ANSWER = "ERROR: HTTP Error 503: Network communication error: [Errno -2] Name or service not known"
_DEFAULT_THRESHOLD = 0.9
_NO_TRACE = "0" * 32
_KEPT_OF_STEP = ("input", "reference", "custom_values", "metrics")


def is_worse(image: str) -> bool:
    """Tell whether an image is one of those that answer worse."""
    return _portion("image", image) >= 0.5


def executed(experiment: Json, name: str, image: str | None) -> Json:
    """Return what the agent of this image says to experiment.json, as the run phase writes it.

    Without an image, no agent answers.
    """
    known = {key: value for key, value in experiment.items() if key != "scenarios" and value is not None}
    known.setdefault("default_threshold", _DEFAULT_THRESHOLD)
    scenarios = [_asked(name, each, image) for each in experiment.get("scenarios") or []]
    return {**known, "scenarios": scenarios}


def evaluated(answers: Json, image: str | None) -> Json:
    """Return the scores of what `executed` returned, as the evaluate phase writes them."""
    default = answers["default_threshold"]
    scenarios = []
    for scenario in answers["scenarios"]:
        steps = [_judged(scenario["name"], step, default, image) for step in scenario["steps"]]
        scenarios.append({**scenario, "steps": steps})
    return {**answers, "scenarios": scenarios}


def misses(scores: Json) -> list[str]:
    """List the metrics that the gate counts: what missed its threshold, and all of what was not answered."""
    return [
        each["metric"]["metric_name"]
        for scenario in scores["scenarios"]
        for step in scenario["steps"]
        for each in step.get("evaluations", ())
        if each["result"]["result"] != "pass" or step["turns"][-1]["content"] == _NO_ANSWER
    ]


def report(scores: Json, name: str, execution: str) -> str:
    """Return a page with all scores, as the visualize phase writes one."""
    rows = "".join(
        f"<tr><td>{html.escape(scenario['name'])}<td>{html.escape(each['metric']['metric_name'])}"
        f"<td>{each['result']['score']}<td>{each['result']['result']}"
        for scenario in scores["scenarios"]
        for step in scenario["steps"]
        for each in step.get("evaluations", ())
    )
    title = f"{html.escape(name)}, execution {execution}"
    return (
        f'<!doctype html><meta charset="utf-8"><title>{title} (simulation)</title><h1>{title}</h1>'
        f"<p><strong>{SIMULATION}</strong><table><tr><th>Scenario<th>Metric<th>Score<th>Result{rows}</table>\n"
    )


def as_file(content: Json) -> bytes:
    """Write JSON as the phases do."""
    return json.dumps(content, indent=2, ensure_ascii=False).encode()


def _asked(name: str, scenario: Json, image: str | None) -> Json:
    told = f"{name}/{scenario['name']}"
    steps = []
    for index, step in enumerate(scenario.get("steps") or []):
        kept = {key: step[key] for key in _KEPT_OF_STEP if step.get(key) is not None}
        identity = f"stp_{_hash(told, step['input'], str(index))[:16]}"
        steps.append({**kept, "id": identity, "turns": _turns(step, image)})
    return {"name": scenario["name"], "steps": steps, "id": f"scn_{_hash(told)[:16]}", "trace_id": _NO_TRACE}


def _turns(step: Json, image: str | None) -> list[Json]:
    asked = {"content": step["input"], "type": "human"}
    if image is None:
        return [asked, {"content": _NO_ANSWER, "type": "agent"}]
    reference = step.get("reference") or {}
    turns = [asked]
    for call in reference.get("tool_calls") or []:
        turns.append({"content": "", "type": "agent", "tool_calls": [call]})
        turns.append({"content": f"({_ANSWER} of {call['name']}.)", "type": "tool"})
    said = reference.get("response") or "No agent was asked."
    return [*turns, {"content": f"({_ANSWER} of {image}.) {said}", "type": "agent"}]


def _judged(scenario: str, step: Json, default: float, image: str | None) -> Json:
    if not step.get("metrics"):
        return step
    evaluations = []
    for metric in step["metrics"]:
        threshold = metric.get("threshold")
        needed = float(default if threshold is None else threshold)
        score = _score(needed, image, scenario, step["input"], metric["metric_name"])
        result = {"result": "pass" if score >= needed else "fail", "score": score}
        known = {key: value for key, value in metric.items() if value is not None}
        evaluations.append({"metric": known, "result": result})
    return {**step, "evaluations": evaluations}


def _score(needed: float, image: str | None, *text: str) -> float:
    """Return a score from the threshold up; of an image that is worse, one in two below it."""
    if image is None:
        return 0.0
    portion = _portion(image, *text)
    if is_worse(image) and _portion("missed", image, *text) < 0.5:
        return round(needed * portion * 0.9, 4)
    return max(needed, round(needed + (1 - needed) * portion, 4))


def _portion(*text: str) -> float:
    """Return a number of [0, 1) that follows from the text."""
    return int(_hash(*text)[:8], 16) / 2**32


def _hash(*text: str) -> str:
    return sha256("\0".join(text).encode()).hexdigest()
