"""Rules and dashboard speak only of metrics that exist, each alert fires when it should, and has a runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from support.world import World

_ROOT = Path(__file__).parents[2]
_MONITORING = _ROOT / "deploy" / "monitoring"
_RULE_TESTS = Path(__file__).with_name("rules_test.yaml")
_HISTOGRAM = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="module")
def rules():
    resource = yaml.safe_load((_MONITORING / "rules.yaml").read_text())
    return [rule for group in resource["spec"]["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def panels():
    dashboard = json.loads((_MONITORING / "dashboard.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def _named(expressions):
    found = {
        name for each in expressions for name in re.findall(r"\b(?:experiment_operator|temporal|process)_\w+", each)
    }
    return {re.sub(f"({'|'.join(_HISTOGRAM)})$", "", name) for name in found}


async def test_every_metric_named_there_is_served(rules, panels, world: World, service, evaluations, api, start):
    # What is counted by Temporal's SDK is there once it has happened: a failed call, a pause.
    lost = await start("watcher", TEMPORAL_NAMESPACE="nowhere")
    await lost.listens()
    await lost.counts("temporal_request_failure_total", status_code="NOT_FOUND")
    await world.create()
    await world.create("late", aiGatewayRef={"name": "nowhere"})
    await world.reported()
    await evaluations.pass_one()
    await service.counts("experiment_operator_executions_total")
    await service.http.get(f"{api}/api/v1/experiments")
    await service.counts("experiment_operator_lease_held")
    await service.counts("experiment_operator_reconciliations_total")
    await service.counts("experiment_operator_reconciliation_pauses_total")
    families = [*(await service.metrics()).values(), *(await lost.metrics()).values()]
    there = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}

    alerts = _named(rule["expr"] for rule in rules)
    shown = _named(target["expr"] for panel in panels for target in panel["targets"])
    assert len(alerts) > 10
    assert len(shown) > 20
    assert alerts | shown <= there
    labels = {label for family in families for sample in family.samples for label in sample.labels}
    asked = {
        name for rule in rules for each in re.findall(r"by \(([^)]*)\)", rule["expr"]) for name in each.split(", ")
    }
    assert asked <= labels | {"instance", "job", "le"}


def test_each_alert_has_a_runbook_and_each_runbook_an_alert(rules):
    text = (_ROOT / "docs" / "runbooks.md").read_text()
    chapters = dict(re.findall(r"^### (\w+)\n\n\*(Critical|Warning)\.\*", text, re.MULTILINE))
    assert {rule["alert"]: rule["labels"]["severity"].capitalize() for rule in rules} == chapters
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{rule['alert'].lower()}"
    assert set(re.findall(r"\(#(\w+)\)", text)) <= {name.lower() for name in chapters}


def test_each_alert_is_tried_firing_and_silent(rules):
    tests = yaml.safe_load(_RULE_TESTS.read_text())["tests"]
    tried = [(each["alertname"], "exp_alerts" in each) for test in tests for each in test["alert_rule_test"]]
    assert set(tried) == {(rule["alert"], fires) for rule in rules for fires in (True, False)}


@pytest.mark.skipif(
    not shutil.which("promtool"),
    reason="PROMTOOL IS MISSING: the alert rules are NOT TRIED (Debian: apt install prometheus)",
)
def test_the_rules_do_what_their_tests_say(tmp_path):
    resource = yaml.safe_load((_MONITORING / "rules.yaml").read_text())
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(resource["spec"]))
    shutil.copy(_RULE_TESTS, tmp_path)
    run = subprocess.run(
        ["promtool", "test", "rules", _RULE_TESTS.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


async def test_kustomize_makes_what_operator_and_sidecar_look_for(cluster):
    built = list(yaml.safe_load_all(await cluster.kubectl("kustomize", str(_MONITORING))))
    assert {obj["kind"] for obj in built} == {"ConfigMap", "PodMonitor", "PrometheusRule"}
    [dashboard] = [obj for obj in built if obj["kind"] == "ConfigMap"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["experiment-operator.json"])["title"] == "experiment-operator"


def test_the_dashboard_is_one_that_grafana_takes(panels):
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))
    places = {
        (panel["gridPos"]["x"] + dx, panel["gridPos"]["y"] + dy): panel["title"]
        for panel in panels
        for dx in range(panel["gridPos"]["w"])
        for dy in range(panel["gridPos"]["h"])
    }
    assert len(places) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in panels)  # none lies on another
    assert max(x for x, _ in places) < 24
