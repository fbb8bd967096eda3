"""`namespace:` and `namePrefix:` in a kustomization around any of ours: all of it moves, is renamed, and works.

The processes run as their Deployments say, each with the token of its ServiceAccount. What a pod would have besides
comes from `installation`: no pods run here.
"""

from __future__ import annotations

import json
import re

import pytest

from kube.objects import LEASE
from localcluster import KubectlError

MOVED = {"namespace": "platform", "namePrefix": "team-"}
OVERLAYS = ["base", "overlays/single", "overlays/ha", "overlays/temporal-cloud"]
TRANSFORMED = [{"namespace": "platform"}, {"namePrefix": "team-", "nameSuffix": "-b"}, MOVED]


def identity(obj):
    """A ConfigMap's without the hash of its content."""
    kind, meta = obj["kind"], obj["metadata"]
    name = re.sub("-[0-9a-z]{10}$", "", meta["name"]) if kind == "ConfigMap" else meta["name"]
    return kind, meta.get("namespace", ""), name


def transformed(obj, transformers):
    """What it is to be called, and where it is to be."""
    kind, namespace, name = identity(obj)
    own = transformers.get("namespace", "experiment-operator")
    if kind == "Namespace":
        return kind, namespace, own
    if kind != "CustomResourceDefinition":
        name = f"{transformers.get('namePrefix', '')}{name}{transformers.get('nameSuffix', '')}"
    return kind, own if namespace == "experiment-operator" else namespace, name


@pytest.mark.parametrize("transformers", TRANSFORMED, ids=["moved", "renamed", "both"])
@pytest.mark.parametrize("name", [*OVERLAYS, "monitoring"])
def test_everything_follows_but_what_is_testkubes(built, name, transformers):
    after = built(name, **transformers)
    assert sorted(map(identity, after)) == sorted(transformed(obj, transformers) for obj in built(name))
    assert "internal.config.kubernetes.io" not in json.dumps(after)


def names_that_are_told(deployment):
    """Kind, namespace and name of what this Deployment speaks of."""
    namespace, pod = deployment["metadata"]["namespace"], deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    yield "ServiceAccount", namespace, pod["serviceAccountName"]
    for source in container["envFrom"]:
        if "configMapRef" in source:
            yield "ConfigMap", namespace, source["configMapRef"]["name"]
    env = {each["name"]: each["value"] for each in container["env"]}
    for setting, kinds in {"LEASE_NAME": ["Lease"], "WEBHOOK_NAME": ["Lease", "Service"]}.items():
        if setting in env:
            yield from ((kind, namespace, env[setting]) for kind in kinds)
    if "WEBHOOK_CONFIGURATION" in env:
        yield "ValidatingWebhookConfiguration", "", env["WEBHOOK_CONFIGURATION"]


def names_in(obj):
    kind, namespace, _ = identity(obj)
    if kind == "Deployment":
        yield from names_that_are_told(obj)
    if kind.endswith("RoleBinding"):
        role = obj["roleRef"]
        yield role["kind"], namespace if role["kind"] == "Role" else "", role["name"]
        yield from (("ServiceAccount", subject["namespace"], subject["name"]) for subject in obj["subjects"])
    for webhook in obj.get("webhooks", ()):
        service = webhook["clientConfig"]["service"]
        yield "Service", service["namespace"], service["name"]


@pytest.mark.parametrize("transformers", [{}, *TRANSFORMED], ids=["as it is", "moved", "renamed", "both"])
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_name_leads_to_something(built, name, transformers):
    objects = built(name, **transformers)
    there = {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in objects}
    spoken_of = {each for obj in objects for each in names_in(obj)}
    assert {kind for kind, _, _ in spoken_of} >= {"ServiceAccount", "Role", "ClusterRole", "ConfigMap", "Lease"}
    assert spoken_of - there == set()


@pytest.mark.parametrize("name", ["base", "overlays/single", "overlays/ha"])
async def test_an_experiment_becomes_ready_and_goes(installation, built, name):
    async with installation(name, **MOVED) as world:
        await world.agent(url="http://weather.example:8000/.well-known/agent-card.json")
        await world.create()
        status = await world.reported()
        assert {resource.namespace for resource in status.generated_resources} == {"testkube"}
        leases = [lease for lease in await world.kube.list(LEASE) if "experiment-operator" in lease["metadata"]["name"]]
        held = {identity(lease) for lease in leases if lease["spec"].get("holderIdentity")}
        # Nobody has made another.
        assert held == {each for each in map(identity, built(name, **MOVED)) if each[0] == "Lease"}
        await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--timeout=60s")
        assert await world.children() == [None, None, None]


async def test_the_webhook_is_called_under_its_new_name(installation):
    """By its Service, so that the API server itself compares the certificate with the name."""
    async with installation("overlays/ha", **MOVED) as world:
        bad = json.dumps(world.experiment(schedule={"cron": "0 0 30 2 *"}))

        async def said():
            try:
                return await world.cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=bad)
            except KubectlError as error:
                return str(error)

        await world.until(said, lambda words: "spec.schedule.cron: '0 0 30 2 *' names no date" in words)
