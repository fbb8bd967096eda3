"""Two Experiments never have a child of one name, wherever they are and whatever they are called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.models import LABEL
from experiments.names import CHILD_SUFFIXES, placement
from experiments.options import Options
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP

TESTKUBE = Options("testkube")
SUBDOMAIN = re.compile(rf"{LABEL}([.]{LABEL})*")
# Made of what generated names are made of, so that they have a chance to collide.
WORDS = ["a", "b", "experiment", "workflow", "trigger", "testkube", "x", "0" * 10]
LABELS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("-".join).filter(lambda label: len(label) <= 63)
NAMESPACES = LABELS | st.just("testkube")
NAMES = (
    st.lists(LABELS, min_size=1, max_size=4).map(".".join)
    | st.builds(lambda label, times: f"{label}." * times + label, LABELS, st.integers(20, 60))
).map(lambda name: name[:253].rstrip("-."))
EXPERIMENTS = st.tuples(NAMESPACES, NAMES)
QUICK = settings(deadline=None, derandomize=True, database=None, max_examples=60)


def child_names(namespace: str, name: str, options: Options = TESTKUBE) -> list[str]:
    return [child.name for child in placement(namespace, name, options).children]


@QUICK
@given(st.sets(EXPERIMENTS, min_size=2, max_size=5))
def test_names_in_testkubes_namespace_never_collide(experiments: set[tuple[str, str]]) -> None:
    for names in zip(*(child_names(*experiment) for experiment in experiments), strict=True):
        assert len(set(names)) == len(experiments)


@QUICK
@given(EXPERIMENTS)
def test_every_name_is_one_that_kubernetes_takes(experiment: tuple[str, str]) -> None:
    for options in (TESTKUBE, Options(".")):
        for name in child_names(*experiment, options):
            assert SUBDOMAIN.fullmatch(name)
            assert len(name) <= 253


@QUICK
@given(EXPERIMENTS)
def test_a_shortened_name_reads_as_no_other_experiments(experiment: tuple[str, str]) -> None:
    """Not even somebody who computes the hash finds an Experiment that has such a name without one."""
    for name, suffix in zip(child_names(*experiment), CHILD_SUFFIXES.values(), strict=True):
        before, _, last = name.rpartition(".")
        read_as = [("testkube", name.removesuffix(suffix)), (last, before.removesuffix(suffix))]
        assert all(name not in child_names(*other) for other in read_as if other != experiment)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("b-c", "a"), ("c", "a-b")),
        (("c", "a.b"), ("b-c", "a")),
        (("testkube", "a-experiment.b"), ("b", "a-experiment")),
        (("testkube", "a-experiment.b"), ("b-experiment", "a")),
        (("testkube", "a"), ("default", "a")),
        (("default", "a" * 252), ("default", "a" * 253)),
    ],
)
def test_pairs_that_look_alike_get_different_names(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert not set(child_names(*one)) & set(child_names(*other))


def test_children_beside_the_experiment_bear_its_name_alone() -> None:
    place = placement("testkube", "weather", TESTKUBE)
    assert child_names("testkube", "weather") == ["weather-experiment", "weather-workflow", "weather-trigger"]
    assert place.owned
    assert {child.namespace for child in place.children} == {"testkube"}
    assert [child.resource for child in place.children] == [CONFIG_MAP, TEST_WORKFLOW, TEST_TRIGGER]


def test_children_in_another_namespace_bear_the_experiments_namespace() -> None:
    place = placement("shop", "weather", TESTKUBE)
    assert child_names("shop", "weather") == [
        "weather-experiment.shop",
        "weather-workflow.shop",
        "weather-trigger.shop",
    ]
    assert not place.owned
    assert {child.namespace for child in place.children} == {"testkube"}


def test_children_may_lie_in_each_experiments_own_namespace() -> None:
    place = placement("shop", "weather", Options("."))
    assert (place.config_map.namespace, place.config_map.name, place.owned) == ("shop", "weather-experiment", True)


def test_a_name_never_changes() -> None:
    """The children of existing Experiments would all be made anew."""
    long = "a-long-name." * 20 + "end"
    assert child_names("shop", long)[1] == "a-long-name." * 20 + "x.0c55e87b6f"
    assert child_names("b-workflow", "a")[1] == "a-workflow.b-workflow.x.e4f00d5124"
