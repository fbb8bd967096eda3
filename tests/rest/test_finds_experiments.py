"""Lists find what is asked for, in the order asked for, page by page, and only where the caller may look."""

from __future__ import annotations

import pytest

from api.auth.kubernetes import User
from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef
from localcluster.errors import KubectlError
from support.polling import until

_LABELS = {
    "clouds": {"team": "weather", "stage": "dev"},
    "headlines": {"team": "news", "stage": "prod"},
    "rain": {"team": "weather", "stage": "prod", "example.org/legacy": ""},
    "unlabelled": {},
}


def _status(ready, reason, message, time):
    condition = {"type": "Ready", "status": ready, "reason": reason, "message": message}
    dated = {**condition, "observedGeneration": 1, "lastTransitionTime": time}
    found = {"type": "AgentResolved", "status": "False", "reason": "AgentNotFound", "message": "Assumed."}
    return {
        "conditions": [dated, {**found, "observedGeneration": 1, "lastTransitionTime": time}],
        "lastReconciliation": {"workflowId": "experiment/a/b/c", "runId": "d", "time": time},
    }


@pytest.fixture
async def four(create, kube, caches, namespace):
    """Four Experiments of one namespace, with labels; two have a status, of which one is Ready."""
    await create("clouds", _status("True", "Reconciled", "All is well.", "2026-11-23T10:00:00Z"))
    await create("headlines")
    await create("rain", _status("False", "TemplateMissing", "run-template is missing.", "2026-11-23T09:00:00Z"))
    await create("unlabelled")
    refs = [ObjectRef(EXPERIMENT, namespace, name) for name in _LABELS]
    for ref in refs:
        await kube.merge_patch(ref, {"metadata": {"labels": _LABELS[ref.name]}})
    await kube.merge_patch(refs[1], {"spec": {"agentRef": {"name": "reporter", "namespace": "press"}}})
    await until(lambda: caches.get(refs[1])["spec"]["agentRef"]["name"] == "reporter")
    await until(lambda: all((caches.get(ref)["metadata"].get("labels") or {}) == _LABELS[ref.name] for ref in refs))
    return f"/api/v1/namespaces/{namespace}/experiments"


async def names(api, path, **query):
    answer = await api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    "selector",
    [
        "team=weather",
        "team==weather,stage!=dev",
        "team!=weather",
        "stage in (dev, prod),team notin (news)",
        "stage notin (dev,)",
        "example.org/legacy in ()",
        "example.org/legacy notin ()",
        "example.org/legacy",
        "!example.org/legacy",
        "! stage",
        "example.org/legacy=",
        "team in (weather),!example.org/legacy,stage",
        " ",
    ],
)
async def test_label_selectors_find_what_kubectl_finds(api, four, cluster, namespace, selector):
    listed = await cluster.kubectl("get", "experiments", "-n", namespace, "-l", selector, "-o", "name")
    assert await names(api, four, labelSelector=selector) == [line.partition("/")[2] for line in listed.split()]


@pytest.mark.parametrize(
    ("selector", "sentence"),
    [
        ("team in (weather", "'team in (weather' is none of key=value"),
        ("team=weather,", "'' is none of key=value"),
        ("-team=weather", "'-team' is no label key"),
        ("team=we/ather", "'we/ather' is no label value"),
        ("team weather", "'team weather' is none of key=value"),
    ],
)
async def test_a_bad_selector_is_said_in_a_sentence(api, cluster, namespace, selector, sentence):
    with pytest.raises(KubectlError):  # Kubernetes does not take it either
        await cluster.kubectl("get", "experiments", "-n", namespace, "-l", selector)
    answer = await api.get("/api/v1/experiments", params={"labelSelector": selector})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"query.labelSelector: {sentence}")


async def test_filters_by_how_the_agent_did_last(api, four, kube, caches, namespace):
    assert await names(api, four, verdict="Failed") == []
    for name, verdict in {"clouds": "Failed", "headlines": "Passed", "rain": None}.items():
        last = {"executionId": "1", "status": "passed", **({"verdict": verdict} if verdict else {})}
        ref = ObjectRef(EXPERIMENT, namespace, name)
        await kube.merge_patch(ref, {"status": {"lastExecution": last}}, subresource="status")
        await until(lambda ref=ref: "lastExecution" in caches.get(ref).get("status", {}))
    assert await names(api, four, verdict="Failed") == ["clouds"]
    assert await names(api, four, verdict="Passed", q="head") == ["headlines"]


