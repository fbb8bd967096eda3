"""Free-form values may nest deeper than Python can follow: such an Experiment is refused, and the others go on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.world import World


@pytest.mark.parametrize("levels", [300, 900, 5000])
async def test_an_experiment_with_bottomless_values_hides_no_other(world: World, cluster: Any, levels: int) -> None:
    bottomless = '{"a":' * levels + "1" + "}" * levels
    scenarios = [{"name": "deep", "steps": [{"input": "Hello?", "customValues": "BOTTOMLESS"}]}]
    manifest = json.dumps(world.experiment("deep", scenarios=scenarios)).replace('"BOTTOMLESS"', bottomless)
    await cluster.kubectl("create", "--validate=false", "-f", "-", stdin=manifest)
    await world.create("sound")
    await world.reported("sound")
    status = await world.reported("deep", reason="InvalidSpec")
    ready = status.condition("Ready")
    assert ready.message == "spec.scenarios[0].steps[0].customValues.a: is nested too deeply"
    await cluster.kubectl("delete", "exp", "deep", "-n", world.namespace, "--timeout=60s")
