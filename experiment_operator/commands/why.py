"""The command `why`: how an Experiment is, what was done last, and what would be done now."""

from __future__ import annotations

from typing import Any

from experiment_operator.commands.api_client import Remote, ask
from experiment_operator.commands.history import print_run
from experiment_operator.commands.output import Printer, local_time
from experiment_operator.commands.plan import print_plan
from experiment_operator.settings import Why


def why(settings: Why) -> int:
    """Explain an Experiment. Returns as `api_client.ask` does."""
    return ask(settings, _why)


_SAYS_THE_SAME_AS_READY = {"Reconciling", "Stalled"}


async def _why(settings: Why, api: Remote, out: Printer) -> int:
    path = f"/namespaces/{api.namespace}/experiments/{settings.name}"
    experiment = await api.get(path)
    plan = await api.get(f"{path}/plan")
    runs = (await api.get(f"{path}/reconciliations", limit=3))["items"]
    if not out.for_people:
        out.document({"experiment": experiment, "plan": plan, "reconciliations": runs})
        return 0
    colour = "green" if experiment["ready"] else "red"
    state = "Ready" if experiment["ready"] else f"not Ready: {experiment['reason'] or 'nothing was reported yet'}"
    out.line((f"Experiment {experiment['namespace']}/{experiment['name']} is ", "bold"), (state, colour))
    for condition in experiment["conditions"]:
        if condition["type"] in _SAYS_THE_SAME_AS_READY:
            continue
        sign = ("✓ ", "green") if condition["status"] == "True" else ("✗ ", "red")
        since = (
            f" since {local_time(condition['lastTransitionTime']):%Y-%m-%d %H:%M:%S}"
            if condition["lastTransitionTime"]
            else ""
        )
        out.line("  ", sign, f"{condition['type']} {condition['reason']}{since}: {condition['message']}")
    out.line(("What was done last", "bold"))
    for run in reversed(runs):
        print_run(run, out)
    if not runs:
        out.line("  Temporal remembers nothing of it.")
    elif runs[0]["status"] == "Running":
        _print_failing_steps(await api.get(f"{path}/reconciliations/{runs[0]['runId']}"), out)
    out.line(("What a reconciliation would do now", "bold"))
    print_plan(plan, out)
    return 0


def _print_failing_steps(run: dict[str, Any], out: Printer) -> None:
    """Print what an open run cannot get past: the status may be silent about it, since it may be the status itself."""
    for step in run["steps"]:
        if step["failure"] and step["endTime"] is None:
            line = f"    {step['name']} has failed {step['attempts']} times and is tried again: {step['failure']}"
            out.line((line, "red"))
