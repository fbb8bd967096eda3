"""What happens is counted, by labels whose values are few: nothing that people name is ever among them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments.reasons import kind_of
from support.world import World

_DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


async def test_a_run_is_counted_from_its_reason_to_its_outcome(world: World, service):
    created = {"verb": "create", "resource": "testworkflows", "code": "201"}
    before = await service.value("experiment_operator_kubernetes_calls_total", **created)
    await world.create()
    await world.reported()
    await world.closed_runs(1)
    await service.counts("experiment_operator_reconciliations_total", outcome="completed", reason="Reconciled")
    await service.counts("experiment_operator_reconciliation_duration_seconds_count", outcome="completed")
    await service.counts("experiment_operator_cache_objects", resource="experiments")
    assert await service.value("experiment_operator_starts_total", reason="generation")
    assert await service.value("experiment_operator_kubernetes_calls_total", **created) == before + 1
    assert await service.value("experiment_operator_kubernetes_calls_total", resource="experiments/status", code="200")
    for operation in ("StartWorkflowExecution", "DescribeNamespace", "RespondWorkflowTaskCompleted"):
        assert await service.value("temporal_request_total", operation=operation)


async def test_so_are_runs_that_fail_and_those_that_wait(world: World, service):
    await world.create("late", aiGatewayRef={"name": "nowhere"})
    await world.create("never", schedule={"cron": "0 0 30 2 *"})
    await service.counts("experiment_operator_reconciliation_pauses_total", reason="GatewayMissing")
    await service.counts("experiment_operator_reconciliations_total", outcome="failed", reason="InvalidSchedule")


async def test_executions_are_counted_by_verdict(world: World, service, evaluations):
    await world.create()
    await world.reported()
    await evaluations.pass_one()
    await service.counts("experiment_operator_executions_total", verdict="Passed")
    await service.counts("experiment_operator_execution_duration_seconds_count", verdict="Passed")
    await service.counts("experiment_operator_execution_lag_seconds_count")
    assert await service.value("experiment_operator_execution_looks_total", source="event")
    assert await service.value("experiment_operator_testkube_polls_total", outcome="answered")
    assert await service.value("experiment_operator_testkube_silence_seconds") < 300


async def test_the_holder_of_a_lease_says_so(service):
    await service.counts("experiment_operator_lease_held", lease="experiment-operator-watcher")


async def test_requests_are_counted_by_route(world: World, service, api):
    await world.create("conspicuous")
    await world.reported("conspicuous")
    path = f"/api/v1/namespaces/{world.namespace}/experiments/conspicuous"
    assert (await service.http.get(api + path)).is_success
    assert (await service.http.get(f"{api}/conspicuous/{world.namespace}")).status_code == 404
    assert (await service.http.request("CONSPICUOUS", api + path)).status_code == 405
    route = "/api/v1/namespaces/{namespace}/experiments/{name}"
    assert await service.value("experiment_operator_http_requests_total", method="GET", route=route, code="200") == 1
    assert await service.value("experiment_operator_http_requests_total", route="unknown", code="404")
    assert await service.value("experiment_operator_http_requests_total", method="other", code="405")
    told = (await service.http.get("/metrics")).text
    assert "conspicuous" not in told.lower()
    assert world.namespace not in told


async def test_each_metric_is_documented_and_each_documented_one_exists(world: World, service, evaluations):
    await world.create()
    await world.reported()
    await evaluations.pass_one()
    await service.counts("experiment_operator_executions_total")
    await world.create("late", aiGatewayRef={"name": "nowhere"})
    await service.counts("experiment_operator_reconciliation_pauses_total")
    families = await service.metrics()
    there = {f"{name}_total" if family.type == "counter" else name for name, family in families.items()}
    rows = [line.split("|") for line in _DOCS.read_text().splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert {name for name in there if name.startswith("experiment_operator_")} == {
        name for name in documented if name.startswith("experiment_operator_")
    }
    # Something has to go wrong first: see the test of the rules, and that of what ends as failed in tests/workflow.
    # (To have an execution followed that was followed before is refused, and counts.)
    assert documented - there - {"temporal_request_failure_total"} == {"temporal_workflow_failed_total"}
    for row in rows:
        for name in re.findall(r"`(experiment_operator_\w+)`", row[1]):
            samples = families[name.removesuffix("_total")].samples
            labels = {label for sample in samples for label in sample.labels} - {"le"}
            assert labels <= set(re.findall(r"`(\w+)`", row[2])) | {"namespace", "task_queue", "workflow_type"}, name


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("generation 3", "generation"),
        ("requested: the judge was replaced", "requested"),
        ("ConfigMap edited by kubectl-edit", "child_edited"),
        ("TestTrigger deleted", "child_deleted"),
        ("finalizer not wanted", "finalizer"),
        ("Ready is TemplateMissing", "status"),
        ("whatever somebody may call it", "other"),
    ],
)
def test_reasons_are_counted_by_kind(words, expected):
    assert kind_of([words, "requested"]) == expected
