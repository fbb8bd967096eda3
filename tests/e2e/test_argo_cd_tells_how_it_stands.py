"""The health check for Argo CD, in Lua as Argo CD runs it, on Experiments as the API server has them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from support.world import World

_DEPLOY = Path(__file__).parents[2] / "deploy" / "argocd"
_KEY = "resource.customizations.health.testbench.agentic-layer.ai_Experiment"
# Argo CD opens no libraries for these scripts; `ipairs` and its like are the language's own.
_RUN = """
function(code, obj)
  local script = assert(loadstring(code))
  setfenv(script, {obj = obj, ipairs = ipairs, pairs = pairs, tostring = tostring})
  local found = script()
  return found.status, found.message
end
"""


@pytest.fixture(scope="module")
def health():
    """`health(experiment)`: its status, and the message beside it."""
    lua = LuaRuntime()
    run, code = lua.eval(_RUN), (_DEPLOY / "health.lua").read_text()
    return lambda obj: run(code, lua.table_from(obj, recursive=True))


@pytest.fixture
def told(world: World, health):
    """`await told("Healthy")`: the message, once the Experiment `demo` stands so."""

    async def wait(status):
        async def ask():
            return health(await world.kube.get(world.ref()))

        return (await world.until(ask, lambda found: found[0] == status))[1]

    return wait


async def test_through_a_whole_life(world: World, told, health):
    created = await world.create(aiGatewayRef={"name": "judge", "namespace": world.namespace})
    assert health(created)[0] == "Progressing"
    await world.reported(reason="GatewayMissing")
    assert "AiGateway" in await told("Progressing")
    await world.gateway()
    assert await told("Healthy") == "The cluster is as the Experiment says."
    await world.edit(schedule={"cron": "0 0 30 2 *"})
    assert "names no date" in await told("Degraded")
    await world.edit(suspend=True)
    await told("Suspended")
    edited = await world.edit(suspend=False, schedule=None)
    assert health(edited)[0] == "Progressing"
    await told("Healthy")


async def test_while_it_is_deleted(world: World, health):
    await world.create()
    await world.reported()
    await world.kube.merge_patch(world.ref(), {"metadata": {"finalizers": ["example.com/hold"]}})
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--wait=false")
    assert health(await world.kube.get(world.ref()))[0] == "Progressing"
    await world.kube.merge_patch(world.ref(), {"metadata": {"finalizers": None}})


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (None, "Progressing"),
        ({}, "Progressing"),
        ({"observedGeneration": -1}, "Progressing"),
        ({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}, "Progressing"),
        ({"observedGeneration": 2}, "Progressing"),
        ({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True", "message": "m"}]}, "Healthy"),
        (
            {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "False", "message": "m"}]},
            "Progressing",
        ),
        (
            {
                "observedGeneration": 2,
                "conditions": [{"type": "Stalled", "status": "False"}, {"type": "Ready", "status": "True"}],
            },
            "Healthy",
        ),
    ],
)
def test_where_conditions_are_missing(health, status, wanted):
    """As an earlier version wrote it, or somebody else."""
    obj = {"metadata": {"generation": 2}, "spec": {}}
    assert health(obj if status is None else {**obj, "status": status})[0] == wanted


async def test_it_is_added_to_the_settings_that_argo_cd_has(cluster):
    await cluster.kubectl("create", "namespace", "argocd")
    await cluster.kubectl("create", "configmap", "argocd-cm", "-n", "argocd", "--from-literal=url=https://argo.example")
    await cluster.kubectl("apply", "--server-side", "-k", str(_DEPLOY))
    found = yaml.safe_load(await cluster.kubectl("get", "configmap", "argocd-cm", "-n", "argocd", "-o", "yaml"))
    assert found["data"] == {"url": "https://argo.example", _KEY: (_DEPLOY / "health.lua").read_text()}
