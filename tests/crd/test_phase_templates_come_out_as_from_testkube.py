"""The steps that these tests run are those that a real Testkube made of the same TestWorkflows.

`recorded/` has what it was given and what it ran, in executions that passed (a development version of 2026-08).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import steps

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "recorded"
OURS = sorted((ROOT / "deploy" / "testkube").glob("*.yaml"))
UPSTREAM = [ROOT / "tests" / "support" / "upstream-templates.yaml"]


@pytest.mark.parametrize(
    ("recording", "files"),
    [("ours", OURS), ("ours-s3", OURS), ("ours-url", OURS), ("upstream", UPSTREAM)],
    ids=["our templates", "our templates, S3", "our templates, URL", "upstream's templates"],
)
def test_phase_templates_come_out_as_recorded(recording: str, files: list[Path]) -> None:
    recorded = json.loads((RECORDED / f"{recording}.json").read_text())
    if recording == "upstream":
        # The key was written into the template then; now it is passed.
        recorded["workflow"]["spec"]["use"][1]["config"]["openAiApiKey"] = "testbench"
    templates = {each["metadata"]["name"]: each for file in files for each in yaml.safe_load_all(file.read_text())}
    execution = steps.Execution(**recorded["execution"])
    resolved = steps.resolve(recorded["workflow"], templates, execution)
    environment = {
        each["name"]: each["value"] for each in recorded["workflow"]["spec"]["container"]["env"] if "value" in each
    }
    assert [said(step) for step in resolved] == [ran(step, environment) for step in recorded["steps"]]


def said(step: steps.Step) -> dict[str, Any]:
    arguments = [*step.command[3:]] if step.command[0] == "uv" else None
    return {
        "name": step.name,
        "image": step.image,
        "arguments": arguments,
        "environment": step.environment,
        "artifacts": [*step.artifacts],
    }


def ran(step: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """The script of a step with a shell is not compared: it may say the same in other words."""
    own = {each["name"]: each.get("value", "") for each in step["run"].get("env", ())}
    return {
        "name": step["name"],
        "image": step["run"]["image"],
        "arguments": step["run"].get("args", {}).get("value"),
        "environment": environment | own,
        "artifacts": step.get("artifacts", {}).get("paths", []),
    }
