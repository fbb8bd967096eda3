"""On a real API server: what is there, what comes, what changes and what goes, once each and in order."""

from __future__ import annotations

from typing import Any

from kube.objects import CONFIG_MAP, ObjectRef
from support.polling import until


def config_map(namespace: str, name: str, **labels: str) -> dict[str, Any]:
    meta = {"namespace": namespace, "name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"text": "first"}}


async def test_each_change_is_told_once_and_in_order(namespace: str, real: Any, watching_real: Any, told: Any) -> None:
    await real.create(CONFIG_MAP, config_map(namespace, "before", watched="yes"))
    async with watching_real(namespace=namespace, label_selector="watched=yes") as reflector:
        await reflector.wait_synced()
        live = await real.create(CONFIG_MAP, config_map(namespace, "a", watched="yes"))
        await real.create(CONFIG_MAP, config_map(namespace, "foreign"))
        ref = ObjectRef(CONFIG_MAP, namespace, "a")
        await real.merge_patch(ref, {"data": {"text": "second"}})
        await real.merge_patch(ref, {"data": {"text": "second"}})
        await real.delete(ref, uid=live["metadata"]["uid"])
        await until(lambda: "deleted a" in told.words)
        assert told.words == ["added before", "added a", "changed a", "deleted a"]
        assert [told.changes[2].old["data"], told.changes[2].new["data"]] == [{"text": "first"}, {"text": "second"}]
        assert reflector.get(namespace, "a") is None
        assert reflector.get(namespace, "before")["data"] == {"text": "first"}


async def test_an_object_whose_label_no_longer_fits_is_gone(
    namespace: str, real: Any, watching_real: Any, told: Any
) -> None:
    await real.create(CONFIG_MAP, config_map(namespace, "relabelled", kept="yes"))
    async with watching_real(namespace=namespace, label_selector="kept=yes") as reflector:
        await reflector.wait_synced()
        await real.merge_patch(ObjectRef(CONFIG_MAP, namespace, "relabelled"), {"metadata": {"labels": {"kept": None}}})
        await until(lambda: "deleted relabelled" in told.words)
        assert reflector.objects() == []


async def test_all_namespaces_are_watched_where_none_is_named(namespace: str, real: Any, watching_real: Any) -> None:
    async with watching_real(label_selector=f"everywhere={namespace}") as reflector:
        await reflector.wait_synced()
        for where in ("default", namespace):
            await real.create(CONFIG_MAP, config_map(where, f"in-{namespace}", everywhere=namespace))
        await until(lambda: len(reflector.objects()) == 2)
        assert reflector.get("default", f"in-{namespace}")["metadata"]["namespace"] == "default"
