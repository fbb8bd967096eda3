"""Lists and shows Experiments as they are in the cluster, without asking the API server each time."""

from __future__ import annotations

from uuid import uuid4

from experiments.objects import EXPERIMENT, Source
from kube.caches import Caches

_RUN = str(uuid4())
_STATUS = {
    "observedGeneration": 1,
    "agentUrl": "http://weather-agent.default.svc.cluster.local:8000",
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Reconciled",
            "message": "The cluster is as the Experiment says.",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-23T10:00:00Z",
        }
    ],
    "generatedResources": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "weather-experiment", "namespace": "testkube"}
    ],
    "lastReconciliation": {"workflowId": "experiment/a/b/c", "runId": _RUN, "time": "2026-11-23T10:00:00Z"},
}


async def test_lists_the_experiments_of_all_namespaces(api, create, cluster, namespace, until):
    await create("weather", _STATUS)
    await create("news")
    elsewhere = f"{namespace}-b"
    await cluster.kubectl("create", "namespace", elsewhere)
    exported = await cluster.kubectl("get", "experiment", "weather", "-n", namespace, "-o", "yaml")
    await cluster.kubectl(
        "create", "-f", "-", stdin=exported.replace(f"namespace: {namespace}", f"namespace: {elsewhere}")
    )

    async def listed():
        items = (await api.get("/api/v1/experiments")).json()["items"]
        found = [(i["namespace"], i["name"], i["ready"]) for i in items if i["namespace"].startswith(namespace)]
        return found == [(namespace, "news", False), (namespace, "weather", True), (elsewhere, "weather", False)]

    await until(listed)


async def test_shows_spec_status_and_where_to_read_on(api, create, namespace):
    await create("weather", _STATUS)
    answer = await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather")
    shown = answer.json()
    assert answer.status_code == 200
    assert shown["spec"]["agentRef"] == {"name": "weather-agent"}
    assert shown["agent"] == f"{namespace}/weather-agent"
    assert shown["agentUrl"] == _STATUS["agentUrl"]
    assert (shown["ready"], shown["reason"]) == (True, "Reconciled")
    assert shown["message"] == "The cluster is as the Experiment says."
    assert shown["conditions"] == _STATUS["conditions"]
    assert shown["generatedResources"] == _STATUS["generatedResources"]
    assert shown["lastReconciliation"]["runId"] == _RUN
    itself = f"/api/v1/namespaces/{namespace}/experiments/weather"
    assert shown["links"] == {
        "self": itself,
        "reconciliations": f"{itself}/reconciliations",
        "lastReconciliation": f"{itself}/reconciliations/{_RUN}",
        "temporal": f"http://temporal.example:8233/namespaces/default/workflows/experiment%2Fa%2Fb%2Fc/{_RUN}/history",
    }


async def test_an_experiment_that_nobody_has_looked_at_is_not_ready(api, create, namespace):
    await create("weather")
    shown = (await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather")).json()
    assert (shown["ready"], shown["reason"], shown["conditions"]) == (False, None, [])
    assert shown["links"]["lastReconciliation"] is None
    assert shown["links"]["temporal"] is None


async def test_an_unknown_experiment_is_not_found(api, namespace):
    answer = await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather")
    assert answer.status_code == 404
    assert answer.json()["detail"] == f"There is no Experiment {namespace}/weather."


async def test_says_that_it_does_not_know_yet_rather_than_that_there_are_none(serve, kube, temporal):
    never_filled = Caches(kube, [Source(EXPERIMENT)])
    async with serve(never_filled, temporal) as api:
        for path in ("experiments", "namespaces/default/experiments/weather"):
            answer = await api.get(f"/api/v1/{path}")
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
