"""The watcher asks one place, whichever source an object came from."""

from __future__ import annotations

from typing import Any

from kube.objects import CONFIG_MAP, EVENT, ObjectRef, Resource, Source
from support.polling import until

MISSING = Resource("caches.example.com/v1", "Nothing", "nothings")


def config_map(namespace: str, name: str, **labels: str) -> dict[str, Any]:
    meta = {"namespace": namespace, "name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


async def test_one_look_up_for_all_sources_of_a_resource(real: Any, namespace: str, caching: Any, told: Any) -> None:
    by_label = Source(CONFIG_MAP, label_selector=f"found={namespace}")
    by_name = Source(CONFIG_MAP, namespace, field_selector="metadata.name=found-by-name")
    async with caching(real, by_label, by_name, Source(MISSING), told=told) as caches:
        assert not caches.synced
        await caches.wait_synced()
        assert caches.synced
        await real.create(CONFIG_MAP, config_map(namespace, "found-by-label", found=namespace))
        await real.create(CONFIG_MAP, config_map(namespace, "found-by-name", found=namespace))
        await real.create(CONFIG_MAP, config_map(namespace, "not-looked-for"))
        await until(lambda: len(told.words) == 3)

        found = {obj["metadata"]["name"] for obj in caches.objects(CONFIG_MAP)}
        assert found == {"found-by-label", "found-by-name"}
        assert len(caches.objects(CONFIG_MAP)) == 2  # though both sources have the second
        assert caches.get(ObjectRef(CONFIG_MAP, namespace, "found-by-name")) is not None
        assert caches.get(ObjectRef(CONFIG_MAP, namespace, "not-looked-for")) is None
        assert [caches.served(resource) for resource in (CONFIG_MAP, MISSING, EVENT)] == [True, False, False]
        assert caches.errors() == []


async def test_an_index_follows_what_comes_changes_and_goes(real: Any, namespace: str, caching: Any, told: Any) -> None:
    def colour(obj: dict[str, Any]) -> str | None:
        found: str | None = obj["metadata"].get("labels", {}).get("colour")
        return found

    def of(key: str) -> set[str]:
        return {obj["metadata"]["name"] for obj in caches.of(CONFIG_MAP, colour, key)}

    await real.create(CONFIG_MAP, config_map(namespace, "a", colour="red"))
    async with caching(real, Source(CONFIG_MAP, namespace, label_selector="colour"), told=told) as caches:
        await caches.wait_synced()
        assert (of("red"), of("blue")) == ({"a"}, set())
        b = await real.create(CONFIG_MAP, config_map(namespace, "b", colour="red"))
        await real.merge_patch(ObjectRef(CONFIG_MAP, namespace, "a"), {"metadata": {"labels": {"colour": "blue"}}})
        await until(lambda: (of("red"), of("blue")) == ({"b"}, {"a"}))
        await real.delete(ObjectRef(CONFIG_MAP, namespace, "b"), uid=b["metadata"]["uid"])
        await until(lambda: of("red") == set())
