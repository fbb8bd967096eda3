"""What was done lately, whichever Experiment it was for: the runs of all that the caller may list, newest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from api.auth.kubernetes import User
from experiments.contract import Target
from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef
from support.polling import until

_URL = "/api/v1/reconciliations"


class ListsOnly:
    """Everybody may list the Experiments of these namespaces, and do nothing else."""

    def __init__(self, *namespaces):
        self.namespaces = set(namespaces)

    async def user(self, _):
        return User("ann")

    async def may(self, _, verb, namespace):
        return verb == "list" and namespace in self.namespaces


@pytest.fixture
async def here(create, namespace, runs):
    """An Experiment that there is."""
    name = f"weather-{uuid4().hex[:8]}"
    runs.plan(name)
    return Target(namespace, name, (await create(name))["metadata"]["uid"])


@pytest.fixture
async def elsewhere(cluster, kube, caches):
    """A namespace with an Experiment that has had no run."""
    name = f"elsewhere-{uuid4().hex[:8]}"
    await cluster.kubectl("create", "namespace", name)
    spec = {"agentRef": {"name": "weather-agent"}, "scenarios": [{"name": "rain", "steps": [{"input": "Rain?"}]}]}
    meta = {"namespace": name, "name": "weather"}
    api_version, kind = EXPERIMENT.api_version, EXPERIMENT.kind
    await kube.create(EXPERIMENT, {"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": spec})
    await until(lambda: caches.get(ObjectRef(EXPERIMENT, name, "weather")))
    return name


@pytest.fixture
async def gone(runs, target):
    """One in another namespace, which has none any more."""
    runs.plan(target.name)
    return replace(target, namespace=f"gone-{uuid4().hex[:8]}")


@pytest.fixture
async def since(runs, here, gone, history_of):
    """Parameters that leave the runs of this test: two here, and one that came between them."""
    time = datetime.now(UTC).isoformat()
    for each, reason in ((here, "first"), (gone, "second"), (here, "third")):
        await runs.finish(each, reason)
    await history_of(here, 2, outcome="Completed")
    await history_of(gone, 1, outcome="Completed")
    return {"since": time}


@pytest.fixture
def mine(here, gone):
    """Of an answer, the runs of this test; others may run at the same time."""

    def pick(answer):
        assert answer.status_code == 200, answer.text
        names = {here.name: here, gone.name: gone}
        found = [run for run in answer.json()["items"] if run["name"] in names]
        assert all(run["namespace"] == names[run["name"]].namespace for run in found)
        return [run["reasons"] for run in found]

    return pick


async def test_who_may_list_all_namespaces_gets_every_run(api, since, mine):
    assert mine(await api.get(_URL, params=since)) == [["third"], ["second"], ["first"]]


async def test_others_get_the_runs_of_the_namespaces_that_they_may_list(serve, caches, temporal, here, since, mine):
    async with serve(caches, temporal, ListsOnly(here.namespace)) as api:
        answer = await api.get(_URL, params=since)
        assert mine(answer) == [["third"], ["first"]]
        assert answer.json()["counts"] == {"Completed": 2}
        assert mine(await api.get(_URL, params={**since, "reason": "first", "outcome": "Reconciled"})) == [["first"]]


async def test_who_may_list_nothing_gets_an_empty_list(serve, caches, temporal, since):
    async with serve(caches, temporal, ListsOnly()) as api:
        answer = await api.get(_URL, params=since)
    assert answer.json() == {"items": [], "nextCursor": None, "counts": {}}


async def test_pages_go_on_where_another_namespace_is_allowed_meanwhile(
    serve, caches, temporal, here, elsewhere, since, mine
):
    access = ListsOnly(here.namespace)
    async with serve(caches, temporal, access) as api:
        page = await api.get(_URL, params={**since, "limit": 1})
        assert mine(page) == [["third"]]
        access.namespaces.add(elsewhere)
        more = {**since, "limit": 1, "cursor": page.json()["nextCursor"]}
        assert mine(await api.get(_URL, params=more)) == [["first"]]


async def test_a_page_of_one_experiment_is_no_page_of_this_list(api, here, since):
    url = f"/api/v1/namespaces/{here.namespace}/experiments/{here.name}/reconciliations"
    cursor = (await api.get(url, params={**since, "limit": 1})).json()["nextCursor"]
    answer = await api.get(_URL, params={**since, "limit": 1, "cursor": cursor})
    assert (answer.status_code, answer.json()["type"]) == (422, "tag:testbench.agentic-layer.ai,2026:InvalidRequest")


async def test_a_uid_means_nothing_without_its_name(api, here):
    assert (await api.get(_URL, params={"uid": here.uid})).status_code == 422
