"""An experiment.json that no ConfigMap can hold is refused with a way out, and leaves what exists alone."""

from __future__ import annotations

from typing import Any

from kube.objects import CONFIG_MAP
from support.memory import MemoryWorld

LIMIT = 1024 * 1024


def of_size(world: type[MemoryWorld], size: int) -> Any:
    """A world whose experiment.json has exactly this many bytes."""
    made = world()
    made.edit(scenarios=scenarios(0))
    rest = size - len(text(made).encode())
    made.edit(scenarios=scenarios(rest))
    return made


def scenarios(letters: int) -> list[dict[str, Any]]:
    """In several steps: the input of one has a limit of its own."""
    each, more = divmod(letters, 20)
    return [{"name": "a", "steps": [{"input": "ü" + "x" * (each + (more if i == 0 else 0))} for i in range(20)]}]


def text(made: Any) -> str:
    found: str = made.manifest(CONFIG_MAP)["data"]["experiment.json"]
    return found


def test_an_experiment_that_just_fits_is_taken(world: type[MemoryWorld]) -> None:
    made = of_size(world, LIMIT)
    assert len(text(made).encode()) == LIMIT
    assert made.condition("Ready")[0] == "True"


def test_an_experiment_one_byte_too_large_is_refused(world: type[MemoryWorld]) -> None:
    made = of_size(world, LIMIT + 1)
    assert made.condition("Ready") == (
        "False",
        "ExperimentTooLarge",
        "experiment.json has 1,048,577 bytes and a ConfigMap holds 1,048,576; use dataset.s3 or dataset.url.",
    )
    assert [action.ref.resource.kind for action in made.plan().actions] == ["Experiment"]


def test_children_of_an_experiment_that_has_grown_too_large_stay(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    before = dict(made.child(CONFIG_MAP)["data"])
    made.edit(scenarios=scenarios(LIMIT))
    made.settle()
    assert made.child(CONFIG_MAP)["data"] == before
    assert {resource["kind"] for resource in made.status["generatedResources"]} == {"ConfigMap", "TestWorkflow"}
