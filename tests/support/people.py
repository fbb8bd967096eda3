"""Who asks the api, with what rights, and who asks Kubernetes about it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from kube.client import KubeClient
from localcluster import LocalCluster

_RBAC = "rbac.authorization.k8s.io"


@dataclass
class People:
    """ServiceAccounts, each in namespace `home` of its own test module, and what they may do."""

    cluster: LocalCluster
    home: str
    tokens: dict[str, str] = field(default_factory=dict)

    async def add(self, name: str, *grants: tuple[str, str]) -> None:
        """Each grant is a namespace, or `*` for all of them, and verbs: `("default", "get list")`."""
        items: list[dict[str, Any]] = [self._object("ServiceAccount", "v1", self.home, name)]
        for number, (namespace, verbs) in enumerate(grants):
            items += self.role(f"{name}-{number}", namespace, verbs, self.subject(name))
        await self.apply(items)
        self.tokens[name] = (await self.cluster.kubectl("create", "token", name, "-n", self.home)).strip()

    async def apply(self, items: list[dict[str, Any]]) -> None:
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        await self.cluster.kubectl("apply", "-f", "-", stdin=document)

    def role(self, name: str, namespace: str, verbs: str, subject: dict[str, str]) -> list[dict[str, Any]]:
        """The role and its binding, of the same name."""
        cluster = "Cluster" if namespace == "*" else ""
        rule = {"apiGroups": ["testbench.agentic-layer.ai"], "resources": ["experiments"], "verbs": verbs.split()}
        name = f"{self.home}-{name}"
        role = self._object(f"{cluster}Role", f"{_RBAC}/v1", namespace, name)
        binding = self._object(f"{cluster}RoleBinding", f"{_RBAC}/v1", namespace, name)
        ref = {"apiGroup": _RBAC, "kind": role["kind"], "name": name}
        return [{**role, "rules": [rule]}, {**binding, "subjects": [subject], "roleRef": ref}]

    def subject(self, name: str) -> dict[str, str]:
        return {"kind": "ServiceAccount", "name": name, "namespace": self.home}

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    @staticmethod
    def _object(kind: str, version: str, namespace: str, name: str) -> dict[str, Any]:
        meta = {"name": name, **({} if namespace == "*" else {"namespace": namespace})}
        return {"apiVersion": version, "kind": kind, "metadata": meta}


class Asking(KubeClient):
    """Remembers what was asked, and asks it. `gate` holds the questions back while it is closed."""

    asked: list[tuple[str, dict[str, Any]]]
    gate: asyncio.Event

    async def create_review(self, resource: Any, question: Any) -> Any:
        self.asked.append((resource.kind, question["spec"]))
        await self.gate.wait()
        return await super().create_review(resource, question)

    def count(self, kind: str) -> int:
        return sum(asked == kind for asked, _ in self.asked)
