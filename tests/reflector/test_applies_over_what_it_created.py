"""Create, then apply: our fields follow the plan, others' fields stay, no other object is ever hit. Real API server."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.resources import TEST_TRIGGER
from kube.client import FIELD_MANAGER
from kube.errors import AlreadyExistsError, ConflictError, InvalidError, NotFoundError
from kube.objects import CONFIG_MAP, ObjectRef


@pytest.fixture
def ref(namespace: str) -> ObjectRef:
    return ObjectRef(CONFIG_MAP, namespace, "applied")


def config_map(ref: ObjectRef, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    meta = {"namespace": ref.namespace, "name": ref.name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def lean(obj: dict[str, Any]) -> dict[str, Any]:
    """As caches have it: managedFields without fieldsV1."""
    entries = [
        {key: value for key, value in entry.items() if key in ("manager", "operation", "subresource")}
        for entry in obj["metadata"]["managedFields"]
    ]
    return obj | {"metadata": obj["metadata"] | {"managedFields": entries}}


async def test_fields_that_are_no_longer_sent_go_away_and_foreign_ones_stay(
    real: Any, cluster: Any, ref: ObjectRef
) -> None:
    created = await real.create(CONFIG_MAP, config_map(ref, {"ours": "1", "dropped": "1"}, kept="1", dropped="1"))
    await cluster.kubectl("-n", ref.namespace, "label", "configmap", ref.name, "foreign=yes")
    with pytest.raises(ConflictError):  # it is not what was created any more
        await real.apply(CONFIG_MAP, config_map(ref, {"ours": "1"}, kept="1"), lean(created))
    labelled = await real.get(ref)
    applied = await real.apply(CONFIG_MAP, config_map(ref, {"ours": "1"}, kept="1"), lean(labelled))
    assert applied["data"] == {"kept": "1"}
    assert applied["metadata"]["labels"] == {"ours": "1", "foreign": "yes"}
    ours = [entry for entry in applied["metadata"]["managedFields"] if entry["manager"] == FIELD_MANAGER]
    assert [entry["operation"] for entry in ours] == ["Apply"]

    again = await real.apply(CONFIG_MAP, config_map(ref), lean(applied))
    assert "data" not in again
    assert again["metadata"]["labels"] == {"foreign": "yes"}


async def test_a_hand_edit_is_overruled(real: Any, cluster: Any, ref: ObjectRef) -> None:
    created = await real.create(CONFIG_MAP, config_map(ref, text="ours"))
    await cluster.kubectl(
        "-n", ref.namespace, "patch", "configmap", ref.name, "--type=merge", "-p", '{"data": {"text": "edited"}}'
    )
    edited = await real.get(ref)
    assert edited["data"] == {"text": "edited"}
    assert edited["metadata"]["uid"] == created["metadata"]["uid"]
    assert (await real.apply(CONFIG_MAP, config_map(ref, text="ours"), lean(edited)))["data"] == {"text": "ours"}


async def test_an_identical_apply_writes_nothing(real: Any, ref: ObjectRef) -> None:
    created = await real.create(CONFIG_MAP, config_map(ref, text="same"))
    first = await real.apply(CONFIG_MAP, config_map(ref, text="same"), lean(created))
    second = await real.apply(CONFIG_MAP, config_map(ref, text="same"), lean(first))
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_a_custom_resource_behaves_alike(real: Any, namespace: str) -> None:
    ref = ObjectRef(TEST_TRIGGER, namespace, "applied")
    trigger: dict[str, Any] = {
        "apiVersion": TEST_TRIGGER.api_version,
        "kind": "TestTrigger",
        "metadata": {"namespace": ref.namespace, "name": ref.name},
        "spec": {
            "resource": "deployment",
            "event": "modified",
            "action": "run",
            "execution": "testworkflow",
            "testSelector": {"name": "some-workflow"},
            "disabled": True,
        },
    }
    created = await real.create(TEST_TRIGGER, trigger)
    del trigger["spec"]["disabled"]
    applied = await real.apply(TEST_TRIGGER, trigger, lean(created))
    assert "disabled" not in applied["spec"]
    await real.delete(ref, uid=created["metadata"]["uid"])
    with pytest.raises(ConflictError):
        await real.apply(TEST_TRIGGER, trigger, lean(applied))
    replacement = await real.create(TEST_TRIGGER, trigger)
    for old in (created, applied):
        with pytest.raises(ConflictError):
            await real.apply(TEST_TRIGGER, trigger, lean(old))
    assert (await real.get(ref))["metadata"]["resourceVersion"] == replacement["metadata"]["resourceVersion"]


async def test_a_name_that_is_taken_is_left_alone(real: Any, cluster: Any, ref: ObjectRef) -> None:
    await cluster.kubectl("-n", ref.namespace, "create", "configmap", ref.name, "--from-literal=owner=somebody")
    with pytest.raises(AlreadyExistsError, match=f"create {ref}: .* already exists"):
        await real.create(CONFIG_MAP, config_map(ref, owner="us"))
    assert (await real.get(ref))["data"] == {"owner": "somebody"}


@pytest.mark.parametrize("first_applied", [False, True])
async def test_a_replaced_object_is_never_hit(first_applied: bool, real: Any, ref: ObjectRef) -> None:
    old = await real.create(CONFIG_MAP, config_map(ref, text="old"))
    if first_applied:
        old = await real.apply(CONFIG_MAP, config_map(ref, text="old"), lean(old))
    await real.delete(ref, uid=old["metadata"]["uid"])
    with pytest.raises((ConflictError, NotFoundError)):
        await real.apply(CONFIG_MAP, config_map(ref, text="stale"), lean(old))
    with pytest.raises(NotFoundError):
        await real.get(ref)

    new = await real.create(CONFIG_MAP, config_map(ref, text="new"))
    with pytest.raises(ConflictError):
        await real.apply(CONFIG_MAP, config_map(ref, text="stale"), lean(old))
    with pytest.raises(ConflictError):
        await real.delete(ref, uid=old["metadata"]["uid"])
    with pytest.raises(ConflictError):
        await real.merge_patch(ref, {"metadata": {"uid": old["metadata"]["uid"]}, "data": {"text": "stale"}})
    assert (await real.get(ref))["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"]


async def test_a_cache_that_lags_behind_the_hand_over_is_a_conflict(real: Any, ref: ObjectRef) -> None:
    created = await real.create(CONFIG_MAP, config_map(ref, text="a"))
    await real.apply(CONFIG_MAP, config_map(ref, text="b"), lean(created))
    with pytest.raises(ConflictError):
        await real.apply(CONFIG_MAP, config_map(ref, text="c"), lean(created))
    assert (await real.get(ref))["data"] == {"text": "b"}


async def test_a_patch_of_ours_in_between_does_not_lose_track_of_what_was_applied(real: Any, ref: ObjectRef) -> None:
    created = await real.create(CONFIG_MAP, config_map(ref, kept="1", dropped="1"))
    await real.apply(CONFIG_MAP, config_map(ref, kept="1", dropped="1"), lean(created))
    patched = await real.merge_patch(ref, {"data": {"patched": "1"}})
    applied = await real.apply(CONFIG_MAP, config_map(ref, kept="1"), lean(patched))
    assert applied["data"] == {"kept": "1", "patched": "1"}


@pytest.mark.parametrize("body", [{"data": {"text": 1}}, {"datum": {"text": "1"}}])
async def test_what_the_schema_does_not_know_is_invalid_on_create_and_on_apply(
    body: dict[str, Any], real: Any, ref: ObjectRef
) -> None:
    created = await real.create(CONFIG_MAP, config_map(ref))
    with pytest.raises(InvalidError):
        await real.apply(CONFIG_MAP, config_map(ref) | body, created)
    await real.delete(ref, uid=created["metadata"]["uid"])
    with pytest.raises(InvalidError):
        await real.create(CONFIG_MAP, config_map(ref) | body)
