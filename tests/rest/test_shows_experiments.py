"""Lists and shows Experiments as they are in the cluster, without asking the API server each time."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.objects import Source, ref_of
from support.polling import until

_RUN = str(uuid4())
_EXECUTION = "6b07730dbe3694f655a52ea0"
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
        },
        {
            "type": "AgentResolved",
            "status": "False",
            "reason": "AgentNotFound",
            "message": "Agent default/weather-agent does not exist; its Service's name is assumed.",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-23T10:00:00Z",
        },
    ],
    "generatedResources": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "weather-experiment", "namespace": "testkube", "uid": "4d"}
    ],
    "lastReconciliation": {"workflowId": "experiment/a/b/c", "runId": _RUN, "time": "2026-11-23T10:00:00Z"},
    "lastExecution": {
        "executionId": _EXECUTION,
        "executionNumber": 3,
        "startTime": "2026-11-23T10:05:00Z",
        "endTime": "2026-11-23T10:05:16Z",
        "status": "passed",
        "startedBy": "Trigger",
        "verdict": "Failed",
        "metrics": {"total": 20, "passed": 17, "failed": 3, "errored": 0},
        "summary": "Failed 17/20",
    },
}


async def test_lists_the_experiments_of_all_namespaces(api, create, cluster, namespace):
    await create("weather", _STATUS)
    await create("news")
    elsewhere = f"{namespace}-b"
    await cluster.kubectl("create", "namespace", elsewhere)
    exported = await cluster.kubectl("get", "experiment", "weather", "-n", namespace, "-o", "yaml")
    await cluster.kubectl(
        "create", "-f", "-", stdin=exported.replace(f"namespace: {namespace}", f"namespace: {elsewhere}")
    )

    async def listed():
        items = (await api.get("/api/v1/experiments", params={"q": namespace})).json()["items"]
        found = [(i["namespace"], i["name"], i["ready"]) for i in items]
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
    assert shown["agentUrlFrom"] == {
        "reason": "AgentNotFound",
        "message": "Agent default/weather-agent does not exist; its Service's name is assumed.",
    }
    assert shown["stale"] is None
    assert shown["generatedResources"] == _STATUS["generatedResources"]
    assert shown["lastReconciliation"]["runId"] == _RUN
    assert shown["lastExecution"] == _STATUS["lastExecution"]
    itself = f"/api/v1/namespaces/{namespace}/experiments/weather"
    assert shown["links"] == {
        "self": itself,
        "reconciliations": f"{itself}/reconciliations",
        "lastReconciliation": f"{itself}/reconciliations/{_RUN}",
        "executions": f"{itself}/executions",
        "lastExecution": f"{itself}/executions/{_EXECUTION}",
        "timeline": f"{itself}/timeline",
        "plan": f"{itself}/plan",
        "manifests": f"{itself}/manifests",
        "events": f"{itself}/events",
        "temporal": f"http://temporal.example:8233/namespaces/default/workflows/experiment%2Fa%2Fb%2Fc/{_RUN}/history",
    }


async def test_an_experiment_that_nobody_has_looked_at_is_not_ready(api, create, namespace):
    await create("weather")
    shown = (await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather")).json()
    assert (shown["ready"], shown["reason"], shown["conditions"]) == (False, None, [])
    assert shown["agentUrlFrom"] is None
    assert shown["links"]["lastReconciliation"] is None
    assert (shown["lastExecution"], shown["links"]["lastExecution"]) == (None, None)
    assert shown["links"]["temporal"] is None


async def test_shows_an_experiment_of_a_time_when_the_crd_asked_for_less(serve, kube, temporal):
    old = {
        "metadata": {
            "namespace": "default",
            "name": "old",
            "uid": "7e0a6d4c",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2025-01-01T00:00:00Z",
        },
        "status": {"conditions": [{"type": "Ready", "status": "Perhaps", "reason": None}]},
    }

    class Old(Caches):
        """As an API server would fill them whose CRD was weakened."""

        synced = True

        def objects(self, resource):
            return [old] if resource == EXPERIMENT else []

        def get(self, ref):
            return old if ref.resource == EXPERIMENT else None

    async with serve(Old(kube, []), temporal) as api:
        (listed,) = (await api.get("/api/v1/experiments")).json()["items"]
        assert (listed["name"], listed["agent"], listed["ready"]) == ("old", None, False)
        shown = (await api.get("/api/v1/namespaces/default/experiments/old")).json()
        assert (shown["spec"], shown["children"]) == ({}, [])


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


async def test_a_spec_of_any_depth_is_shown_as_far_as_it_makes_sense(api, create, kube, namespace):
    ref = ref_of(EXPERIMENT, await create("weather"))
    bottomless: Any = {}
    for _ in range(400):
        bottomless = {"deeper": bottomless}
    steps = [{"input": "Will it rain?", "customValues": bottomless}]
    await kube.merge_patch(ref, {"spec": {"scenarios": [{"name": "rain", "steps": steps}]}})

    async def shown():
        answer = await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather")
        return answer if "deeper" in answer.text or answer.status_code != 200 else None

    assert (await until(shown)).status_code == 200
