"""What was done is kept in words, and the words say which object it was and which of its fields."""

from __future__ import annotations

import pytest

from experiments.changes import Change, from_words, in_words
from experiments.plan import Action, Difference, Step
from experiments.resources import EXPERIMENT, TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, ObjectRef

WORKFLOW = ObjectRef(TEST_WORKFLOW, "testkube", "weather-workflow.default")


def changed(*paths: str) -> Action:
    return Action(Step.APPLY_TEST_WORKFLOW, WORKFLOW, {}, {}, tuple(Difference(path, 1, 2) for path in paths))


def test_what_was_created_or_deleted() -> None:
    created = Action(Step.APPLY_CONFIG_MAP, ObjectRef(CONFIG_MAP, "testkube", "weather-experiment.default"), {})
    deleted = Action(Step.DELETE_TEST_TRIGGER, ObjectRef(TEST_TRIGGER, "a", "b"), live={})
    assert in_words(created) == "created ConfigMap testkube/weather-experiment.default"
    assert in_words(deleted) == "deleted TestTrigger a/b"
    assert from_words(in_words(created)) == Change("create", "ConfigMap", "testkube", "weather-experiment.default", [])
    assert from_words(in_words(deleted)) == Change("delete", "TestTrigger", "a", "b", [])


def test_which_fields_were_changed() -> None:
    paths = ["spec.use[0].config.agentUrl", "metadata.labels[testbench.agentic-layer.ai/uid]", "spec.events"]
    found = from_words(in_words(changed(*paths)))
    assert found == Change("change", "TestWorkflow", "testkube", "weather-workflow.default", paths)


def test_a_change_that_only_takes_fields_away_names_none() -> None:
    found = from_words(in_words(changed()))
    assert found == Change("change", "TestWorkflow", "testkube", "weather-workflow.default", [])


@pytest.mark.parametrize("step", [Step.ADD_FINALIZER, Step.REMOVE_FINALIZER])
def test_the_finalizer_is_no_child(step: Step) -> None:
    words = in_words(Action(step, ObjectRef(EXPERIMENT, "default", "weather")))
    assert words.endswith(" finalizer testbench.agentic-layer.ai/cleanup")
    assert from_words(words) is None


def test_words_of_another_version_are_no_change() -> None:
    assert [from_words(words) for words in ("", "created", "did something", "patched ConfigMap a/b")] == [None] * 4
