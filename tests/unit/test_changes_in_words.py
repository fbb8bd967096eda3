"""What was done is kept in words, and the words say which object it was and which of its fields."""

from __future__ import annotations

import pytest

from experiments.changes import RecordedChange, Verb, from_words, in_words
from experiments.resources import TEST_WORKFLOW
from kube.objects import CONFIG_MAP, ObjectRef

WORKFLOW = ObjectRef(TEST_WORKFLOW, "testkube", "weather-workflow.default")


@pytest.mark.parametrize(
    ("verb", "words"), [("create", "created"), ("replace", "replaced"), ("delete", "deleted"), ("change", "changed")]
)
def test_what_was_done_to_which_object(verb: Verb, words: str) -> None:
    ref = ObjectRef(CONFIG_MAP, "testkube", "weather-experiment.default")
    assert in_words(verb, ref) == f"{words} ConfigMap testkube/weather-experiment.default"
    assert from_words(in_words(verb, ref)) == RecordedChange(
        verb, "ConfigMap", "testkube", "weather-experiment.default", []
    )


def test_which_fields_were_changed() -> None:
    paths = ["spec.use[0].config.agentUrl", "metadata.labels[testbench.agentic-layer.ai/uid]", "spec.events"]
    found = from_words(in_words("change", WORKFLOW, paths))
    assert found == RecordedChange("change", "TestWorkflow", "testkube", "weather-workflow.default", paths)


@pytest.mark.parametrize(
    "words",
    [
        "added finalizer testbench.agentic-layer.ai/cleanup",
        "aborted 1 execution of TestWorkflow testkube/weather-workflow.default",
        "released TestTrigger testkube/weather-trigger.default",
        "asked for the deletion of TestTrigger a/b, which waits for example.com/hold",
    ],
)
def test_what_else_was_done_is_no_change_of_an_object(words: str) -> None:
    assert from_words(words) is None


def test_words_of_another_version_are_no_change() -> None:
    assert [from_words(words) for words in ("", "created", "did something", "patched ConfigMap a/b")] == [None] * 4
