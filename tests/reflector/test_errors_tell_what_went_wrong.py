"""Each failure of a call is one leaf of the tree, with verb, object and the server's words."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from kubernetes_asyncio.client import Configuration

from experiments.resources import TEST_WORKFLOW
from kube.client import KubeClient
from kube.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    NotServedError,
    TooManyRequestsError,
    UnavailableError,
)
from kube.objects import CONFIG_MAP, ObjectRef, Resource

NOTHING = ObjectRef(CONFIG_MAP, "default", "nothing")


async def test_a_missing_object_and_a_missing_kind_differ(real: Any) -> None:
    with pytest.raises(NotFoundError, match='get ConfigMap default/nothing: configmaps "nothing" not found'):
        await real.get(NOTHING)
    with pytest.raises(NotFoundError, match='namespaces "no-such-namespace" not found'):
        await real.create(CONFIG_MAP, {"metadata": {"namespace": "no-such-namespace", "name": "a"}})
    in_group = Resource(TEST_WORKFLOW.api_version, "Nothing", "nothings")
    for missing in (in_group, Resource("v1", "Nothing", "nothings"), Resource("no.example.com/v1", "No", "noes")):
        with pytest.raises(NotServedError, match=r"is its CRD installed\?"):
            await real.list(missing)
        with pytest.raises(NotServedError):
            await real.get(ObjectRef(missing, "default", "nothing"))


async def test_whoever_is_not_allowed_or_not_known_is_forbidden(cluster: Any) -> None:
    async with await KubeClient.connect(cluster.kubeconfig_for("somebody")) as somebody:
        with pytest.raises(ForbiddenError, match='User "somebody" cannot get resource "configmaps"'):
            await somebody.get(NOTHING)
    configuration = Configuration(host=cluster.api_url)
    configuration.verify_ssl = False
    configuration.api_key["BearerToken"] = "Bearer wrong"
    async with KubeClient(configuration) as stranger:
        with pytest.raises(ForbiddenError, match="get ConfigMap default/nothing: Unauthorized"):
            await stranger.get(NOTHING)


async def test_a_patch_lands_on_the_version_that_was_read_or_nowhere(real: Any, namespace: str) -> None:
    workflow = {
        "apiVersion": TEST_WORKFLOW.api_version,
        "kind": "TestWorkflow",
        "metadata": {"namespace": namespace, "name": "patched"},
        "spec": {},
    }
    read = await real.create(TEST_WORKFLOW, workflow)
    ref = ObjectRef(TEST_WORKFLOW, namespace, "patched")
    label = {"labels": {"a": "b"}}
    await real.merge_patch(ref, {"metadata": label | {"resourceVersion": read["metadata"]["resourceVersion"]}})
    with pytest.raises(ConflictError, match=f"patch {ref}: .*has been modified"):
        await real.merge_patch(ref, {"metadata": label | {"resourceVersion": read["metadata"]["resourceVersion"]}})
    test = {"op": "test", "path": "/metadata/uid", "value": "of another"}
    with pytest.raises(ConflictError):
        await real.json_patch(ref, [test, {"op": "remove", "path": "/metadata/labels"}])
    assert (await real.get(ref))["metadata"]["labels"] == {"a": "b"}


async def test_too_many_requests_says_when_to_come_back(api: Any, client: Any) -> None:
    api.lists = [api.failing(429, {"message": "slow down"}, retry_after="3")]
    with pytest.raises(TooManyRequestsError, match="slow down") as caught:
        await client.get(NOTHING)
    assert (caught.value.retry_after, caught.value.status, caught.value.transient) == (3.0, 429, True)


async def test_a_server_that_is_away_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        async with KubeClient(Configuration(host=f"http://127.0.0.1:{taken.getsockname()[1]}")) as client:
            with pytest.raises(UnavailableError, match=r"get ConfigMap default/nothing: .*Cannot connect") as caught:
                await client.get(NOTHING)
    assert (caught.value.transient, caught.value.status) == (True, None)


@pytest.mark.parametrize("body", ["", "<html>maintenance</html>", "null", "[]"])
async def test_an_answer_that_is_no_object_is_unavailable(body: str, api: Any, client: Any) -> None:
    api.lists = [api.failing(200, body)]
    with pytest.raises(UnavailableError, match="get ConfigMap default/nothing: the answer is no JSON object"):
        await client.get(NOTHING)
