"""Many requests are few questions to the API server, and what is revoked ends once the answers about it expire."""

from __future__ import annotations

import asyncio

import pytest

from api.auth.kubernetes import ByKubernetes, User
from api.http.problems import AccessUnknown, Unauthenticated
from kube.errors import UnavailableError
from support.polling import until

_SOMEBODY = User("somebody")


async def turns(count):
    """Of the event loop: more than enough for all that does not wait for anything."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_same_question_is_asked_once(asking, people):
    await people.add("reader", (people.home, "get"))
    access = ByKubernetes(asking)

    async def one():
        user = await access.user(people.tokens["reader"])
        return await access.may(user, "get", people.home)

    assert await asyncio.gather(*(one() for _ in range(50))) == [True] * 50
    assert await one()
    assert [kind for kind, _ in asking.asked] == ["TokenReview", "SubjectAccessReview"]


async def test_a_no_is_kept_too(asking, people):
    access = ByKubernetes(asking)
    for _ in range(3):
        with pytest.raises(Unauthenticated, match="does not accept this token"):
            await access.user("not-a-token")
        assert not await access.may(_SOMEBODY, "get", people.home)
    assert [kind for kind, _ in asking.asked] == ["TokenReview", "SubjectAccessReview"]


async def test_each_verb_and_namespace_is_a_question_of_its_own(asking):
    access = ByKubernetes(asking)
    for verb, namespace in [("get", "a"), ("list", "a"), ("get", "b")]:
        await access.may(_SOMEBODY, verb, namespace)
    assert len(asking.asked) == 3


async def test_all_that_authorizers_may_look_at_is_passed_on(asking, people):
    await people.add("reader")
    access = ByKubernetes(asking)
    await access.may(await access.user(people.tokens["reader"]), "list", "")
    _, asked = asking.asked[-1]
    assert asked["user"] == f"system:serviceaccount:{people.home}:reader"
    assert f"system:serviceaccounts:{people.home}" in asked["groups"]
    assert asked["uid"]
    assert "authentication.kubernetes.io/credential-id" in asked["extra"]
    group = "testbench.agentic-layer.ai"
    assert asked["resourceAttributes"] == {"group": group, "resource": "experiments", "verb": "list", "namespace": ""}


async def test_answers_expire(asking, people):
    access = ByKubernetes(asking, kept_seconds=0.1)

    async def asked_again():
        with pytest.raises(Unauthenticated):
            await access.user("not-a-token")
        await access.may(_SOMEBODY, "get", people.home)
        return asking.count("TokenReview") > 1 and asking.count("SubjectAccessReview") > 1

    await until(asked_again)


async def test_a_revoked_role_is_refused_once_its_answer_has_expired(serve, kube, people):
    await people.add("leaver", (people.home, "get"))
    url, headers = f"/api/v1/namespaces/{people.home}/experiments/weather", people.headers("leaver")
    async with serve(ByKubernetes(kube, kept_seconds=0.2)) as api:
        assert (await api.get(url, headers=headers)).status_code == 200
        await people.cluster.kubectl("delete", "rolebinding", "-n", people.home, f"{people.home}-leaver-0")

        async def refused():
            return (await api.get(url, headers=headers)).status_code == 403

        await until(refused)


async def test_only_so_many_answers_are_kept(asking, monkeypatch):
    monkeypatch.setattr("api.auth.kubernetes._MAX_USERS", 3)
    monkeypatch.setattr("api.auth.kubernetes._MAX_VERDICTS", 3)
    access = ByKubernetes(asking)

    async def ask(number):
        with pytest.raises(Unauthenticated):
            await access.user(f"not-a-token-{number}")
        await access.may(_SOMEBODY, "get", f"namespace-{number}")

    for number in (1, 2, 3, 4, 2, 1):  # the fourth takes the place of the first
        await ask(number)
    assert asking.count("TokenReview") == asking.count("SubjectAccessReview") == 5


async def test_one_who_goes_away_takes_no_answer_along(asking):
    asking.gate.clear()
    access = ByKubernetes(asking)
    waiting = [asyncio.create_task(access.may(_SOMEBODY, "get", "default")) for _ in range(2)]
    await turns(10)
    waiting[0].cancel()
    asking.gate.set()
    assert await waiting[1] is False
    assert len(asking.asked) == 1


async def test_not_more_than_some_questions_are_asked_at_once(asking):
    asking.gate.clear()
    access = ByKubernetes(asking)
    waiting = asyncio.gather(*(access.may(_SOMEBODY, "list", f"namespace-{number}") for number in range(100)))
    await turns(10)
    assert len(asking.asked) == 32
    asking.gate.set()
    assert await waiting == [False] * 100


async def test_a_failure_is_not_kept(asking, monkeypatch):
    access = ByKubernetes(asking)

    async def away(*_):
        raise UnavailableError("nobody there")

    with monkeypatch.context() as patched:
        patched.setattr(asking, "create_review", away)
        with pytest.raises(AccessUnknown):
            await access.may(_SOMEBODY, "get", "default")
    assert await access.may(_SOMEBODY, "get", "default") is False
