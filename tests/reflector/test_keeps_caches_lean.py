"""What nobody reads is not kept: a cached object without it takes half the memory."""

from __future__ import annotations

import json
from typing import Any

from kube.client import FIELD_MANAGER
from kube.objects import CONFIG_MAP, ObjectRef
from support.polling import until

WRITTEN = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "lean", "annotations": {"mine": "kept"}},
    }
)


async def test_listed_and_watched_objects_keep_who_wrote_but_not_which_fields(
    cluster: Any, real: Any, namespace: str, watching_real: Any, told: Any
) -> None:
    await cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=WRITTEN)
    async with watching_real(CONFIG_MAP, namespace, field_selector="metadata.name=lean") as reflector:
        await reflector.wait_synced()
        await real.merge_patch(ObjectRef(CONFIG_MAP, namespace, "lean"), {"data": {"a": "b"}})
        await until(lambda: len(told.changes) == 2)
        for seen in (change.new["metadata"] for change in told.changes):
            assert seen["annotations"] == {"mine": "kept"}
            assert all(
                entry.keys() <= {"manager", "operation", "subresource", "time"} for entry in seen["managedFields"]
            )
        latest = reflector.get(namespace, "lean")["metadata"]["managedFields"]
    assert {entry["manager"] for entry in latest} == {"kubectl-client-side-apply", FIELD_MANAGER}


async def test_compact_ones_are_told_and_found_as_all_others(
    real: Any, namespace: str, watching_real: Any, told: Any
) -> None:
    ref = ObjectRef(CONFIG_MAP, namespace, "compact")
    await real.create(CONFIG_MAP, {**json.loads(WRITTEN), "metadata": {"name": "compact", "namespace": namespace}})
    async with watching_real(CONFIG_MAP, namespace, field_selector="metadata.name=compact", compact=True) as reflector:
        await reflector.wait_synced()
        await real.merge_patch(ref, {"data": {"a": "b"}})
        await until(lambda: len(told.changes) == 2)
        assert told.changes[1].old == told.changes[0].new
        assert reflector.get(namespace, "compact") == told.changes[1].new == reflector.objects()[0]
