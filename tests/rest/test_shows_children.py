"""An Experiment is shown with its generated objects as they are in the cluster, and how that differs from the plan."""

from __future__ import annotations

import pytest

from experiments.names import placement
from experiments.options import Options
from experiments.resources import EXPERIMENT, TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, ObjectRef, ref_of
from support.polling import until

pytestmark = pytest.mark.usefixtures("templates")


@pytest.fixture
def children(api, namespace):
    """`await children()`: state and differing paths of each, by kind."""

    async def shown():
        detail = (await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather")).json()
        return {child["kind"]: (child["state"], child["paths"]) for child in detail["children"]}

    return shown


@pytest.fixture
async def applied(api, create, kube, caches, namespace):
    """The Experiment `weather` with its children, as the worker would have made them; returns their references."""
    await create("weather")
    refs = {}
    for resource in (CONFIG_MAP, TEST_WORKFLOW):  # one by one: the first is the owner of the other
        manifests = (await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather/manifests")).json()["items"]
        (manifest,) = (each for each in manifests if each["kind"] == resource.kind)
        refs[resource] = ref_of(resource, manifest)
        await kube.create(resource, manifest)
        await until(lambda ref=refs[resource]: caches.get(ref))
    return refs


async def test_what_is_not_there_yet_is_missing(create, children):
    await create("weather")
    assert await children() == {"ConfigMap": ("missing", []), "TestWorkflow": ("missing", [])}


async def test_what_is_there_is_shown_with_its_identity(api, applied, kube, namespace, children):
    assert await children() == {"ConfigMap": ("asPlanned", []), "TestWorkflow": ("asPlanned", [])}
    detail = (await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather")).json()
    for child, ref in zip(detail["children"], applied.values(), strict=True):
        meta = (await kube.get(ref))["metadata"]
        assert (child["apiVersion"], child["namespace"], child["name"]) == (
            ref.resource.api_version,
            ref.namespace,
            ref.name,
        )
        assert (child["uid"], child["resourceVersion"]) == (meta["uid"], meta["resourceVersion"])
        assert child["deletionTimestamp"] is None


async def test_an_edit_shows_where(applied, kube, children):
    await kube.merge_patch(applied[CONFIG_MAP], {"data": {"experiment.json": "{}"}})

    async def edited():
        return (await children())["ConfigMap"] == ("edited", ["data[experiment.json]"])

    await until(edited)


@pytest.mark.usefixtures("applied")
async def test_a_changed_wish_makes_a_child_outdated(kube, namespace, children):
    await kube.merge_patch(ObjectRef(EXPERIMENT, namespace, "weather"), {"spec": {"llmAsAJudgeModel": "another"}})

    async def outdated():
        found = await children()
        return found["ConfigMap"][0] == "outdated" and found

    assert "data[experiment.json]" in (await until(outdated))["ConfigMap"][1]


async def test_a_child_that_goes_or_has_gone_is_seen(applied, kube, children):
    for ref in applied.values():
        await kube.merge_patch(ref, {"metadata": {"finalizers": ["example.org/held"]}})
        await kube.delete(ref, uid=(await kube.get(ref))["metadata"]["uid"])

    async def state(expected):
        found = await children()
        return {kind: found[kind][0] for kind in found} == expected

    await until(lambda: state({"ConfigMap": "terminating", "TestWorkflow": "terminating"}))
    for ref in applied.values():
        await kube.merge_patch(ref, {"metadata": {"finalizers": None}})
    await until(lambda: state({"ConfigMap": "missing", "TestWorkflow": "missing"}))


@pytest.mark.usefixtures("applied")
async def test_a_trigger_that_nobody_wants_any_more_is_unwanted(api, kube, namespace, children):
    experiment = ObjectRef(EXPERIMENT, namespace, "weather")
    await kube.merge_patch(experiment, {"spec": {"trigger": {"enabled": True}}})

    async def trigger():
        items = (await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather/manifests")).json()["items"]
        return next((item for item in items if item["kind"] == "TestTrigger"), None)

    await kube.create(TEST_TRIGGER, await until(trigger))
    await kube.merge_patch(experiment, {"spec": {"trigger": None}})

    async def unwanted():
        return (await children()).get("TestTrigger") == ("unwanted", [])

    await until(unwanted)


async def test_an_object_of_somebody_else_is_foreign(create, kube, caches, namespace, children):
    ref = placement(namespace, "weather", Options()).config_map
    meta = {"name": ref.name, "namespace": ref.namespace}
    await kube.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    await create("weather")
    await until(lambda: caches.get(ref))
    assert await children() == {"ConfigMap": ("foreign", []), "TestWorkflow": ("missing", [])}


async def test_while_suspended_nothing_is_compared(applied, kube, namespace, children):
    await kube.merge_patch(applied[CONFIG_MAP], {"data": {"experiment.json": "{}"}})
    await kube.merge_patch(ObjectRef(EXPERIMENT, namespace, "weather"), {"spec": {"suspend": True}})

    async def unchecked():
        return await children() == {"ConfigMap": ("unchecked", []), "TestWorkflow": ("unchecked", [])}

    await until(unchecked)