async def test_filters_by_readiness_reason_agent_and_text(api, four, namespace):
    assert await names(api, four, ready="true") == ["clouds"]
    assert await names(api, four, ready="false") == ["headlines", "rain", "unlabelled"]
    assert await names(api, four, reason="TemplateMissing") == ["rain"]
    assert await names(api, four, reason="AgentNotFound") == ["clouds", "rain"]
    assert await names(api, four, agent="reporter") == await names(api, four, agent="press/reporter") == ["headlines"]
    assert await names(api, four, agent=f"{namespace}/weather-agent") == ["clouds", "rain", "unlabelled"]
    assert await names(api, four, agent="weather") == []
    assert await names(api, four, q="RUN-template") == ["rain"]
    assert await names(api, four, q="press/") == ["headlines"]
    assert await names(api, four, q=f"{namespace}/CL") == ["clouds"]
    assert await names(api, four, ready="false", agent="weather-agent", labelSelector="team") == ["rain"]


@pytest.mark.parametrize(
    "query", [{"reason": "Sunshine"}, {"sort": "colour"}, {"ready": "maybe"}, {"verdict": "failed"}, {"redy": "true"}]
)
async def test_a_filter_that_is_not_understood_is_refused_rather_than_ignored(api, query):
    answer = await api.get("/api/v1/experiments", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0].startswith(f"query.{next(iter(query))}: ")


async def test_sorts_by_name_age_and_last_reconciliation(api, four, kube, namespace):
    assert await names(api, four, sort="name") == ["clouds", "headlines", "rain", "unlabelled"]
    assert await names(api, four, sort="-name") == ["unlabelled", "rain", "headlines", "clouds"]
    assert await names(api, four, sort="lastReconciliation") == ["headlines", "unlabelled", "rain", "clouds"]
    assert await names(api, four, sort="-lastReconciliation") == ["clouds", "rain", "unlabelled", "headlines"]
    created = {
        name: (await kube.get(ObjectRef(EXPERIMENT, namespace, name)))["metadata"]["creationTimestamp"]
        for name in _LABELS
    }
    oldest_first = sorted(created, key=lambda name: (created[name], name))
    assert await names(api, four, sort="-age") == oldest_first
    assert await names(api, four, sort="age") == oldest_first[::-1]


@pytest.mark.parametrize("sort", ["name", "-name", "age", "-age", "lastReconciliation", "-lastReconciliation"])
async def test_pages_hold_each_experiment_once(api, four, sort):
    seen, cursor = [], None
    while True:
        page = (await api.get(four, params={"sort": sort, "limit": 1} | ({"cursor": cursor} if cursor else {}))).json()
        assert page["total"] == 4
        seen += [item["name"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == await names(api, four, sort=sort)


async def test_pages_neither_skip_nor_repeat_while_experiments_come_and_go(api, four, create, kube, caches, namespace):
    page = (await api.get(four, params={"limit": 2})).json()
    assert [item["name"] for item in page["items"]] == ["clouds", "headlines"]
    await create("avalanche")
    gone = ObjectRef(EXPERIMENT, namespace, "headlines")
    await kube.delete(gone, uid=(await kube.get(gone))["metadata"]["uid"])
    await until(lambda: caches.get(gone) is None)
    following = (await api.get(four, params={"limit": 2, "cursor": page["nextCursor"]})).json()
    assert [item["name"] for item in following["items"]] == ["rain", "unlabelled"]
    assert (following["total"], following["nextCursor"]) == (4, None)


async def test_a_cursor_belongs_to_its_filters_and_order(api, four):
    cursor = (await api.get(four, params={"limit": 1, "ready": "false"})).json()["nextCursor"]
    assert await names(api, four, ready="false", limit=2, cursor=cursor) == ["rain", "unlabelled"]
    for path, query in (
        (four, {}),
        (four, {"ready": "false", "sort": "-name"}),
        ("/api/v1/experiments", {"ready": "false"}),
    ):
        answer = await api.get(path, params={**query, "cursor": cursor})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("query.cursor: ")


@pytest.mark.parametrize("cursor", ["x", "!", "bnVsbA==", "WzFd", "W10=", "é", "W1tbW1tb"])
async def test_a_made_up_cursor_is_refused(api, cursor):
    answer = await api.get("/api/v1/experiments", params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("query.cursor: ")


class OnlyIn:
    """A caller who may list the Experiments of some namespaces."""

    def __init__(self, *namespaces):
        self.namespaces = namespaces

    async def user(self, token):  # noqa: ARG002
        return User("jane")

    async def may(self, user, verb, namespace):  # noqa: ARG002
        return verb == "list" and namespace in self.namespaces


async def test_shows_only_namespaces_that_the_caller_may_list(serve, caches, temporal, four, namespace):
    async with serve(caches, temporal, OnlyIn(namespace)) as api:
        everywhere = (await api.get("/api/v1/experiments", params={"limit": 500})).json()
        assert {item["namespace"] for item in everywhere["items"]} == {namespace}
        assert everywhere["total"] == 4
        assert len(await names(api, four)) == 4
        refused = await api.get("/api/v1/namespaces/default/experiments")
        assert refused.status_code == 403
        assert refused.json()["detail"] == "jane may not list Experiments in namespace default."


async def test_a_namespace_without_experiments_has_none(api):
    assert (await api.get("/api/v1/namespaces/nowhere/experiments")).json()["items"] == []
