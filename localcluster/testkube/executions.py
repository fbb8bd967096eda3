"""Executions as Testkube's API has them, in JSON: how one begins, goes from state to state, phase to phase, and ends.

Values without I/O, in the shapes that were recorded: Go's zero time for "not yet", a phase's parts as its children, and
what came after an abort as skipped.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

NOT_YET = "0001-01-01T00:00:00Z"
NOT_STARTED = ("queued", "assigned", "starting", "scheduling")
FINISHED = ("passed", "failed", "aborted", "canceled")
STATES = (*NOT_STARTED, "running", "pausing", "paused", "resuming", "stopping", *FINISHED)
_TIMES = dict.fromkeys(("queuedAt", "startedAt", "finishedAt"), NOT_YET)
_ENDED_BY = {"aborted": "Job has been aborted by the system", "canceled": "Job has been canceled by a user"}
_KILLED = 137
_UPLOAD = "Upload artifacts"
_REF_LETTERS = "23456789bcdefghijklmnpqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Phase:
    """A step that a template brings. `uploads` are the paths of its artifacts; with `shell` it is a shell's."""

    name: str
    uploads: tuple[str, ...] = ()
    shell: bool = True

    @property
    def category(self) -> str:
        return "Run shell command" if self.shell else "Run"


def new_execution(workflow: Json, number: int, **more: Any) -> Json:
    """Return an execution of a TestWorkflow that has just been queued, as POST answers."""
    now = timestamp()
    identity = more.get("id") or f"{int(time.time()):08x}{secrets.token_hex(8)}"
    return {
        "id": identity,
        "groupId": identity,
        "runnerId": "default-agent",
        "runnerTarget": {},
        "runnerOriginalTarget": {},
        "name": f"{workflow['name']}-{number}",
        "number": number,
        "scheduledAt": now,
        "assignedAt": now,
        "statusAt": now,
        "result": {
            "status": "assigned",
            "predictedStatus": "passed",
            **_TIMES,
            **dict.fromkeys(("durationMs", "totalDurationMs", "pausedMs"), 0),
            "initialization": {"status": "queued", **_TIMES},
        },
        "workflow": workflow,
        "resolvedWorkflow": workflow,
        **more,
    }


def set_status(execution: Json, status: str) -> None:
    """Move an execution on to another state, with the times that go with it. The phases are not touched."""
    result, now = execution["result"], timestamp()
    execution["statusAt"] = now
    result["status"] = status
    if status not in {*NOT_STARTED, "aborted", "canceled"} and result["startedAt"] == NOT_YET:
        result |= {"queuedAt": execution["scheduledAt"], "startedAt": execution["scheduledAt"]}
    if status not in FINISHED:
        result["predictedStatus"] = "passed" if status in NOT_STARTED else "aborted"
        return
    result |= {"finishedAt": now, "predictedStatus": status}
    if result["startedAt"] != NOT_YET:
        took = datetime.fromisoformat(now) - datetime.fromisoformat(execution["scheduledAt"])
        seconds = max(0.0, took.total_seconds())
        result |= dict.fromkeys(("duration", "totalDuration"), f"{seconds:.3f}".rstrip("0").rstrip(".") + "s")
        result |= dict.fromkeys(("durationMs", "totalDurationMs"), int(seconds * 1000))
    if "steps" in result:
        pod = dict.fromkeys(("init", "toolkit"), "") | {"agent": "simulation", "nodeName": "none"}
        pod |= {"name": f"{execution['id']}-{_ref()[:5]}", "namespace": execution["workflow"]["namespace"]}
        execution["output"] = [{"ref": "tktw-init", "name": "pod", "value": pod | {"serviceAccountName": "default"}}]


def set_unable(execution: Json, message: str) -> None:
    """Note that it cannot run at all, and why, while its state is `assigned` still."""
    result, at = execution["result"], execution["scheduledAt"]
    result |= {"predictedStatus": "aborted", "finishedAt": at, "duration": "0s", "totalDuration": "0s"}
    result["initialization"] |= {"errorMessage": message, "status": "aborted", "finishedAt": at}


def set_phases(execution: Json, phases: Sequence[Phase]) -> None:
    """Give it a signature with refs that no other execution has, and a queued step for each part of each phase."""
    execution["signature"] = [_signature(phase) for phase in phases]
    execution["result"]["steps"] = {
        part["ref"]: {"status": "queued", **_TIMES} for part in _parts(execution["signature"])
    }
    if execution["result"]["status"] == "running":
        now = timestamp()
        execution["result"]["initialization"] |= {"status": "running", "queuedAt": now, "startedAt": now}


def set_initialized(execution: Json) -> None:
    """Note that the pod is there and its first phase can begin."""
    initialization, now = execution["result"]["initialization"], timestamp()
    initialization |= {"status": "passed", "finishedAt": now}
    if initialization["startedAt"] == NOT_YET:
        initialization |= {"queuedAt": now, "startedAt": now}


def set_phase(execution: Json, name: str, status: str, *, exit_code: int = 0) -> None:
    """Move a phase on: to running, its first part runs; at its end, its command has this outcome.

    A command that failed has its artifacts uploaded all the same; a phase that is skipped has none of its parts run.
    """
    phase = next(each for each in execution["signature"] if each.get("name") == name)
    steps = execution["result"]["steps"]
    command, *others = phase.get("children") or [phase]
    for ref in dict.fromkeys((phase["ref"], command["ref"])):
        _move(steps[ref], status)
    if exit_code:
        steps[command["ref"]]["exitCode"] = exit_code
    if status != "running":
        for other in others:
            _move(steps[other["ref"]], "passed" if status == "failed" else status)


def end(execution: Json, status: str) -> None:
    """End it from outside, as `aborted` or `canceled`: what runs is killed, and what would have come is skipped."""
    result, reason = execution["result"], _ENDED_BY[status]
    for part in _parts(execution.get("signature", ())):
        step, whole = result["steps"][part["ref"]], "children" in part
        if step["status"] == "running":
            _move(step, status)
            words: Json = {"errorMessage": f"The execution has been {status}. ({reason})", "exitCode": _KILLED}
        elif step["status"] == "queued":
            _move(step, "skipped")
            words = {"errorMessage": f"The execution was {status} before. \x1b[90m({reason})\x1b[0m"}
        else:
            continue
        step |= {} if whole else words
    if result["initialization"]["status"] == "running":
        _move(result["initialization"], status)
    set_status(execution, status)


def finished(execution: Json) -> bool:
    """Tell whether its state is a last one."""
    return execution["result"]["status"] in FINISHED


def timestamp() -> str:
    """Return the present moment as Go writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _move(step: Json, status: str) -> None:
    now = timestamp()
    step["status"] = status
    if step["queuedAt"] == NOT_YET:
        step["queuedAt"] = now
    if step["startedAt"] == NOT_YET:
        step["startedAt"] = now
    if status != "running":
        step["finishedAt"] = now


def _signature(phase: Phase) -> Json:
    if not phase.uploads:
        return {"ref": _ref(), "name": phase.name, "category": phase.category}
    children = [{"ref": _ref(), "category": phase.category}, {"ref": _ref(), "category": _UPLOAD}]
    return {"ref": _ref(), "name": phase.name, "children": children}


def _ref() -> str:
    return "r" + "".join(secrets.choice(_REF_LETTERS) for _ in range(6))


def _parts(signature: Sequence[Json]) -> Iterator[Json]:
    for each in signature:
        yield each
        yield from _parts(each.get("children", ()))
