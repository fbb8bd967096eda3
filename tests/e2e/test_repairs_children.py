"""A child that somebody deletes or edits is put right; what others add to it stays."""

from __future__ import annotations

import pytest

from support.world import World


@pytest.fixture
async def settled(world: World):
    await world.create()
    await world.reported()
    return world


@pytest.mark.parametrize("child", ["config_map", "test_workflow", "test_trigger"])
async def test_a_deleted_child_comes_back(settled, child):
    ref = getattr(settled.places(), child)
    before = (await settled.kube.get(ref))["metadata"]["uid"]
    await settled.cluster.kubectl("delete", ref.resource.kind, ref.name, "-n", ref.namespace, "--wait=false")
    back = await settled.until(lambda: settled.get(ref), lambda obj: obj and obj["metadata"]["uid"] != before)
    assert all(await settled.children()), "nothing else went with it"
    assert back["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "experiment-operator"


EDITS = {
    "config_map": '{"data":{"experiment.json":"{}"}}',
    "test_workflow": '{"spec":{"use":[{"name":"something-else"}]}}',
    "test_trigger": '{"spec":{"event":"deleted"}}',
}


@pytest.mark.parametrize("child", EDITS)
async def test_an_edited_child_is_put_right_and_the_reason_names_the_editor(settled, child):
    ref = getattr(settled.places(), child)
    wanted = _content(await settled.kube.get(ref))
    args = ("patch", ref.resource.kind, ref.name, "-n", ref.namespace, "--type=merge", "-p", EDITS[child])
    await settled.cluster.kubectl(*args, "--field-manager=kubectl-edit")
    await settled.until(lambda: settled.kube.get(ref), lambda obj: _content(obj) == wanted)
    await settled.closed_runs(2)
    assert (await settled.reasons())[-1] == [f"{ref.resource.kind} edited by kubectl-edit"]


def _content(obj):
    return obj.get("data") or obj["spec"]


@pytest.mark.parametrize("path", ["labels", "annotations"])
async def test_a_child_that_loses_what_ties_it_to_its_experiment_is_tied_again(settled, path):
    ref = settled.places().test_workflow
    before = await settled.kube.get(ref)
    await settled.kube.json_patch(ref, [{"op": "remove", "path": f"/metadata/{path}"}])
    await settled.until(
        lambda: settled.kube.get(ref), lambda obj: obj["metadata"].get(path) == before["metadata"][path]
    )


async def test_what_others_add_stays(settled):
    ref = settled.places().test_workflow
    await settled.cluster.kubectl("label", "testworkflow", ref.name, "-n", ref.namespace, "team=weather")
    await settled.edit(llmAsAJudgeModel="gpt-4o")
    await settled.reported()
    await settled.edit(schedule={"cron": "0 6 * * *"})
    await settled.reported()
    workflow = await settled.kube.get(ref)
    assert workflow["metadata"]["labels"]["team"] == "weather"
    assert workflow["spec"]["events"]
