"""What looks like a fault of Testkube's, and is none; and what of it may not be looked at."""

from __future__ import annotations

import pytest

from experiment_operator.doctor.report import Verdict
from support.objects import applied, deployment, trigger, workflow
from support.testkube import TestkubeStandIn

_KEY = {"TESTKUBE_PRO_API_KEY": None}
_TOLD = {"GITOPS_KUBERNETES_TO_CLOUD_ENABLED": "true"}


@pytest.mark.parametrize(
    "agents",
    [
        (deployment("agent", **_KEY, **_TOLD),),
        (deployment("agent", **_KEY, GITOPS_KUBERNETES_TO_CLOUD_ENABLED=None),),
        (deployment("runner", **_KEY), deployment("gitops", **_KEY, **_TOLD)),
        (deployment("agent", TESTKUBE_PRO_API_KEY="", TESTKUBE_NAMESPACE="testkube"),),
    ],
    ids=["told to synchronise", "perhaps told to", "one of two told to", "connected to nothing"],
)
async def test_an_agent_that_reads_custom_resources(cluster, doctor, agents):
    async with applied(cluster, *agents):
        assert await doctor() == []


@pytest.mark.parametrize(
    "harmless",
    [
        trigger("harmless", {"name": "weather"}),
        trigger("harmless", {"name": "gone"}, disabled=True),
        trigger("harmless", {"name": "gone"}, execution="testsuite"),
        trigger("harmless", {"nameRegex": "gone.*"}),
        trigger("harmless", {"labelSelector": {"matchLabels": {"gone": "yes"}}}),
    ],
    ids=["its workflow is there", "off", "of the time before TestWorkflows", "any of a name", "any with a label"],
)
async def test_a_trigger_that_fails_for_want_of_nothing(cluster, doctor, harmless):
    async with applied(cluster, workflow("weather"), harmless):
        assert await doctor() == []


@pytest.mark.parametrize("context", ["oss", "cloud"])
async def test_an_api_that_knows_what_is_in_the_cluster(cluster, doctor, environment, context):
    async with TestkubeStandIn() as testkube, applied(cluster, workflow("weather")):
        testkube.context = context
        testkube.workflows.add("weather")
        environment(TESTKUBE_API_URL=f"{testkube.url}/v1")
        (said,) = [each for each in await doctor(everything=True) if each.name == "Testkube API"]
    assert (said.verdict, said.found) == (Verdict.OK, f"simulation answers at {testkube.url}/v1")


async def test_without_an_address_its_api_is_not_missed(doctor):
    (said,) = [each for each in await doctor(everything=True) if each.name == "Testkube API"]
    assert (said.verdict, said.advice) == (Verdict.OK, "")
    assert said.found.startswith("TESTKUBE_API_URL is not set")


async def test_an_api_that_is_not_asked_where_there_is_no_one_testkube(doctor, environment):
    environment(TESTKUBE_NAMESPACE=".", TESTKUBE_API_URL="http://127.0.0.1:1")
    (said,) = [each for each in await doctor(everything=True) if each.name == "Testkube API"]
    assert (said.verdict, said.advice) == (Verdict.WARNING, "set it to nothing")
    assert said.found.startswith("TESTKUBE_API_URL is not used with TESTKUBE_NAMESPACE=.")


async def test_who_may_not_look_at_deployments_is_told_that_nobody_did(cluster, doctor, environment):
    """As is the case for the service's own ServiceAccounts."""
    role = {"rules": [{"apiGroups": ["*"], "resources": ["testworkflows", "testtriggers"], "verbs": ["list"]}]}
    meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "no-deployments"}}
    binding = {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "no-deployments"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "onlooker"}],
    }
    roles = {**meta, "kind": "ClusterRole", **role}, {**meta, "kind": "ClusterRoleBinding", **binding}
    async with applied(cluster, *roles):
        environment(KUBECONFIG=str(cluster.kubeconfig_for("onlooker")))
        said = {each.name: each for each in await doctor(everything=True)}
    assert said["Testkube control plane"].verdict == Verdict.UNCHECKED
    assert said["Testkube control plane"].found == "not checked: Deployments in testkube may not be listed"
    assert said["TestTriggers"].verdict == Verdict.OK
