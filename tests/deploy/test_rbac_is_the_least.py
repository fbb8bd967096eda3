"""Each role may do what it needs and nothing else: a rule too many, or one that is missing, fails here.

What it needs is told by `experiment_operator.rbac`, which the end-to-end tests prove: there each process works
with the token of its own ServiceAccount.
"""

from __future__ import annotations

import pytest

from experiment_operator.rbac import Permission, permissions
from experiment_operator.settings import All, Api, Watcher, Worker

LEASE = {"leader_elect": True, "lease_namespace": "experiment-operator"}
NEEDED = {
    ("base", "watcher"): lambda: Watcher(**LEASE),
    ("base", "worker"): Worker,
    ("base", "api"): Api,
    ("overlays/single", "api"): lambda: All(**LEASE),
    ("overlays/ha", "api"): lambda: Api(webhook=True, webhook_namespace="experiment-operator"),
}


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


@pytest.mark.parametrize(("kustomization", "role"), NEEDED)
def test_it_may_do_what_it_needs_and_nothing_else(built, kustomization, role):
    needed = permissions(NEEDED[kustomization, role]())
    found = granted(built(kustomization), f"experiment-operator-{role}")
    assert {p for p in needed - found if not _is_wider(p, found)} == set(), "missing"
    assert found - needed == set(), "too much"


def _is_wider(permission, found):
    return Permission(permission.group, permission.resource, permission.verb, "", permission.name) in found


@pytest.mark.parametrize("kustomization", ["base", "overlays/single", "overlays/ha", "overlays/temporal-cloud"])
def test_there_is_no_wildcard_and_no_secret_but_the_webhooks_own(built, kustomization):
    for obj in built(kustomization):
        for rule in obj.get("rules", ()) if obj["kind"] in {"Role", "ClusterRole"} else ():
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            if "secrets" in rule["resources"]:
                assert obj["kind"] == "Role"
                assert rule["verbs"] == ["create"] or rule["resourceNames"] == ["experiment-operator-webhook"]
