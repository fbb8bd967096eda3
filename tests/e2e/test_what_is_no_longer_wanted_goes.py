"""A field that is not generated any more goes from the children, whoever owns it by then, and history says so."""

from __future__ import annotations

import json

import pytest

from support.world import World

SCHEDULE = {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}


async def forget_managers(world: World, ref, _):
    await world.kube.merge_patch(ref, {"metadata": {"managedFields": [{}]}})


async def apply_as_another(world: World, _, live):
    unchanged = {**live, "metadata": {k: live["metadata"][k] for k in ("name", "namespace", "labels", "annotations")}}
    args = ("apply", "--server-side", "--force-conflicts", "--field-manager=somebody", "-f", "-")
    await world.cluster.kubectl(*args, stdin=json.dumps(unchanged))


async def restore_from_a_backup(world: World, ref, live):
    dropped = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")
    copy = {**live, "metadata": {k: v for k, v in live["metadata"].items() if k not in dropped}}
    await world.edit(suspend=True)
    await world.reported(reason="Suspended")
    await world.cluster.kubectl("delete", ref.resource.kind, ref.name, "-n", ref.namespace)
    await world.cluster.kubectl("create", "-f", "-", stdin=json.dumps(copy))
    await world.edit(suspend=False)
    await world.reported()


@pytest.mark.parametrize("happens", [forget_managers, apply_as_another, restore_from_a_backup])
async def test_a_schedule_that_was_taken_back_is_gone(world: World, happens):
    await world.create(schedule=SCHEDULE)
    await world.reported()
    ref = world.places().test_workflow
    await happens(world, ref, await world.kube.get(ref))
    await world.edit(schedule=None)
    await world.reported()
    assert "events" not in (await world.kube.get(ref))["spec"]
    (*_, last) = [change for run in await changes_of(world) for change in run]
    assert last == f"changed {ref} (spec.events)"


async def changes_of(world: World):
    runs = reversed(await world.until(world.runs, lambda runs: all(run.close_time for run in runs)))
    handles = [world.temporal.get_workflow_handle(run.id, run_id=run.run_id) for run in runs]
    return [(await handle.result())["changes"] for handle in handles]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"trigger": {"enabled": True, "concurrencyPolicy": "Forbid"}}, "concurrencyPolicy"),
        ({"trigger": {"enabled": True, "waitForRollout": {"enabled": True}}}, "conditionSpec"),
    ],
)
async def test_what_is_no_longer_wanted_of_a_trigger_goes(world: World, spec, field):
    await world.create(**spec)
    await world.reported()
    ref = world.places().test_trigger
    await forget_managers(world, ref, None)
    off = {"concurrencyPolicy": None, "waitForRollout": {"enabled": False}}
    await world.edit(trigger={"enabled": True, **off})
    await world.reported()
    assert field not in (await world.kube.get(ref))["spec"]


async def test_what_somebody_adds_where_this_service_writes_is_taken_back(world: World):
    await world.create()
    await world.reported()
    ref = world.places().test_workflow
    await world.kube.merge_patch(ref, {"spec": {"events": [{"cronjob": {"cron": "* * * * *"}}]}})
    await world.until(lambda: world.kube.get(ref), lambda live: "events" not in live["spec"])


async def test_what_somebody_adds_elsewhere_stays(world: World):
    await world.create()
    await world.reported()
    ref = world.places().test_workflow
    added = '{"spec": {"container": {"workingDir": "/tmp"}}}'
    await world.cluster.kubectl("patch", "testworkflow", ref.name, "-n", ref.namespace, "--type=merge", "-p", added)
    await world.edit(llmAsAJudgeModel="gpt-4o")
    await world.reported()
    assert (await world.kube.get(ref))["spec"]["container"]["workingDir"] == "/tmp"
