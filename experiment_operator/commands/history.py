"""The command `history`: the runs of an Experiment, those that there are and those that come.

What the api answers is described in docs/rest.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from experiment_operator.commands.api_client import Remote, asking
from experiment_operator.commands.output import Printer, local_time
from experiment_operator.settings import History

_PAGE = 50
_COLOURS = {"Reconciled": "green", "CleanedUp": "green", "Unchanged": "dim", "Running": "cyan", "Suspended": "yellow"}


@asking
async def history(settings: History, api: Remote, out: Printer) -> int:
    """List an Experiment's reconciliations."""
    path = f"/namespaces/{api.namespace}/experiments/{settings.name}"
    if not settings.follow:
        answer = await api.get(f"{path}/reconciliations", limit=settings.limit)
        if out.for_people:
            _print_head(out)
            for run in reversed(answer["items"]):
                print_run(run, out)
        else:
            out.document(answer)
        return 0
    if out.for_people:
        _print_head(out)
    async for run in _ended_runs(path, settings.limit, api):
        if out.for_people:
            print_run(run, out)
        else:
            out.document(run)
    return 0


async def _ended_runs(path: str, limit: int, api: Remote) -> AsyncIterator[dict[str, Any]]:
    """Yield the ended runs, oldest first, then each further one. Looks whenever the stream of events says anything."""
    told: set[str] = set()

    async def look() -> AsyncIterator[dict[str, Any]]:
        answer = await api.get(f"{path}/reconciliations", limit=max(limit, _PAGE) if told else limit)
        for run in reversed(answer["items"]):
            if run["status"] != "Running" and run["runId"] not in told:
                told.add(run["runId"])
                yield run

    async for run in look():
        yield run
    while True:  # a stream ends with the api's process
        async for line in api.events(f"{path}/events"):
            if line == "" or line.startswith(":"):
                async for run in look():
                    yield run


def _print_head(out: Printer) -> None:
    more = ("STATUS", "ENDED", "RUN") if out.wide else ()
    out.line((_row("STARTED", "WHY", "OUTCOME", "TOOK", *more), "bold"))


def print_run(run: dict[str, Any], out: Printer) -> None:
    took = "" if run["durationSeconds"] is None else f"{run['durationSeconds']:.1f} s"
    more = (run["status"], local_time(run["closeTime"]), run["runId"]) if out.wide else ()
    row = _row(local_time(run["startTime"]), ", ".join(run["reasons"]), run["outcome"], took, *more)
    out.line((row, _COLOURS.get(run["outcome"], "red")))
    for change in run["changes"]:
        out.line(f"    {change}")
    if run["status"] == "Failed" or (run["status"] == "Running" and run["message"]):
        out.line(f"    {run['message']}")


def _row(started: str, why: str, outcome: str, took: str, *more: str) -> str:
    rest = "".join(f"{cell:<{width}}" for cell, width in zip(more, (12, 21, 0), strict=False))
    return f"{started:<21}{why:<42} {outcome:<18}{took:<9}{rest}".rstrip()
