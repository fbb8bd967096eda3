"""Who calls a route, and what they must be allowed, as FastAPI dependencies. `kubernetes` knows the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from api.auth.kubernetes import Access, User
from api.http.path import Namespace
from api.http.problems import NotAllowed


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent this request, and what they may do to Experiments."""

    user: User
    access: Access
    token: str = field(repr=False)

    async def reauthenticate(self) -> Caller:
        """Ask again who this is. Raises `problems.Unauthenticated` and `problems.AccessUnknown`."""
        return replace(self, user=await self.access.user(self.token))

    async def may(self, verb: str, namespace: str) -> bool:
        """Tell whether they may do `verb` to Experiments in `namespace`; `""` is all namespaces at once."""
        return await self.access.may(self.user, verb, namespace)

    async def require(self, verb: str, namespace: str) -> None:
        """Raise `problems.NotAllowed` where they may not."""
        if not await self.may(verb, namespace):
            raise NotAllowed(f"{self.user.name} may not {verb} Experiments in namespace {namespace}.")

    async def listable(self, namespaces: Iterable[str]) -> frozenset[str]:
        """Keep those of `namespaces` whose Experiments this caller may list."""
        found = frozenset(namespaces)
        if not found or await self.may("list", ""):
            return found
        verdicts = await asyncio.gather(*(self.may("list", namespace) for namespace in found))
        return frozenset(namespace for namespace, allowed in zip(found, verdicts, strict=True) if allowed)


_BEARER = HTTPBearer(
    scheme_name="bearer", description="A token that the Kubernetes API server accepts.", auto_error=False
)
_PROXIED = APIKeyHeader(
    name="X-Experiment-Operator-Authorization",
    scheme_name="proxied",
    description="`Bearer TOKEN`, on the way through a proxy that keeps `Authorization` to itself.",
    auto_error=False,
)


async def _caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    proxied: Annotated[str | None, Security(_PROXIED)],
) -> Caller:
    """Authenticate. The header of our own comes first: it is meant for nobody else."""
    scheme, token = get_authorization_scheme_param(proxied)
    if scheme.lower() != "bearer":
        token = bearer.credentials if bearer else ""
    access: Access = request.app.state.shared.access
    return Caller(await access.user(token), access, token)


TheCaller = Annotated[Caller, Depends(_caller)]


async def _may_get(namespace: Namespace, caller: TheCaller) -> None:
    await caller.require("get", namespace)


async def _may_update(namespace: Namespace, caller: TheCaller) -> None:
    await caller.require("update", namespace)


MayGet = Depends(_may_get)
MayUpdate = Depends(_may_update)
