"""What the tests of this project rely on the local cluster for: validation, defaults, RBAC, garbage collection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid

import pytest
import yaml

from localcluster import InstallError, KubectlError

TEMPLATE = """
apiVersion: testworkflows.testkube.io/v1
kind: TestWorkflowTemplate
metadata: {name: run-template}
spec:
  config:
    agentUrl: {description: The agent}
  steps:
    - name: run
      run: {image: "example.com/run:1", args: ["{{ config.agentUrl }}"], env: [{name: A, value: b}]}
      steps: [{anything: goes}]
"""
TRIGGER = """
apiVersion: tests.testkube.io/v1
kind: TestTrigger
metadata: {name: on-change}
spec:
  resource: deployment
  resourceSelector: {name: agent, namespace: agents}
  event: modified
  action: run
  execution: testworkflow
  concurrencyPolicy: forbid
  testSelector: {name: a-workflow, namespace: testkube}
"""
WORKFLOW = """
apiVersion: testworkflows.testkube.io/v1
kind: TestWorkflow
metadata: {name: a-workflow}
spec:
  use: [{name: run-template, config: {agentUrl: "http://agent"}}]
  events: [{cronjob: {cron: "0 * * * *", timezone: Europe/Berlin}}]
  container: {env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: a}}}]}
  content: {files: [{path: /data/experiment.json, contentFrom: {configMapKeyRef: {name: settings, key: b}}}]}
"""
AGENT = """
apiVersion: runtime.agentic-layer.ai/v1alpha1
kind: Agent
metadata: {name: agent}
spec: {protocols: [{type: A2A, path: /chat}]}
"""
GATEWAY = """
apiVersion: runtime.agentic-layer.ai/v1alpha1
kind: AiGateway
metadata: {name: gateway}
spec: {aiModels: [{name: some-model, provider: some-provider}]}
"""


@pytest.fixture
async def namespace(cluster) -> str:
    name = f"local-{uuid.uuid4().hex[:8]}"
    await cluster.kubectl("create", "namespace", name)
    return name


@pytest.fixture
def apply(cluster, namespace):
    """Applies a manifest strictly, with `changes` in its spec, and returns the object."""

    async def apply(manifest: str, **changes: object) -> dict:
        content = yaml.safe_load(manifest)
        content["spec"].update(changes)
        done = await cluster.kubectl(
            *("apply", "-n", namespace, "--server-side", "--validate=strict", "-o", "json", "-f", "-"),
            stdin=json.dumps(content),
        )
        return json.loads(done)

    return apply


@pytest.mark.parametrize("manifest", [TEMPLATE, WORKFLOW, TRIGGER, AGENT, GATEWAY])
async def test_the_kinds_around_this_project_are_served_and_refuse_unknown_fields(apply, manifest):
    await apply(manifest)
    with pytest.raises(KubectlError, match="tpyo"):
        await apply(manifest, tpyo="x")


@pytest.mark.parametrize(
    ("manifest", "wrong"),
    [
        (TRIGGER, {"event": "Modified"}),
        (TRIGGER, {"concurrencyPolicy": "Forbid"}),
        (TRIGGER, {"execution": "workflow"}),
        (TRIGGER, {"action": "start"}),
        (WORKFLOW, {"use": [{"name": "run-template", "config": {"agentUrl": True}}]}),
        (WORKFLOW, {"use": [{"config": {}}]}),
        (AGENT, {"protocols": [{"type": "MCP"}]}),
        (GATEWAY, {"port": 0}),
    ],
)
async def test_values_that_the_real_ones_refuse_are_refused(apply, manifest, wrong):
    with pytest.raises(KubectlError, match=next(iter(wrong))):
        await apply(manifest, **wrong)


async def test_defaults_are_those_of_the_real_ones(apply):
    assert (await apply(TEMPLATE))["spec"]["config"]["agentUrl"]["type"] == "string"
    assert (await apply(TEMPLATE))["spec"]["steps"][0]["steps"] == [{"anything": "goes"}]
    assert (await apply(GATEWAY))["spec"]["port"] == 80
    assert "port" not in (await apply(AGENT))["spec"]["protocols"][0]


async def test_the_url_of_an_agent_is_status(cluster, namespace, apply):
    await apply(AGENT)
    url = {"status": {"url": "http://agent/.well-known/agent-card.json"}}
    patch = ("patch", "agent", "agent", "-n", namespace, "--type=merge", "-p", json.dumps(url))
    await cluster.kubectl(*patch)
    assert not await cluster.kubectl("get", "agent", "agent", "-n", namespace, "-o", "jsonpath={.status.url}")
    await cluster.kubectl(*patch, "--subresource=status")
    assert await cluster.kubectl("get", "agent", "agent", "-n", namespace, "-o", "jsonpath={.status.url}")


async def test_what_a_deleted_object_owned_is_collected_also_of_kinds_installed_late(cluster, namespace, tmp_path):
    group = f"{namespace}.example.com"
    (tmp_path / "crd.yaml").write_text(crd(group))
    await cluster.install(tmp_path)
    owner = {"apiVersion": f"{group}/v1", "kind": "Late", "metadata": {"name": "owner", "namespace": namespace}}
    created = json.loads(await cluster.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(owner)))
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": "Late",
        "name": "owner",
        "uid": created["metadata"]["uid"],
    }
    metadata = {"name": "child", "namespace": namespace, "ownerReferences": [reference]}
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    await cluster.kubectl("create", "-f", "-", stdin=json.dumps(child))
    await cluster.kubectl("delete", "late", "owner", "-n", namespace)
    await cluster.kubectl("wait", "configmap/child", "-n", namespace, "--for=delete", "--timeout=20s")


async def test_a_crd_that_is_refused_says_why(cluster, tmp_path):
    (tmp_path / "crd.yaml").write_text(crd("wrong.example.com").replace("type: object", "type: objekt"))
    with pytest.raises(InstallError, match="objekt"):
        await cluster.install(tmp_path / "crd.yaml")


def crd(group: str) -> str:
    return f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: lates.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Late, plural: lates}}
  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}]
"""


