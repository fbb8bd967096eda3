"""The commands `history`, `plan` and `why`: what the api knows, told to people, or passed on as JSON or YAML.

`remote` is the way to the api. What it answers is described in docs/rest.md.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from difflib import unified_diff
from typing import Any

from rich.console import Console
from rich.text import Text

from experiment_operator.files import read
from experiment_operator.remote import ApiError, Remote, remote
from experiment_operator.settings import Asking, History, PlanFiles, Why
from experiments import yaml as documents
from experiments.names import APPLIED

_PAGE = 50
_COLOURS = {"Reconciled": "green", "CleanedUp": "green", "Unchanged": "dim", "Running": "cyan", "Suspended": "yellow"}
_SIGNS = {"create": ("+", "green"), "delete": ("-", "red"), "change": ("~", "yellow")}
_MOST_LINES = 20


def ask(settings: Asking) -> int:
    """Returns 0; 1 when the api does not answer as it should, or says of a file that it would not work."""
    answer: Callable[[Any, Remote, _Printer], Awaitable[int]] = _COMMANDS[type(settings)]
    try:
        return asyncio.run(_ask(settings, answer))
    except ApiError as error:
        print(f"experiment-operator: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def _ask(settings: Asking, answer: Callable[[Any, Remote, _Printer], Awaitable[int]]) -> int:
    async with remote(settings) as api:
        return await answer(settings, api, _Printer(settings.output))


class _Printer:
    """Lines for people, or documents for programs."""

    def __init__(self, style: str) -> None:
        self.for_people = style == "text"
        self._style = style
        # Where it is no terminal, lines are not broken, and there are no colours.
        self._console = Console(highlight=False, soft_wrap=True)

    def document(self, content: Any) -> None:
        text = (
            json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            if self._style == "json"
            else documents.write([content])
        )
        print(text, end="", flush=True)

    def line(self, *parts: str | tuple[str, str]) -> None:
        self._console.print(Text.assemble(*parts))


async def _history(settings: History, api: Remote, out: _Printer) -> int:
    path = f"/namespaces/{api.namespace}/experiments/{settings.name}"
    if not settings.follow:
        answer = await api.get(f"{path}/reconciliations", limit=settings.limit)
        if out.for_people:
            out.line((_row("STARTED", "WHY", "OUTCOME", "TOOK"), "bold"))
            for run in reversed(answer["items"]):
                _print_run(run, out)
        else:
            out.document(answer)
        return 0
    if out.for_people:
        out.line((_row("STARTED", "WHY", "OUTCOME", "TOOK"), "bold"))
    async for run in _ended_runs(path, settings.limit, api):
        if out.for_people:
            _print_run(run, out)
        else:
            out.document(run)
    return 0


async def _ended_runs(path: str, limit: int, api: Remote) -> AsyncIterator[dict[str, Any]]:
    """Those that there are, oldest first, and each further one. Looks whenever the stream of events says anything."""
    told: set[str] = set()

    async def fresh() -> list[dict[str, Any]]:
        items = (await api.get(f"{path}/reconciliations", limit=max(limit, _PAGE) if told else limit))["items"]
        return [run for run in reversed(items) if run["status"] != "Running" and run["runId"] not in told]

    async def look() -> AsyncIterator[dict[str, Any]]:
        for run in await fresh():
            told.add(run["runId"])
            yield run

    async for run in look():
        yield run
    while True:  # a stream ends with the api's process
        async for line in api.events(f"{path}/events"):
            if line == "" or line.startswith(":"):
                async for run in look():
                    yield run


def _print_run(run: dict[str, Any], out: _Printer) -> None:
    took = "" if run["durationSeconds"] is None else f"{run['durationSeconds']:.1f} s"
    started = _local(run["startTime"])
    row = _row(f"{started:%Y-%m-%d %H:%M:%S}", ", ".join(run["reasons"]), run["outcome"], took)
    out.line((row, _COLOURS.get(run["outcome"], "red")))
    for change in run["changes"]:
        out.line(f"    {change}")
    if run["status"] == "Failed" or (run["status"] == "Running" and run["message"]):
        out.line(f"    {run['message']}")


def _row(started: str, why: str, outcome: str, took: str) -> str:
    return f"{started:<21}{why:<42} {outcome:<18}{took}".rstrip()


async def _plan(settings: PlanFiles, api: Remote, out: _Printer) -> int:
    problems: list[str] = []
    found = [document for file in settings.file for document in read(file, str(file), problems)]
    if problems or not found:
        print("\n".join(problems or ["no Experiment in there"]), file=sys.stderr)
        return 2
    fine = True
    for document in found:
        if isinstance(document.content, dict) and isinstance(document.content.get("metadata"), dict):
            document.content["metadata"].setdefault("namespace", api.namespace)
        try:
            answer = await api.post("/plan", json.dumps(document.content).encode())
        except ApiError as error:
            raise ApiError(f"{document.where}: {error}") from None
        fine = fine and not answer["refusals"] and not answer["problems"]
        if out.for_people:
            _print_plan(answer, out)
        else:
            out.document(answer)
    return 0 if fine else 1


def _print_plan(plan: dict[str, Any], out: _Printer) -> None:
    title = "nothing would change" if not plan["needed"] else f"would be reconciled: {', '.join(plan['reasons'])}"
    out.line((f"Experiment {plan['namespace']}/{plan['name']}", "bold"), f"  {title}")
    for change in plan["changes"]:
        _print_change(change, out)
    for refusal in plan["refusals"]:
        out.line(("  refused  ", "red"), f"{refusal['path']}: {refusal['message']}")
    for problem in plan["problems"]:
        out.line(("  problem  ", "red"), f"{problem['reason']}: {problem['message']}")
    for warning in plan["warnings"]:
        out.line(("  warning  ", "yellow"), f"{warning['path']}: {warning['message']}")


def _print_change(change: dict[str, Any], out: _Printer) -> None:
    sign, colour = _SIGNS.get(change["verb"], ("~", "yellow"))
    what = {"addFinalizer": "add finalizer to", "removeFinalizer": "remove finalizer of"}.get(
        change["verb"], change["verb"]
    )
    out.line((f"  {sign} {what} {change['kind']} {change['namespace']}/{change['name']}", colour))
    for field in change["fields"] if change["verb"] == "change" else ():
        if APPLIED not in field["path"]:  # a digest says nothing to people
            _print_difference(field, out)


def _print_difference(field: dict[str, Any], out: _Printer) -> None:
    """On one line where that is enough, else line by line."""
    before, after = _lines(field["current"]), _lines(field["planned"])
    if max(len(before), len(after)) == 1:
        out.line(f"      {field['path']}: ", (before[0], "red"), " → ", (after[0], "green"))
        return
    out.line(f"      {field['path']}:")
    changed = [line for line in unified_diff(before, after, n=0, lineterm="") if line[:2] not in {"--", "++", "@@"}]
    for line in changed[:_MOST_LINES]:
        out.line((f"        {line}", "red" if line[0] == "-" else "green"))
    if len(changed) > _MOST_LINES:
        out.line(f"        … and {len(changed) - _MOST_LINES} lines more")


def _lines(value: Any) -> list[str]:
    if isinstance(value, str) and "\n" in value:
        return value.splitlines()
    return json.dumps(value, indent=2 if isinstance(value, dict | list) else None, ensure_ascii=False).splitlines()


async def _why(settings: Why, api: Remote, out: _Printer) -> int:
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
        sign = ("✓ ", "green") if condition["status"] == "True" else ("✗ ", "red")
        since = (
            f" since {_local(condition['lastTransitionTime']):%Y-%m-%d %H:%M:%S}"
            if condition["lastTransitionTime"]
            else ""
        )
        out.line("  ", sign, f"{condition['type']} {condition['reason']}{since}: {condition['message']}")
    out.line(("What was done last", "bold"))
    for run in reversed(runs):
        _print_run(run, out)
    if not runs:
        out.line("  Temporal remembers nothing of it.")
    out.line(("What a reconciliation would do now", "bold"))
    _print_plan(plan, out)
    return 0


def _local(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone()


_COMMANDS: dict[type[Asking], Callable[[Any, Remote, _Printer], Awaitable[int]]] = {
    History: _history,
    PlanFiles: _plan,
    Why: _why,
}
