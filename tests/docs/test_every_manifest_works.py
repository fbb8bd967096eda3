"""Manifests on the pages are taken by a real API server, and kustomizations by the real kustomize."""

from __future__ import annotations

import json

import pytest
import yaml

from experiment_operator.rbac import permissions
from experiment_operator.settings import Api, Watcher, Worker
from support.pages import new_desk

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


async def test_other_namespaces_get_the_permissions_that_they_need(kustomized, tmp_path):
    others = {place: o for place, o in kustomized.items() if _settings(o)["TESTKUBE_NAMESPACE"] != "testkube"}
    assert {_settings(o)["TESTKUBE_NAMESPACE"] for o in others.values()} == {"evaluations", "."}
    for number, objects in enumerate(others.values()):
        rules = [o for o in objects if o["apiVersion"].startswith("rbac.") or o["kind"] == "ServiceAccount"]
        questions = [
            f"kubectl auth can-i {p.verb} {_resource(p)} {f'-n {p.namespace}' if p.namespace else '-A'} "
            f"--as=system:serviceaccount:experiment-operator:experiment-operator-{role} >/dev/null "
            f"|| echo 'no: {role} {p}'"
            for role, settings in _roles(_settings(objects)).items()
            for p in sorted(permissions(settings))
        ]
        async with new_desk(tmp_path / str(number)) as desk:
            (desk.directory / "rules.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": rules}))
            made = f"{_STACK} kubectl create namespace evaluations; kubectl apply -f rules.json >/dev/null"
            code, said = await desk.run("\n".join([made, *questions]))
        assert (code, [line for line in said.splitlines() if line.startswith("no: ")]) == (0, []), said


def _roles(settings):
    own = {"testkube_namespace": settings["TESTKUBE_NAMESPACE"]}
    own["watch_all_namespaces"] = settings.get("WATCH_ALL_NAMESPACES", "false")
    lease = {"leader_elect": True, "lease_namespace": "experiment-operator"}
    webhook = {"webhook": True, "webhook_namespace": "experiment-operator"}
    return {"watcher": Watcher(**own, **lease), "worker": Worker(**own), "api": Api(**own, **webhook)}


def _resource(permission):
    """As `kubectl auth can-i` wants it: TYPE.GROUP/NAME, with the subresource as a flag."""
    plural, _, subresource = permission.resource.partition("/")
    name = f"/{permission.name}" if permission.name else ""
    flag = f" --subresource={subresource}" if subresource else ""
    return f"{plural}.{permission.group}".rstrip(".") + name + flag
