"""The command `run`: starts an evaluation and, with --wait, follows it and ends with its verdict.

The request carries a key of its own, so that it can be repeated where its answer was lost. What is started goes on,
whether or not anybody waits for it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar
from uuid import uuid4

from experiment_operator.commands.api_client import ApiAwayError, ApiError, Remote, ask
from experiment_operator.commands.executions import number_or_id, print_missing
from experiment_operator.commands.junit import junit
from experiment_operator.commands.output import Printer
from experiment_operator.commands.scores import print_scores
from experiment_operator.settings import Run, seconds

T = TypeVar("T")

# Exit codes.
_FINE, _FAILED, _WRONG, _NOT_JUDGED, _LATE = range(5)

_LOOK_EVERY = 1.0
_PAUSES = (1, 2, 4, 8, 8, 8)
"""In seconds, between attempts to reach an api that does not answer: its replicas may be changing."""
_NOT_BEGUN = {None, "", "queued"}


def run(settings: Run) -> int:
    """Start an execution, and with --wait see it through. Returns the exit code that the settings promise."""
    return ask(settings, _run, _not_judged)


def _not_judged(settings: Run, error: Exception) -> int:
    named = f"{settings.namespace}/{settings.name}" if settings.namespace else settings.name
    _write_junit(settings.junit, junit(named, None, str(error)))
    return _WRONG if isinstance(error, ApiError) and error.status == 422 else _NOT_JUDGED


async def _run(settings: Run, api: Remote, out: Printer) -> int:
    path = f"/namespaces/{api.namespace}/experiments/{settings.name}/executions"
    deadline = asyncio.get_running_loop().time() + seconds(settings.timeout)
    execution = await _start(settings, api, path, deadline)
    named = f"Execution {number_or_id(execution)}"
    if out.for_people:
        out.line((f"{named} of {api.namespace}/{settings.name} was started", "bold"))
    late = ""
    if settings.wait:
        execution, in_time = await _follow(execution, api, f"{path}/{execution['executionId']}", deadline, out)
        late = "" if in_time else f"{named} has no verdict after {settings.timeout}, and goes on."
        # Before anything is printed, which may find that nobody reads on.
        _write_junit(settings.junit, junit(f"{api.namespace}/{settings.name}", execution, late))
    _print_end(settings, execution, api, out)
    if not settings.wait:
        return _FINE
    if late:
        print(f"experiment-operator: {late}", file=sys.stderr)
        return _LATE
    return _judge(execution, settings.allow_failed)


def _judge(execution: dict[str, Any], allowed: int) -> int:
    verdict, metrics = execution["verdict"], execution["metrics"]
    if verdict == "Passed":
        return _FINE
    if verdict != "Failed":
        return _NOT_JUDGED
    return _FINE if metrics["errored"] == 0 and 0 < metrics["failed"] <= allowed else _FAILED


async def _start(settings: Run, api: Remote, path: str, deadline: float) -> dict[str, Any]:
    """Ask for an execution until the api has an answer. Raises ApiError."""
    content = json.dumps({"reason": settings.reason, "tags": settings.tag}).encode()
    headers = {"Idempotency_Key": str(uuid4()), "Content_Type": "application/json"}
    try:
        async with asyncio.timeout_at(deadline):
            found: dict[str, Any] = await _patiently(lambda: api.post(path, content, **headers), deadline)
    except TimeoutError:
        raise ApiError(f"{api.where} has not answered within {settings.timeout}; it may start one yet.") from None
    return found


async def _follow(
    execution: dict[str, Any], api: Remote, path: str, deadline: float, out: Printer
) -> tuple[dict[str, Any], bool]:
    """Tell of an execution until it has a verdict. Returns what is known last, and whether it came in time."""
    progress = _Progress(out)
    try:
        async with asyncio.timeout_at(deadline):
            while True:
                execution = await _patiently(lambda: api.get(path), deadline)
                progress.tell(execution)
                if execution["verdict"]:
                    return execution, True
                await asyncio.sleep(_LOOK_EVERY)
    except TimeoutError:
        return execution, False


async def _patiently(ask_once: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Ask again a few times where nobody answers, but not beyond the deadline, by the loop's clock."""
    for pause in _PAUSES:
        try:
            return await ask_once()
        except ApiAwayError as away:
            if asyncio.get_running_loop().time() + pause >= deadline:
                raise
            print(f"experiment-operator: {away} (again in {pause} s)", file=sys.stderr, flush=True)
        await asyncio.sleep(pause)
    return await ask_once()


class _Progress:
    """Says each thing once: for people among the rest, for programs beside the document."""

    def __init__(self, out: Printer) -> None:
        self._out = out
        self._told: set[tuple[str, str]] = set()

    def tell(self, execution: dict[str, Any]) -> None:
        whole, phases = {**execution, "name": "execution", "error": None}, execution["phases"]
        for part in (*phases, whole) if whole["endTime"] else (whole, *phases):
            state = part["name"], part["status"]
            if part["status"] not in _NOT_BEGUN and state not in self._told:
                self._told.add(state)
                self._say(part)

    def _say(self, part: dict[str, Any]) -> None:
        took = f"{part['durationSeconds']:.1f} s" if part["endTime"] and part["durationSeconds"] is not None else ""
        line = f"  {part['name']:<12}{part['status']:<12}{took:<10}{part['error'] or ''}".rstrip()
        if self._out.for_people:
            self._out.line(line)
        else:
            print(line, file=sys.stderr, flush=True)


def _print_end(settings: Run, execution: dict[str, Any], api: Remote, out: Printer) -> None:
    """Print what it came to and where to read on or, for programs, all there is."""
    if not out.for_people:
        out.document(execution)
        return
    if settings.wait:
        print_missing(execution)
        print_scores(execution, out)
    links = {"ID": execution["executionId"], **execution["links"]}
    for label, name in (("ID", "ID"), ("report", "report"), ("execution", "self"), ("Temporal", "temporal")):
        if link := links[name]:
            out.line(f"  {label:<12}{api.url(link) if link.startswith('/') else link}")


def _write_junit(path: Path | None, content: bytes) -> None:
    """Put the file in its place in one step, so that nobody reads half of it."""
    if path is None:
        return
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}.", delete=False) as file:
            file.write(content)
        part = Path(file.name)
        part.chmod(0o644)  # others read it: temporary files are their owner's alone
        part.replace(path)
    except OSError as error:
        print(f"experiment-operator: {path}: {error.strerror}", file=sys.stderr)
