"""A change that brings an Experiment together with what it names can be tried out as a whole, and then applied."""

from __future__ import annotations

import pytest

from experiments.options import Options
from experiments.resources import AGENT, AI_GATEWAY, EXPERIMENT
from kube.objects import ObjectRef
from support.world import World
from webhook.app import create_webhook_app

TRIED = ("--server-side", "--dry-run=server")


@pytest.fixture
def bundle(world: World):
    """`bundle(schedule={…})`: a namespace, an Agent, an AiGateway, and the Experiment `demo` that names the two."""

    def make(**spec):
        meta = {"namespace": world.namespace}
        gateway = {"port": 4000, "aiModels": [{"name": "m", "provider": "gemini"}]}
        reference = {"agentRef": {"name": "shop"}, "aiGatewayRef": {"name": "judge", **meta}}
        items = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{world.namespace}-flux"}},
            _object(AGENT, {**meta, "name": "shop"}, {"protocols": [{"type": "A2A", "port": 8000}]}),
            _object(AI_GATEWAY, {**meta, "name": "judge"}, gateway),
            world.experiment(llmAsAJudgeModel="gpt-4o", trigger=None, **reference, **spec),
        ]
        return {"apiVersion": "v1", "kind": "List", "items": items}

    return make


def _object(resource, meta, spec):
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, "spec": spec}


def about_neighbours(said):
    return sorted(line for line in said.warnings if line.endswith("does not exist."))


async def test_a_dry_run_is_warned_of_what_is_not_there_yet(apply, bundle, world: World):
    said = await apply(bundle(), *TRIED)
    assert (said.code, said.refusal) == (0, "")
    assert about_neighbours(said) == [
        f"spec.agentRef: Agent {world.namespace}/shop does not exist.",
        f"spec.aiGatewayRef: AiGateway {world.namespace}/judge does not exist.",
    ]
    assert await world.get(ObjectRef(EXPERIMENT, world.namespace, "demo")) is None


async def test_what_is_wrong_with_the_experiment_itself_is_refused_all_the_same(apply, bundle):
    said = await apply(bundle(schedule={"cron": "0 0 30 2 *"}), *TRIED)
    assert said.code == 1
    assert "spec.schedule.cron: '0 0 30 2 *' names no date that exists." in said.refusal
    assert "does not exist." not in said.refusal


@pytest.mark.parametrize("how", [[], ["--server-side"]], ids=["client-side", "server-side"])
async def test_then_all_of_it_is_applied_at_once(apply, bundle, how):
    said = await apply(bundle(), *how)
    assert (said.code, about_neighbours(said)) == (0, [])


async def test_without_its_neighbours_it_is_not(apply, bundle, world: World):
    *_, experiment = bundle()["items"]
    said = await apply(experiment, "--server-side")
    assert said.code == 1
    assert f"spec.agentRef: Agent {world.namespace}/shop does not exist." in said.refusal


async def test_where_neighbours_only_warn_what_has_just_come_is_not_said_to_be_missing(
    apply, bundle, webhook, old_caches, kube
):
    """Whatever the caches know."""
    with webhook.answered_by(create_webhook_app(old_caches, kube, Options(), neighbour_check="warn")):
        said = await apply(bundle(), "--server-side")
    assert (said.code, about_neighbours(said)) == (0, [])
