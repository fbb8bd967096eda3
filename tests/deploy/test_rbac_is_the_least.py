"""Each role may do what it needs and nothing else: a rule too many, or one that is missing, fails here.

What it needs is told by `experiment_operator.rbac`, which the end-to-end tests prove: there each process works
with the token of its own ServiceAccount.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment_operator.rbac import Permission, permissions
from experiment_operator.settings import All, Api, Watcher, Worker

TESTKUBE = {"testkube_api_url": "http://testkube-api-server.testkube:8088"}
LEASE = {"leader_elect": True, "lease_namespace": "experiment-operator", **TESTKUBE}
WEBHOOK = {"webhook": True, "webhook_namespace": "experiment-operator"}
EVERYWHERE = "components/all-namespaces"
NEEDED = {
    ("base",): {"watcher": (Watcher, LEASE), "worker": (Worker, TESTKUBE), "api": (Api, TESTKUBE)},
    ("overlays/single",): {"api": (All, LEASE)},
    ("overlays/ha",): {"watcher": (Watcher, LEASE), "worker": (Worker, TESTKUBE), "api": (Api, WEBHOOK)},
}
BY_ROLE = [(name, role) for name, roles in NEEDED.items() for role in roles]


def granted(objects, account):
    """All that the rules bound to this ServiceAccount say."""
    roles = {(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj for obj in objects}
    found = set()
    for binding in objects:
        if binding["kind"] not in {"RoleBinding", "ClusterRoleBinding"}:
            continue
        (subject,) = binding["subjects"]
        if (subject["kind"], subject["namespace"], subject["name"]) != (
            "ServiceAccount",
            "experiment-operator",
            account,
        ):
            continue
        namespace = binding["metadata"].get("namespace", "")
        ref = binding["roleRef"]
        role = roles[ref["kind"], namespace if ref["kind"] == "Role" else "", ref["name"]]
        found |= {
            Permission(group, resource, verb, namespace, name)
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
            for name in rule.get("resourceNames", [""])
        }
    return found


def needed(kustomization, role, **more):
    kind, settings = NEEDED[kustomization][role]
    return permissions(kind(**{**settings, **more}))


def for_testkube(kustomization, role):
    """What is needed, in all namespaces, only where Testkube's API can be asked; beside each Experiment it cannot."""
    chosen = {"testkube_namespace": "evaluations", "watch_all_namespaces": True}
    without = needed(kustomization, role, **chosen, testkube_api_url=None)
    return {replace(p, namespace="") for p in needed(kustomization, role, **chosen) - without}


def excess_and_lack(needed, found):
    return found - needed, {p for p in needed - found if not _wider(p) & found}


@pytest.mark.parametrize(("kustomization", "role"), BY_ROLE)
def test_it_may_do_what_it_needs_and_nothing_else(built, kustomization, role):
    found = granted(built(*kustomization), f"experiment-operator-{role}")
    assert excess_and_lack(needed(kustomization, role), found) == (set(), set())


@pytest.mark.parametrize(("kustomization", "role"), BY_ROLE)
def test_it_touches_no_object_of_others_outside_of_testkubes_namespace(built, kustomization, role):
    """But for reading ConfigMaps of one name, and for Events."""
    everywhere = {p for p in granted(built(*kustomization), f"experiment-operator-{role}") if not p.namespace}
    groups = {"", "testworkflows.testkube.io", "tests.testkube.io"}
    touched = {(p.resource, p.name) for p in everywhere if p.group in groups}
    assert touched <= {("configmaps", "otel-config"), ("events", "")}


@pytest.mark.parametrize(("kustomization", "role"), BY_ROLE)
def test_a_component_widens_it_to_all_namespaces_and_no_further(built, kustomization, role):
    found = granted(built(*kustomization, EVERYWHERE), f"experiment-operator-{role}")
    found = {p for p in found if not _wider(p) & found - {p}}  # what the component grants by any name as well
    beside = needed(kustomization, role, testkube_namespace=".")
    assert excess_and_lack(beside, found) == (for_testkube(kustomization, role), set())
    moving = needed(kustomization, role, testkube_namespace="evaluations", watch_all_namespaces=True)
    assert excess_and_lack(moving, found)[1] == set()


@pytest.mark.parametrize("kustomization", NEEDED)
def test_with_the_component_processes_look_everywhere(built, kustomization):
    (config,) = (obj for obj in built(*kustomization, EVERYWHERE) if obj["kind"] == "ConfigMap")
    assert config["data"]["WATCH_ALL_NAMESPACES"] == "true"


def _wider(p):
    return {
        Permission(p.group, p.resource, p.verb, namespace, name)
        for namespace in {p.namespace, ""}
        for name in {p.name, ""}
    }


@pytest.mark.parametrize("kustomization", ["base", "overlays/single", "overlays/ha", "overlays/temporal-cloud"])
def test_there_is_no_wildcard_and_no_secret_but_the_webhooks_own(built, kustomization):
    for obj in built(kustomization):
        for rule in obj.get("rules", ()) if obj["kind"] in {"Role", "ClusterRole"} else ():
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            if "secrets" in rule["resources"]:
                assert obj["kind"] == "Role"
                assert rule["verbs"] == ["create"] or rule["resourceNames"] == ["experiment-operator-webhook"]
