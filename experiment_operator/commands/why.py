"""The command `why`: how an Experiment is, what was done and evaluated last, and what would be done now."""

from __future__ import annotations

from typing import Any

from experiment_operator.commands.api_client import Remote, asking
from experiment_operator.commands.executions import print_execution
from experiment_operator.commands.history import print_run
from experiment_operator.commands.output import Printer, local_time
from experiment_operator.commands.plan import print_plan
from experiment_operator.settings import Why

_LOOKED_AT = 10  # executions: more are hardly under way at once
_CONDITION_SIGNS = {"True": ("✓ ", "green"), "False": ("✗ ", "red")}
_SAYS_THE_SAME_AS_READY = {"Reconciling", "Stalled"}


@asking
async def why(settings: Why, api: Remote, out: Printer) -> int:
    """Explain an Experiment."""
    path = f"/namespaces/{api.namespace}/experiments/{settings.name}"
    experiment = await api.get(path)
    plan = await api.get(f"{path}/plan")
    runs = (await api.get(f"{path}/reconciliations", limit=3))["items"]
    evaluations = await _evaluations(api, path)
    if not out.for_people:
        out.document({"experiment": experiment, "plan": plan, "reconciliations": runs, "executions": evaluations})
        return 0
    colour = "green" if experiment["ready"] else "red"
    state = "Ready" if experiment["ready"] else f"not Ready: {experiment['reason'] or 'nothing was reported yet'}"
    out.line((f"Experiment {experiment['namespace']}/{experiment['name']} is ", "bold"), (state, colour))
    for condition in experiment["conditions"]:
        if condition["type"] in _SAYS_THE_SAME_AS_READY:
            continue
        sign = _CONDITION_SIGNS.get(condition["status"], ("? ", "dim"))
        since = f" since {local_time(began)}" if (began := condition["lastTransitionTime"]) else ""
        out.line("  ", sign, f"{condition['type']} {condition['reason']}{since}: {condition['message']}")
    out.line(("What was done last", "bold"))
    for run in reversed(runs):
        print_run(run, out)
    if not runs:
        out.line("  Temporal remembers nothing of it.")
    elif runs[0]["status"] == "Running":
        _print_failing_steps(await api.get(f"{path}/reconciliations/{runs[0]['runId']}"), out)
    _print_evaluations(evaluations, out)
    out.line(("What a reconciliation would do now", "bold"))
    print_plan(plan, out)
    return 0


async def _evaluations(api: Remote, path: str) -> list[dict[str, Any]]:
    """Return the newest of those that are judged, and what has begun since, newest first."""
    found = (await api.get(f"{path}/executions", limit=_LOOKED_AT))["items"]
    judged = next((number for number, each in enumerate(found) if each["verdict"]), len(found))
    return list(found[: judged + 1])


def _print_evaluations(evaluations: list[dict[str, Any]], out: Printer) -> None:
    out.line(("What was evaluated last", "bold"))
    for execution in reversed(evaluations):
        print_execution(execution, out)
    if not evaluations:
        out.line("  Nobody remembers an evaluation of it.")


def _print_failing_steps(run: dict[str, Any], out: Printer) -> None:
    """Print what an open run cannot get past: the status may be silent about it, since it may be the status itself."""
    for step in run["steps"]:
        if step["failure"] and step["endTime"] is None:
            line = f"    {step['name']} has failed {step['attempts']} times and is tried again: {step['failure']}"
            out.line((line, "red"))
