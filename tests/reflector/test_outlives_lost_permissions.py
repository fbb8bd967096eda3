"""RBAC that is revoked midway: the cache stays, the reason is told, and granting it again is enough."""

from __future__ import annotations

from typing import Any

from kube.client import KubeClient
from kube.objects import CONFIG_MAP, Source
from kube.reflector import SourceState
from support.polling import until

FORBIDDEN = {
    "reason": "Forbidden",
    "message": 'configmaps is forbidden: User "operator" cannot watch resource "configmaps"',
}


async def test_a_watch_outlives_permissions_that_come_back(api: Any, watching: Any, told: Any) -> None:
    api.lists = [api.page(10, api.config_map("a")), api.failing(403, FORBIDDEN)]
    api.watches = [api.failing(403, FORBIDDEN)]
    async with watching() as reflector:
        await until(lambda: len(api.list_queries) > 3)
        assert reflector.error == f"list configmaps: {FORBIDDEN['message']}"
        assert (reflector.state, told.words) == (SourceState.SERVED, ["added a"])
        api.lists, api.watches = [api.page(20)], [api.stream()]
        await until(lambda: told.words == ["added a", "deleted a"])
        await until(lambda: not reflector.error)


async def test_what_must_not_be_listed_is_not_ready(cluster: Any, caching: Any, told: Any) -> None:
    kubeconfig = cluster.kubeconfig_for("nobody-in-particular")
    async with await KubeClient.connect(kubeconfig) as nobody, caching(nobody, Source(CONFIG_MAP), told=told) as caches:
        await until(caches.errors)
        assert not caches.synced
        assert caches.errors()[0].startswith('list configmaps: configmaps is forbidden: User "nobody-in-particular"')
