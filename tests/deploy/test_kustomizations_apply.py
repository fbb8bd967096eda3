"""Every kustomization builds with the real kustomize, and a real API server takes all of it, strictly validated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiment_operator import cli, settings

ROOT = Path(__file__).parents[2]
ALL = ["base", "overlays/single", "overlays/ha", "overlays/temporal-cloud"]


def of(objects, kind):
    return [obj for obj in objects if obj["kind"] == kind]


def containers(objects):
    return [deployment["spec"]["template"]["spec"]["containers"][0] for deployment in of(objects, "Deployment")]


@pytest.mark.parametrize("name", ALL)
async def test_the_api_server_takes_it(cluster, built, name):
    namespaces = [obj for obj in built(name) if obj["kind"] == "Namespace"]
    assert namespaces
    await cluster.kubectl("apply", "-k", str(ROOT / "deploy" / "base"), "--validate=strict")
    answer = await cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-k", str(ROOT / "deploy" / name))
    assert len(answer.splitlines()) == len(built(name))


@pytest.mark.parametrize("name", ALL)
def test_every_pod_is_restricted(built, name):
    for deployment in of(built(name), "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"livenessProbe", "readinessProbe", "startupProbe", "resources"} <= container.keys()


@pytest.mark.parametrize("name", ALL)
def test_the_command_takes_what_the_pods_tell_it(built, name, monkeypatch):
    """Each argument is a command, and each variable one of its settings, with a value that it takes."""
    (config,) = of(built(name), "ConfigMap")
    for container in containers(built(name)):
        (command,) = container["args"]
        kind, _ = cli._COMMANDS[command]
        variables = {each["name"]: each["value"] for each in container["env"]} | config["data"]
        known = {
            name: value for name, value in variables.items() if not re.match("TEMPORAL_(ADDRESS|NAMESPACE|TLS)", name)
        }
        for variable, value in known.items():
            monkeypatch.setenv(variable, value)
        assert {name.lower() for name in known} <= set(settings.All.model_fields)
        kind()
    names = {each["args"][0] for each in containers(built(name))}
    assert names == ({"all"} if name.endswith("single") else {"watcher", "worker", "api"})


def test_ha_runs_two_of_each(built):
    assert {d["spec"]["replicas"] for d in of(built("overlays/ha"), "Deployment")} == {2}
    assert of(built("overlays/ha"), "ValidatingWebhookConfiguration")


def test_what_a_service_or_policy_selects_exists(built):
    for name in ALL:
        objects = built(name)
        pods = [d["spec"]["template"]["metadata"]["labels"] for d in of(objects, "Deployment")]
        selectors = [s["spec"]["selector"] for s in of(objects, "Service")]
        selectors += [p["spec"]["selector"]["matchLabels"] for p in of(objects, "PodDisruptionBudget")]
        selectors += [p["spec"]["podSelector"]["matchLabels"] for p in of(objects, "NetworkPolicy")]
        for selector in selectors:
            assert any(selector.items() <= labels.items() for labels in pods), (name, selector)


@pytest.mark.parametrize("name", ALL)
def test_pods_may_reach_what_the_settings_name(built, name):
    (config,) = of(built(name), "ConfigMap")
    policies = [policy["spec"] for policy in of(built(name), "NetworkPolicy")]
    let_out = {port["port"] for spec in policies for rule in spec.get("egress", ()) for port in rule["ports"]}
    for setting in ("TEMPORAL_ADDRESS", "TESTKUBE_API_URL"):
        assert int(config["data"][setting].rpartition(":")[2]) in let_out


def test_temporal_cloud_reads_its_credentials_from_a_secret(built):
    for container in containers(built("overlays/temporal-cloud")):
        assert {"secretRef": {"name": "temporal-cloud"}} in container["envFrom"]
