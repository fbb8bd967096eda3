"""Manifests on the pages are taken by a real API server, and kustomizations by the real kustomize."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import yaml

from experiment_operator.rbac import permissions
from experiment_operator.settings import Api, Watcher, Worker
from kube.client import KubeClient
from kube.objects import ACCESS_REVIEW
from support.polling import until

_STACK = 'set -a; . .local/env; set +a; export PATH="$PWD/.venv/bin:$PATH";'
_SMALLEST = {"agentRef": {"name": "weather-agent"}, "scenarios": [{"name": "one", "steps": [{"input": "Hello?"}]}]}


@pytest.fixture
def manifests(blocks):
    """With the place where each stands."""
    return [(str(block), yaml.safe_load(block.text)) for block in blocks if block.language == "yaml"]


async def test_each_experiment_and_each_part_of_one_applies(manifests, desk):
    found = [(place, manifest) for place, manifest in manifests if manifest.get("kind", "Experiment") == "Experiment"]
    assert len(found) >= 4
    for place, manifest in found:
        spec = {**_SMALLEST, **manifest["spec"]}
        if "dataset" in spec:
            del spec["scenarios"]
        whole = {"apiVersion": "testbench.agentic-layer.ai/v1alpha1", "kind": "Experiment", "metadata": {"name": "x"}}
        (desk.directory / "manifest.json").write_text(json.dumps({**whole, "spec": spec}))
        code, said = await desk.run(f"{_STACK} kubectl apply --dry-run=server -n sample-agents -f manifest.json")
        assert code == 0, f"{place}: {said}"


@pytest.fixture
async def kustomized(manifests, desk):
    """What each kustomization of install.md builds, by its place."""
    certificate = next(manifest for _, manifest in manifests if manifest.get("kind") == "Certificate")
    built = {}
    for place, manifest in manifests:
        if manifest.get("apiVersion", "").startswith("kustomize.config.k8s.io/"):
            directory = desk.directory / place.rpartition(":")[2]
            directory.mkdir(exist_ok=True)
            (directory / "kustomization.yaml").write_text(yaml.safe_dump(manifest))
            (directory / "certificate.yaml").write_text(yaml.safe_dump(certificate))
            code, said = await desk.run(f"{_STACK} kubectl kustomize {directory.name}")
            assert code == 0, f"{place}: {said}"
            built[place] = list(yaml.safe_load_all(said))
    return built


def _settings(objects):
    return next(o["data"] for o in objects if "experiment-operator-settings" in o["metadata"]["name"])


async def test_each_kustomization_does_what_its_heading_says(kustomized):
    said = [_settings(objects) for objects in kustomized.values()]
    assert {(each["TESTKUBE_NAMESPACE"], each["TESTKUBE_API_URL"]) for each in said} == {
        ("testkube", "http://testkube-api-server.testkube:8088"),
        ("evaluations", "http://testkube-api-server.evaluations:8088"),
        (".", ""),
    }
    assert any(each.get("TEMPORAL_TLS") == "true" for each in said)
    mounted = set()
    for objects in kustomized.values():
        api = next(o for o in objects if o["kind"] == "Deployment" and o["metadata"]["name"].endswith("-operator-api"))
        pod = api["spec"]["template"]["spec"]
        paths = {m["mountPath"]: m["name"] for m in pod["containers"][0]["volumeMounts"]}
        volumes = {v["name"]: v.get("secret", {}).get("secretName") for v in pod["volumes"]}
        env = {e["name"]: e["value"] for e in pod["containers"][0]["env"]}
        mounted |= {(name, volumes[paths[env[name]]]) for name in ("API_TLS_DIR", "WEBHOOK_TLS_DIR") if name in env}
    assert mounted == {
        ("API_TLS_DIR", "experiment-operator-api-tls"),
        ("WEBHOOK_TLS_DIR", "webhook-cert-manager"),
    }


@pytest.fixture
async def kube(desk):
    _, kubeconfig = await desk.run(f"{_STACK} echo -n $KUBECONFIG")
    async with await KubeClient.connect(Path(kubeconfig)) as client:
        yield client


async def test_other_namespaces_get_the_permissions_that_they_need(kustomized, desk, kube):
    others = {place: o for place, o in kustomized.items() if _settings(o)["TESTKUBE_NAMESPACE"] != "testkube"}
    assert {_settings(o)["TESTKUBE_NAMESPACE"] for o in others.values()} == {"evaluations", "."}
    for number, (place, objects) in enumerate(others.items()):
        rules = _for_somebody_else([o for o in objects if o["apiVersion"].startswith("rbac.")], f"-{number}")
        namespaces = [_namespace(name) for name in {o["metadata"].get("namespace", "default") for o in rules}]
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*namespaces, *rules]})
        (desk.directory / "rules.json").write_text(items)
        code, said = await desk.run(f"{_STACK} kubectl apply -f rules.json")
        assert code == 0, f"{place}: {said}"
        for role, settings in _roles(_settings(objects)).items():
            user = f"system:serviceaccount:experiment-operator:experiment-operator-{role}-{number}"
            for permission in sorted(permissions(settings)):
                review = {"spec": {"user": user, "resourceAttributes": _attributes(permission)}}
                # The authorizer sees roles through a cache.
                await until(partial(_missing, kube, review, f"{place}: {role} {permission}"), lambda said: not said)


def _for_somebody_else(rules, suffix):
    """So that nothing else that is on this cluster grants it: these roles and ServiceAccounts have other names."""
    own = {(o["kind"], o["metadata"]["name"]) for o in rules}
    for obj in rules:
        obj["metadata"]["name"] += suffix
        if (ref := obj.get("roleRef")) and (ref["kind"], ref["name"]) in own:
            ref["name"] += suffix
        for subject in obj.get("subjects", ()):
            subject["name"] += suffix
    return rules


def _namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


async def _missing(kube, review, words):
    return "" if (await kube.create_review(ACCESS_REVIEW, review))["status"]["allowed"] else words


def _roles(settings):
    own = {"testkube_namespace": settings["TESTKUBE_NAMESPACE"]}
    own["watch_all_namespaces"] = settings.get("WATCH_ALL_NAMESPACES", "false")
    lease = {"leader_elect": True, "lease_namespace": "experiment-operator"}
    webhook = {"webhook": True, "webhook_namespace": "experiment-operator"}
    return {"watcher": Watcher(**own, **lease), "worker": Worker(**own), "api": Api(**own, **webhook)}


def _attributes(permission):
    resource, _, subresource = permission.resource.partition("/")
    what = {"group": permission.group, "resource": resource, "subresource": subresource, "verb": permission.verb}
    return {**what, "namespace": permission.namespace, "name": permission.name}
