"""Histories of Temporal runs in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory


def save(path: Path, history: WorkflowHistory) -> None:
    """One event a line. Without stack traces: they name files of the machine that it was recorded on."""
    events = [
        json.dumps(_without_stack_traces(event), separators=(",", ":"))
        for event in json.loads(history.to_json())["events"]
    ]
    path.write_text('{"events": [\n' + ",\n".join(events) + "\n]}\n")


def _without_stack_traces(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_stack_traces(part) for key, part in value.items() if key != "stackTrace"}
    if isinstance(value, list):
        return [_without_stack_traces(part) for part in value]
    return value
