"""Who may see and do what: Kubernetes decides, by TokenReview and SubjectAccessReview.

`dependencies` asks for each request; routes say which verb they need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kube.client import KubeClient


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as the API server knows them."""

    name: str
    groups: tuple[str, ...] = ()


class Access(Protocol):
    async def user(self, authorization: str | None) -> User:
        """Who sent this `Authorization` header. Raises `problems.Unauthenticated`."""

    async def may(self, user: User, verb: str, namespace: str) -> bool:
        """Whether `user` may do `verb` to Experiments in `namespace`; `""` is all namespaces at once."""


class Everybody:
    """No questions asked: for a stack on one machine."""

    async def user(self, authorization: str | None) -> User:  # noqa: ARG002
        return User("everybody")

    async def may(self, user: User, verb: str, namespace: str) -> bool:  # noqa: ARG002
        return True


class ByKubernetes:
    """Asks the API server, and remembers its answers for a short while."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def user(self, authorization: str | None) -> User:
        raise NotImplementedError

    async def may(self, user: User, verb: str, namespace: str) -> bool:
        raise NotImplementedError
