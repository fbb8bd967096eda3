"""Experiments written for earlier versions of this API apply unchanged and mean what they meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from experiments.models import parse
from localcluster import LocalCluster

_GENERATIONS = Path(__file__).parents[1] / "support" / "generations"
WITH_SCENARIOS, WITH_INLINE_DATASET = (
    (_GENERATIONS / f"{name}.yaml").read_text() for name in ("with-scenarios", "with-inline-dataset")
)
DEFAULTS = {"defaultThreshold": 0.9, "suspend": False, "deletionPolicy": "Abort"}


@pytest.mark.parametrize("manifest", [WITH_SCENARIOS, WITH_INLINE_DATASET], ids=["scenarios", "inline dataset"])
async def test_a_published_generation_applies_unchanged(cluster: LocalCluster, manifest: str) -> None:
    printed = await cluster.kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=manifest)
    stored, written = json.loads(printed)["spec"], yaml.safe_load(manifest)["spec"]
    trigger = {"event": "modified", "waitForRollout": {"enabled": True, "timeoutSeconds": 120}, **written["trigger"]}
    assert stored == {**written, **DEFAULTS, "trigger": trigger}


def test_both_published_generations_evaluate_the_same() -> None:
    one, other = (parse(yaml.safe_load(manifest)).spec for manifest in (WITH_SCENARIOS, WITH_INLINE_DATASET))
    assert one.inline is not None
    assert other.inline is not None
    assert one.inline.scenarios == other.inline.scenarios
    assert one.judge_model == other.judge_model == "gemini-2.5-flash-lite"
    assert one.trigger is not None
    assert one.trigger.event == "modified"


async def test_an_event_of_another_tool_applies(cluster: LocalCluster) -> None:
    """Upstream took every word for the only event that it knew, so there are manifests with any of them."""
    manifest = WITH_SCENARIOS.replace("enabled: true", "enabled: true\n    event: on_push")
    printed = await cluster.kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=manifest)
    assert json.loads(printed)["spec"]["trigger"]["event"] == "on_push"
