"""Who may see and do what: Kubernetes decides, by TokenReview and SubjectAccessReview.

`dependencies` asks for each request; routes say which verb they need. Answers are kept for a short while, so that many
requests are few questions: it is also how long a token or a role that was revoked is still good.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import structlog
from cachetools import TTLCache

from api.http.problems import AccessUnknown, Unauthenticated
from experiments.resources import EXPERIMENT, GROUP
from kube.client import KubeClient
from kube.errors import KubeError
from kube.objects import ACCESS_REVIEW, TOKEN_REVIEW, Object, Resource

log = structlog.get_logger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


_TTL_SECONDS = 10.0
_MAX_USERS = 2_000
_MAX_VERDICTS = 20_000
_REVIEW_TIMEOUT_SECONDS = 5.0
# The client's connections, 100 at most, are also those of the watches that keep the caches up to date.
_MAX_REVIEWS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as the API server knows them. `extra` is what it adds of its own, for whoever authorizes."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Access(Protocol):
    async def user(self, token: str | None) -> User:
        """Tell whose bearer token this is. Raises `problems.Unauthenticated` and `problems.AccessUnknown`."""

    async def may(self, user: User, verb: str, namespace: str) -> bool:
        """Tell whether `user` may do `verb` to Experiments in `namespace`; `""` is all namespaces at once.

        Raises `problems.AccessUnknown`.
        """


class Everybody:
    """No questions asked: for a stack on one machine."""

    async def user(self, token: str | None) -> User:  # noqa: ARG002
        return User("everybody")

    async def may(self, user: User, verb: str, namespace: str) -> bool:  # noqa: ARG002
        return True


class ByKubernetes:
    """Asks the API server, which the client's own user must be allowed to: ClusterRole `system:auth-delegator`.

    A token must be for one of `audiences`, or without any for the API server itself.
    """

    def __init__(
        self, client: KubeClient, audiences: Sequence[str] = (), *, kept_seconds: float = _TTL_SECONDS
    ) -> None:
        self._client, self._audiences = client, list(audiences)
        self._users: _Answers[bytes, User | None] = _Answers(_MAX_USERS, kept_seconds)
        self._verdicts: _Answers[tuple[User, str, str], bool] = _Answers(_MAX_VERDICTS, kept_seconds)
        self._at_once = asyncio.Semaphore(_MAX_REVIEWS_AT_ONCE)

    async def user(self, token: str | None) -> User:
        if not token:
            raise Unauthenticated("A bearer token of the Kubernetes API server is needed, and none was sent.")
        # The token itself is not kept anywhere.
        digest = hashlib.sha256(token.encode()).digest()
        user = await self._users.get(digest, lambda: self._review(token))
        if user is None:
            raise Unauthenticated("The Kubernetes API server does not accept this token.")
        return user

    async def may(self, user: User, verb: str, namespace: str) -> bool:
        return await self._verdicts.get((user, verb, namespace), lambda: self._judge(user, verb, namespace))

    async def _review(self, token: str) -> User | None:
        audiences = {"audiences": self._audiences} if self._audiences else {}
        status = await self._ask(TOKEN_REVIEW, {"token": token, **audiences})
        # An authenticator that knows nothing of audiences accepts any token, and names none.
        meant = not audiences or not {*self._audiences}.isdisjoint(status.get("audiences") or ())
        if not (status.get("authenticated") and meant):
            return None
        user = status["user"]
        extra = {key: tuple(values) for key, values in (user.get("extra") or {}).items()}
        return User(user["username"], user.get("uid", ""), tuple(user.get("groups") or ()), tuple(extra.items()))

    async def _judge(self, user: User, verb: str, namespace: str) -> bool:
        what = {"group": GROUP, "resource": EXPERIMENT.plural, "verb": verb, "namespace": namespace}
        who = {"user": user.name, "uid": user.uid, "groups": list(user.groups), "extra": dict(user.extra)}
        status = await self._ask(ACCESS_REVIEW, {**who, "resourceAttributes": what})
        return bool(status.get("allowed"))

    async def _ask(self, resource: Resource, spec: Object) -> Object:
        try:
            async with asyncio.timeout(_REVIEW_TIMEOUT_SECONDS), self._at_once:
                status: Object = (await self._client.create_review(resource, {"spec": spec}))["status"]
        except (KubeError, TimeoutError) as error:
            words = str(error) or f"nothing within {_REVIEW_TIMEOUT_SECONDS:g} s"
            log.warning("the API server does not say who may do what", question=resource.kind, error=words)
            raise AccessUnknown(
                "The Kubernetes API server, which decides who may do what, does not answer this service."
            ) from error
        return status


class _Answers(Generic[K, V]):
    """The latest answers, a bounded number of them. Who asks what is being asked already waits for the same answer."""

    def __init__(self, size: int, seconds: float) -> None:
        self._tasks: TTLCache[K, asyncio.Task[V]] = TTLCache(size, seconds)

    async def get(self, question: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the answer. Raises what `ask` raises, and then forgets it."""
        task = self._tasks.get(question)
        if task is None:
            task = self._tasks[question] = asyncio.create_task(ask())
            task.add_done_callback(lambda done: self._forget_failure(question, done))
        # Others may wait for it as well: one who goes away does not take it along.
        return await asyncio.shield(task)

    def _forget_failure(self, question: K, done: asyncio.Task[V]) -> None:
        if done.cancelled() or done.exception():
            with suppress(KeyError):  # it has expired by now
                del self._tasks[question]
