"""A CRD may be installed after the service, go, and come back: no restart, no noise."""

from __future__ import annotations

import json
from typing import Any

from kube.objects import Resource
from kube.reflector import SourceState
from support.polling import until

GADGET = Resource("reflector.example.com/v1", "Gadget", "gadgets")
CRD = json.dumps(
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.reflector.example.com"},
        "spec": {
            "group": "reflector.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Gadget", "plural": "gadgets"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
)


def gadget(namespace: str, name: str) -> dict[str, Any]:
    return {"apiVersion": GADGET.api_version, "kind": "Gadget", "metadata": {"name": name, "namespace": namespace}}


async def test_a_crd_comes_goes_and_comes_back(
    cluster: Any, real: Any, namespace: str, watching_real: Any, told: Any
) -> None:
    async with watching_real(GADGET, max_pause=0.1) as reflector:
        await reflector.wait_synced()
        assert (reflector.state, reflector.error, told.words) == (SourceState.ABSENT, "", [])

        await cluster.kubectl("apply", "-f", "-", stdin=CRD)
        await until(lambda: reflector.state is SourceState.SERVED)
        await real.create(GADGET, gadget(namespace, "one"))
        await until(lambda: len(told.words) == 2)
        assert told.words == ["availability", "added one"]

        await cluster.kubectl("delete", "crd", "gadgets.reflector.example.com")
        await until(lambda: reflector.state is SourceState.ABSENT)
        assert told.words[2:] == ["deleted one", "availability"]
        assert (reflector.objects(), reflector.synced) == ([], True)

        await cluster.kubectl("apply", "-f", "-", stdin=CRD)
        await until(lambda: reflector.state is SourceState.SERVED)
        assert told.words[4:] == ["availability"]


async def test_a_proxys_404_page_does_not_empty_the_cache(api: Any, watching: Any, told: Any) -> None:
    api.lists = [api.page(10, api.config_map("a"))]
    api.watches = [api.failing(404, "<html>no such site</html>")]
    async with watching() as reflector:
        await until(lambda: reflector.error)
        assert (reflector.state, told.words) == (SourceState.SERVED, ["added a"])


async def test_with_the_first_change_a_subscriber_finds_all_others_and_the_new_state(
    api: Any, watching: Any, told: Any
) -> None:
    not_served = {"message": "the server could not find the requested resource", "details": {}}
    api.lists = [api.page(10, api.config_map("a"), api.config_map("b")), api.failing(404, not_served)]
    api.watches = [api.failing(410, {"message": "too old resource version"})]
    async with watching() as reflector:
        told.look = lambda: (reflector.state, len(reflector.objects()))
        await until(lambda: len(told.seen) == 5)
    assert told.seen == [(SourceState.SERVED, 2)] * 2 + [(SourceState.ABSENT, 0)] * 3
