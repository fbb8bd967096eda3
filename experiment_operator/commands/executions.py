"""The command `executions`: the evaluations of an Experiment, with their verdicts.

What the api answers is described in docs/rest.md.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

from experiment_operator.commands.api_client import ApiError, Remote, asking
from experiment_operator.commands.output import Printer, local_time
from experiment_operator.settings import Executions

_PAGE = 50
_COLUMNS = {"NUMBER": 8, "STARTED": 21, "BY": 9, "STATUS": 12, "VERDICT": 18, "TOOK": 9}
_MORE_COLUMNS = {"PASSED": 8, "FAILED": 8, "ERRORED": 9, "ENDED": 21, "ID": 0}
_COLOURS = {"Passed": "green", "Failed": "red", "Errored": "red", "NotEvaluated": "yellow"}
_JUDGED = {"Passed", "Failed", "Errored"}


@asking
async def executions(settings: Executions, api: Remote, out: Printer) -> int:
    """List an Experiment's executions."""
    path = f"/namespaces/{api.namespace}/experiments/{settings.name}"
    answer = await first_executions(api, path, settings.limit, verdict=settings.verdict, startedBy=settings.started_by)
    if not out.for_people:
        out.document(answer)
        return 0
    print_missing(answer)
    out.line((_row(*_COLUMNS, *(_MORE_COLUMNS if out.wide else ())), "bold"))
    for execution in reversed(answer["items"]):
        _print_row(execution, out)
    return 0


async def first_executions(api: Remote, path: str, limit: int, **filters: str | None) -> dict[str, Any]:
    """Return the api's list with the newest of them. A page may be short, or empty, where more follow."""
    found: list[dict[str, Any]] = []
    async for page in _pages(api, path, limit=limit, **filters):
        found += page["items"]
        if len(found) >= limit:
            break
    return {**page, "items": found[:limit]}


async def _pages(api: Remote, path: str, **query: Any) -> AsyncIterator[dict[str, Any]]:
    cursor = None
    while True:
        page = await api.get(f"{path}/executions", cursor=cursor, **query)
        yield page
        if (cursor := page["nextCursor"]) is None:
            return


async def last_judged(api: Remote, path: str) -> str:
    """Return the ID of the newest execution that has scores. Raises ApiError where there is none."""
    async for page in _pages(api, path, limit=_PAGE):
        for execution in page["items"]:
            if execution["verdict"] in _JUDGED:
                return str(execution["executionId"])
    raise ApiError("None of its executions has been judged.")


async def find_execution(api: Remote, path: str, which: str) -> str:
    """Return the ID of an execution that a person names by ID or number. Raises ApiError where no such number is."""
    if len(which) > _MAX_DIGITS:
        return which
    async for page in _pages(api, path, limit=_PAGE):
        for execution in page["items"]:
            if execution["executionNumber"] == int(which):
                return str(execution["executionId"])
    raise ApiError(f"There is no execution {which} of it.")


_MAX_DIGITS = 9
"""Of a number; an ID is longer."""


def print_missing(answer: dict[str, Any]) -> None:
    """Say to standard error which of those that know could not be asked."""
    for each in answer["unavailable"]:
        print(f"experiment-operator: this is not all: {each}", file=sys.stderr)


def print_execution(execution: dict[str, Any], out: Printer) -> None:
    """Print how one stands, or was judged, and what that rests on."""
    by = f", started by {execution['startedBy']}" if execution["startedBy"] else ""
    out.line(
        (f"Execution {number_or_id(execution)}", "bold"),
        f" of {local_time(execution['startTime'])}{by}: ",
        (execution["summary"] or "unknown", _colour(execution)),
    )
    _print_message(execution, out)


def _print_row(execution: dict[str, Any], out: Printer) -> None:
    cells = [
        number_or_id(execution),
        local_time(execution["startTime"]),
        execution["startedBy"] or "",
        execution["status"] or "",
        execution["summary"] if execution["verdict"] else "",
        "" if execution["durationSeconds"] is None else f"{execution['durationSeconds']:.0f} s",
    ]
    if out.wide:
        counts = execution["metrics"] or {"passed": "", "failed": "", "errored": ""}
        cells += [str(counts[each]) for each in ("passed", "failed", "errored")]
        cells += [local_time(execution["endTime"]), execution["executionId"]]
    out.line((_row(*cells), _colour(execution)))
    _print_message(execution, out)


def _print_message(execution: dict[str, Any], out: Printer) -> None:
    if execution["verdict"] != "Passed" and execution["message"]:
        out.line(f"    {execution['message']}")


def _colour(execution: dict[str, Any]) -> str:
    return _COLOURS.get(execution["verdict"], "cyan")


def number_or_id(execution: dict[str, Any]) -> str:
    """Name it as people do, by its number, if that is known."""
    return str(execution["executionNumber"] or execution["executionId"])


def _row(*cells: str) -> str:
    widths = [*_COLUMNS.values(), *_MORE_COLUMNS.values()]
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)).rstrip()
