"""Five thousand objects are not one answer of 50 MB."""

from __future__ import annotations

import asyncio
from typing import Any

from kube.objects import CONFIG_MAP


async def test_5000_objects_come_in_ten_pages(api: Any, watching: Any) -> None:
    names = [f"cm-{number}" for number in range(5000)]
    pages = [names[start : start + 500] for start in range(0, 5000, 500)]
    tokens = [f"page-{number}" for number in range(1, 10)] + [""]
    api.lists = [api.page(7, *map(api.config_map, page), more=token) for page, token in zip(pages, tokens, strict=True)]
    api.watches = [api.stream()]
    async with watching() as reflector:
        await reflector.wait_synced()
        assert [obj["metadata"]["name"] for obj in reflector.objects()] == names
    assert {query["limit"] for query in api.list_queries} == {"500"}
    assert [query.get("continue", "") for query in api.list_queries] == ["", *tokens[:-1]]


async def test_a_real_api_server_pages_alike(real: Any, watching_real: Any, namespace: str) -> None:
    many = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"cm-{number}", "namespace": namespace}}
        for number in range(501)
    ]
    await asyncio.gather(*(real.create(CONFIG_MAP, obj) for obj in many))
    async with watching_real(namespace=namespace) as reflector:
        await reflector.wait_synced()
        assert len(reflector.objects()) == 501
        assert {(obj["apiVersion"], obj["kind"]) for obj in reflector.objects()} == {("v1", "ConfigMap")}