async def test_a_user_may_do_what_rbac_grants_and_no_longer(cluster, namespace):
    user = f"alice-{namespace}"
    kubeconfig = cluster.kubeconfig_for(user, ("testers",))
    assert kubeconfig.stat().st_mode & 0o077 == 0
    ask = ("get", "configmaps", "-n", namespace, "--kubeconfig", str(kubeconfig))
    with pytest.raises(KubectlError, match=f'User "{user}" cannot list'):
        await cluster.kubectl(*ask)
    await cluster.kubectl("create", "role", "reader", "-n", namespace, "--verb=list", "--resource=configmaps")
    await cluster.kubectl("create", "rolebinding", "readers", "-n", namespace, "--role=reader", "--group=testers")
    async with asyncio.timeout(20):  # The authorizer sees roles through a cache.
        while True:
            with contextlib.suppress(KubectlError):
                await cluster.kubectl(*ask)
                break
    await cluster.kubectl("delete", "rolebinding", "readers", "-n", namespace)
    with pytest.raises(KubectlError, match="cannot list"):
        await forever(cluster.kubectl, *ask)


async def test_an_owner_is_held_back_only_by_who_may_change_its_finalizers(cluster, namespace):
    """As OpenShift has it, for which the API server is told to."""
    kubeconfig = cluster.kubeconfig_for(f"bob-{namespace}")
    role = ("-n", namespace, "--verb=create,get,delete", "--resource=configmaps")
    await cluster.kubectl("create", "role", "writer", *role)
    await cluster.kubectl(
        "create", "rolebinding", "writer", "-n", namespace, "--role=writer", f"--user=bob-{namespace}"
    )
    made = await cluster.kubectl("create", "configmap", "owner", "-n", namespace, "-o", "json")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": json.loads(made)["metadata"]["uid"]}
    may = ("auth", "can-i", "create", "configmaps", "-n", namespace, f"--as=bob-{namespace}")
    async with asyncio.timeout(20):  # The authorizer sees roles through a cache.
        while True:
            with contextlib.suppress(KubectlError):
                await cluster.kubectl(*may)
                break

    async def create(name: str, **more: object) -> None:
        metadata = {"name": name, "namespace": namespace, "ownerReferences": [{**owner, "controller": True, **more}]}
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        await cluster.kubectl("create", "--kubeconfig", str(kubeconfig), "-f", "-", stdin=json.dumps(child))

    await create("free")
    with pytest.raises(KubectlError, match="cannot set blockOwnerDeletion"):
        await create("blocking", blockOwnerDeletion=True)


async def forever(kubectl, *args: str) -> None:
    async with asyncio.timeout(20):
        while True:
            await kubectl(*args)
