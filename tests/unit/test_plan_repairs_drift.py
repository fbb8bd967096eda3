"""A child that was edited is put right; one that only has more than was applied is left alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from experiments.names import EXPERIMENT_ANNOTATION, MANAGED_BY, UID_LABEL
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, Resource
from support.memory import MemoryWorld

WORKFLOW = "change TestWorkflow testkube/weather-workflow.default"
FULL = {
    "trigger": {"enabled": True, "concurrencyPolicy": "Forbid"},
    "schedule": {"cron": "0 6 * * *"},
    "env": [{"name": "A", "value": "a"}, {"name": "B", "value": "b"}],
    "otlpEndpoint": "http://otel:4318",
}


@pytest.fixture
def settled(world: type[MemoryWorld]) -> Any:
    made = world(**FULL)
    made.settle()
    assert made.plan().needed is False
    return made


@pytest.fixture
def owned(world: type[MemoryWorld]) -> Any:
    """Beside its children, which it owns."""
    made = world("default", **FULL)
    made.settle()
    return made


def edit(made: Any, resource: Resource, change: Callable[[Any], object]) -> list[str]:
    change(made.child(resource))
    return [str(action) for action in made.plan().actions]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda w: w["spec"]["use"][0]["config"].update(agentUrl="http://evil"), "spec.use[0].config.agentUrl"),
        (lambda w: w["spec"]["use"][0].pop("config"), "spec.use[0].config"),
        (lambda w: w["spec"]["use"].pop(), "spec.use"),
        (lambda w: w["spec"]["use"].append({"name": "more"}), "spec.use"),
        (lambda w: w["spec"]["use"].reverse(), "spec.use[0].name"),
        (lambda w: w["spec"].pop("events"), "spec.events"),
        (lambda w: w["spec"]["events"][0]["cronjob"].update(cron="* * * * *"), "spec.events[0].cronjob.cron"),
        (lambda w: w["spec"]["container"]["env"].append({"name": "C"}), "spec.container.env"),
        (lambda w: w["spec"]["container"].pop("env"), "spec.container.env"),
        (lambda w: w["metadata"]["labels"].pop(MANAGED_BY), f"metadata.labels[{MANAGED_BY}]"),
        (lambda w: w["metadata"]["labels"].pop(UID_LABEL), f"metadata.labels[{UID_LABEL}]"),
        (
            lambda w: w["metadata"]["annotations"].pop(EXPERIMENT_ANNOTATION),
            f"metadata.annotations[{EXPERIMENT_ANNOTATION}]",
        ),
    ],
)
def test_an_edit_is_repaired(settled: Any, change: Callable[[Any], object], path: str) -> None:
    found = edit(settled, TEST_WORKFLOW, change)
    assert len(found) == 1
    assert found[0].startswith(f"{WORKFLOW} ({path}")
    settled.settle()
    assert settled.plan().needed is False


@pytest.mark.parametrize(
    ("resource", "change", "path"),
    [
        (CONFIG_MAP, lambda c: c["data"].update({"experiment.json": "{}"}), "data[experiment.json]"),
        (CONFIG_MAP, lambda c: c.pop("data"), "data"),
        (TEST_TRIGGER, lambda t: t["spec"].update(disabled=True), "spec.disabled"),
        (TEST_TRIGGER, lambda t: t["spec"].pop("disabled"), "spec.disabled"),
        (TEST_TRIGGER, lambda t: t["spec"]["testSelector"].update(name="other"), "spec.testSelector.name"),
        (TEST_TRIGGER, lambda t: t["spec"].update(concurrencyPolicy="allow"), "spec.concurrencyPolicy"),
    ],
)
def test_edits_of_the_other_children_are_repaired_too(
    settled: Any, resource: Resource, change: Callable[[Any], object], path: str
) -> None:
    (found,) = edit(settled, resource, change)
    assert found.endswith(f" ({path})")


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.update(status={"health": {"passRate": 1}}),
        lambda w: w["spec"].update(config={"a": {"type": "string"}}, concurrency={"max": 1}),
        lambda w: w["spec"]["use"][0].update(optional=False),
        lambda w: w["spec"]["container"]["env"][0].update(valueFrom=None),
        lambda w: w["metadata"]["labels"].update({"team": "weather"}),
        lambda w: w["metadata"]["annotations"].update({"kubectl.kubernetes.io/restartedAt": "now"}),
        lambda w: w["metadata"].update(finalizers=["other/thing"], resourceVersion="7", managedFields=[{}]),
    ],
)
def test_defaults_and_what_others_add_is_no_drift(settled: Any, change: Callable[[Any], object]) -> None:
    assert edit(settled, TEST_WORKFLOW, change) == []
    assert settled.plan().needed is False


@pytest.mark.parametrize("resource", [CONFIG_MAP, TEST_WORKFLOW, TEST_TRIGGER])
def test_a_deleted_child_is_made_again(settled: Any, resource: Resource) -> None:
    ref = next(ref for ref in settled.subject.placement.children if ref.resource == resource)
    del settled.objects[ref]
    assert f"create {ref}" in [str(action) for action in settled.plan().actions]
    settled.settle()
    assert settled.plan().needed is False


@pytest.mark.parametrize(
    "change",
    [
        lambda owners: owners.clear(),
        lambda owners: owners[0].update(controller=False),
        lambda owners: owners[0].update(uid="other"),
        lambda owners: owners.append({**owners[0], "uid": "another Experiment's"}),
    ],
)
def test_an_owner_reference_is_repaired(owned: Any, change: Callable[[Any], object]) -> None:
    before = copy.deepcopy(owned.child(TEST_WORKFLOW)["metadata"]["ownerReferences"])
    (found,) = edit(owned, TEST_WORKFLOW, lambda w: change(w["metadata"]["ownerReferences"]))
    assert found == "change TestWorkflow default/weather-workflow (metadata.ownerReferences)"
    owned.settle()
    assert owned.child(TEST_WORKFLOW)["metadata"]["ownerReferences"] == before


@pytest.mark.parametrize(
    "change",
    [
        lambda owners: owners.insert(0, {"uid": "theirs", "kind": "Team", "name": "a"}),
        lambda owners: owners[0].update(extra=1),
    ],
)
def test_owners_that_others_add_are_no_drift(owned: Any, change: Callable[[Any], object]) -> None:
    assert edit(owned, TEST_WORKFLOW, lambda w: change(w["metadata"]["ownerReferences"])) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda w: w["spec"].update(content={"files": [{"path": "/data/x"}]}), "spec.content.files"),
        (lambda w: w["spec"]["events"][0]["cronjob"].update(timezone="UTC"), "spec.events[0].cronjob.timezone"),
        (lambda w: w["spec"]["use"][0]["config"].update(model="gpt-4o"), "spec.use[0].config.model"),
        (lambda w: w["spec"]["container"]["env"][0].update(valueFrom={"a": 1}), "spec.container.env[0].valueFrom"),
    ],
)
def test_what_somebody_adds_where_this_service_can_write_goes(
    world: type[MemoryWorld], change: Callable[[Any], object], path: str
) -> None:
    made = world(**{**FULL, "scenarios": None, "dataset": {"url": "http://data/set.json"}})
    made.settle()
    (found,) = edit(made, TEST_WORKFLOW, change)
    assert found == f"{WORKFLOW} ({path})"


@pytest.mark.parametrize(
    "traces",
    [("labels",), ("annotations",), ("ownerReferences",), ("labels", "annotations", "ownerReferences")],
    ids=", ".join,
)
def test_a_child_that_lost_its_traces_is_still_ours(owned: Any, traces: tuple[str, ...]) -> None:
    """The status remembers its uid."""
    workflow = owned.child(TEST_WORKFLOW)
    for trace in traces:
        del workflow["metadata"][trace]
    assert [action.ref.resource for action in owned.plan().actions] == [TEST_WORKFLOW]
    owned.settle()
    assert owned.plan().needed is False


def test_a_field_that_is_not_wanted_any_more_is_applied_away(settled: Any) -> None:
    settled.edit(schedule=None, env=None)
    assert "events" in settled.child(TEST_WORKFLOW)["spec"]
    (action,) = (a for a in settled.plan().actions if a.ref.resource == TEST_WORKFLOW)
    assert "metadata.annotations[testbench.agentic-layer.ai/applied]" in [each.path for each in action.differences]
    settled.settle()
    assert "events" not in settled.child(TEST_WORKFLOW)["spec"]


def test_a_changed_type_is_a_change(settled: Any) -> None:
    """In JSON 0 is not false, although Python says so."""
    assert edit(settled, TEST_TRIGGER, lambda t: t["spec"].update(disabled=0)) != []
