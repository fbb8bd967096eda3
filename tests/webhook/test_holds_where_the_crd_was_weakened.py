"""What the CRD forbids is refused here as well, should somebody have taken its rules away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.world import World

CRD = "customresourcedefinition/experiments.testbench.agentic-layer.ai"
SCHEMA = "/spec/versions/0/schema/openAPIV3Schema"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture(scope="module", autouse=True)
async def _crd_without_rules(kubectl: Any) -> AsyncIterator[None]:
    async def set_schema(schema: Any) -> None:
        patch = [{"op": "replace", "path": SCHEMA, "value": schema}]
        assert (await kubectl("patch", CRD, "--type=json", "-p", json.dumps(patch))).code == 0

    crd = json.loads((await kubectl("get", CRD, "-o", "json")).out)
    await set_schema(ANYTHING)
    yield
    await set_schema(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


@pytest.fixture
async def lax(apply: Any, webhook: Any, sound: Any, world: World) -> Any:
    """`apply`, once the API server lets pass what the CRD used to forbid."""
    with webhook.away():
        await world.until(
            lambda: apply(sound(schedule=[]), "--dry-run=server", "--validate=false"), lambda said: said.code == 0
        )

    async def run(obj: Any) -> Any:
        return await apply(obj, "--validate=false")

    return run


async def test_scenarios_and_dataset_together(lax: Any, sound: Any) -> None:
    said = await lax(sound(dataset={"url": "http://data.example/set.json"}))
    assert said.code == 1
    assert said.refusal == 'The Experiment "demo" is invalid: spec: scenarios and dataset must not both be set'


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        ({"agentRef": None}, "spec.agentRef: is required"),
        ({"agentRef": ["weather"]}, "spec.agentRef: must be an object"),
        ({"scenarios": {}}, "spec.scenarios: Input should be a valid list"),
        ({"schedule": {"cron": "61 * * * *"}}, "spec.schedule.cron: the minute must be * or 0-59"),
        ({"suspend": "no"}, "spec.suspend: Input should be a valid boolean"),
    ],
    ids=str,
)
async def test_each_rule_of_the_models(lax: Any, sound: Any, spec: Any, refusal: str) -> None:
    said = await lax(sound(**spec))
    assert said.code == 1
    assert refusal in said.refusal


@pytest.mark.parametrize("spec", [None, [], "text", 7], ids=repr)
async def test_a_spec_that_is_none(lax: Any, sound: Any, spec: Any) -> None:
    said = await lax({**sound(), "spec": spec})
    assert said.code == 1
    assert 'The Experiment "demo" is invalid: spec: ' in said.refusal


async def test_what_is_stored_that_way_can_be_edited_and_mended(lax: Any, sound: Any, webhook: Any) -> None:
    bad = sound(agentRef={"name": "nobody"}, dataset={"url": "http://data.example/set.json"})
    with webhook.away():
        assert (await lax(bad)).code == 0
    bad["spec"]["suspend"] = True
    assert (await lax(bad)).warnings == ["spec: scenarios and dataset must not both be set"]
    del bad["spec"]["dataset"]
    said = await lax(bad)
    assert said.code == 0
    assert "nobody does not exist" in said.warnings[0]
