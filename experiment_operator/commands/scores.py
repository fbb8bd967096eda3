"""The command `scores`: the metrics of an evaluation by scenario, or what has become of them since another one.

What the api answers is described in docs/rest.md.
"""

from __future__ import annotations

from typing import Any

from experiment_operator.commands.api_client import Remote, asking
from experiment_operator.commands.executions import (
    find_execution,
    last_judged,
    number_or_id,
    print_execution,
    print_missing,
)
from experiment_operator.commands.output import Printer, answer_of, in_brief, score_words
from experiment_operator.settings import Scores

_LINE = 100
_WORDS = {"worse": "worse", "removed": "gone", "added": "new", "better": "better", "same": "the same"}
_SIGNS = {"worse": ("↓", "yellow"), "better": ("↑", "green"), "added": ("+", "cyan"), "removed": ("-", "yellow")}


@asking
async def scores(settings: Scores, api: Remote, out: Printer) -> int:
    """Show an execution's scores, or compare them."""
    path = f"/namespaces/{api.namespace}/experiments/{settings.name}"
    chosen = settings.execution
    head = await find_execution(api, path, chosen) if chosen else await last_judged(api, path)
    if settings.base:
        base = await find_execution(api, path, settings.base)
        answer = await api.get(f"{path}/executions/compare", base=base, head=head)
    else:
        answer = await api.get(f"{path}/executions/{head}")
    if out.for_people:
        print_missing(answer)
        (print_comparison if settings.base else print_scores)(answer, out)
    else:
        out.document(answer)
    return 0


def print_scores(execution: dict[str, Any], out: Printer) -> None:
    """Print an execution and its metrics by scenario and step."""
    print_execution(execution, out)
    scenarios = execution["scenarios"]
    names = [metric["metric"] for scenario in scenarios for step in scenario["steps"] for metric in step["metrics"]]
    width = max(map(len, names), default=0)
    for scenario in scenarios:
        metrics = [metric for step in scenario["steps"] for metric in step["metrics"]]
        passed = sum(metric["passed"] for metric in metrics)
        out.line((scenario["name"], "bold"), f"  {passed} of {len(metrics)} passed" if metrics else "  has no metrics")
        for number, step in enumerate(scenario["steps"], start=1):
            _print_step(number, step, width, out)


def _print_step(number: int, step: dict[str, Any], width: int, out: Printer) -> None:
    out.line(f"  {number:>3}  {in_brief(step['input'], _LINE)}")
    for metric in step["metrics"]:
        sign, colour = ("!", "magenta") if metric["error"] else ("✓", "green") if metric["passed"] else ("✗", "red")
        out.line("       ", (f"{sign} {metric['metric']:<{width}}  {score_words(metric)}", colour))
    answer = answer_of(step)
    if answer and (step["error"] or not all(metric["passed"] for metric in step["metrics"])):
        out.line(("       answer: ", "dim"), in_brief(answer, _LINE))


def print_comparison(answer: dict[str, Any], out: Printer) -> None:
    """Print what differs, as the api sorts it: by harm."""
    head, base, counts = answer["head"], answer["base"], answer["counts"]
    counted = ", ".join(f"{counts[effect]} {word}" for effect, word in _WORDS.items() if counts.get(effect))
    for execution in (base, head):
        print_execution(execution, out)
    out.line(f"Since {number_or_id(base)}: ", (counted or "there is nothing to compare", "bold"))
    for change in answer["items"]:
        if change["effect"] != "same":
            _print_change(change, out)


def _print_change(change: dict[str, Any], out: Printer) -> None:
    base, head = change["base"], change["head"]
    lost = base and head and base["passed"] and not head["passed"]
    sign, colour = ("✗", "red") if lost else _SIGNS[change["effect"]]
    by = "" if change["change"] is None else f"  {change['change']:+.2f}"
    where = f"{change['scenario']}, step {change['step'] + 1}, {change['metric']}"
    out.line((f"  {sign} {where}: {_state(base)} → {_state(head)}{by}", colour))


def _state(metric: dict[str, Any] | None) -> str:
    if metric is None:
        return "not there"
    if metric["error"]:
        return f"error: {in_brief(metric['error'], _LINE)}"
    score = "without score" if metric["score"] is None else f"{metric['score']:.2f}"
    return f"{'passed' if metric['passed'] else 'failed'} {score}"
