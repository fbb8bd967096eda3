"""A few bytes can stand for gigabytes: whatever is given as a file is answered from little memory, and in words."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from experiments import yaml as documents
from experiments.errors import ExperimentTooLarge
from experiments.experiment_json import experiment_json
from experiments.limits import MAX_DOCUMENTS
from experiments.models import ExperimentSpec, ExperimentStatus
from support.amplified import MIB, READ, REFUSED, experiment, with_value

MEMORY = 150 * MIB
# A process of its own, since the memory of the one that starts another counts as that one's. The limit is far above
# what is right, and below what the machine has.
MEASURED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
command = [sys.executable, "-m", "experiment_operator", "render", *sys.argv[1:]]
_, status, used = os.wait4(os.posix_spawn(sys.executable, command, os.environ, file_actions=quiet), 0)
print(used.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def rendered(folder: Path, contents: Iterable[str], templates: str = "") -> tuple[int, list[list[str]], int]:
    """Exit code, standard error by file, and memory of a process that renders them all."""
    names = []
    for number, content in enumerate(contents):
        names.append(f"{number}.yaml")
        (folder / names[-1]).write_text(content, encoding="utf-8")
    (folder / "templates.yaml").write_text(templates, encoding="utf-8")
    command = [sys.executable, "-c", MEASURED, *names, *(("--templates", "templates.yaml") if templates else ())]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert not [line for line in lines if not line[0].isdigit()]
    return done.returncode, [[line for line in lines if line.startswith(name)] for name in names], int(done.stdout)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> int:
    """What it takes to say that a file holds no Experiment."""
    return rendered(tmp_path_factory.mktemp("usual"), ["{}"])[2]


def test_what_nobody_should_read_is_refused_before_it_is_large(tmp_path: Path, usual: int) -> None:
    code, lines, memory = rendered(tmp_path, (make() for make, _ in REFUSED.values()))
    told = dict(zip(REFUSED, lines, strict=True))
    assert [way for way, (_, words) in REFUSED.items() if not any(words in line for line in told[way])] == []
    assert max(map(len, lines)) <= MAX_DOCUMENTS + 1
    assert memory - usual < MEMORY
    assert code == 2


@pytest.mark.parametrize("way", READ)
def test_what_may_be_read_is_answered(tmp_path: Path, usual: int, way: str) -> None:
    code, (lines,), memory = rendered(tmp_path, [READ[way]()])
    assert code == (2 if lines else 0)
    assert memory - usual < MEMORY


def test_two_files_do_not_multiply(tmp_path: Path, usual: int) -> None:
    """Each Experiment has to do with each template, and with each of its parameters and variables."""
    phases = [f"{phase}-template" for phase in ("setup", "run", "evaluate", "publish", "visualize")]
    config = {"agentUrl": {"type": "string"}, **{f"p{n}": {"type": "string"} for n in range(199)}}
    steps = [{"run": {"env": [{"name": f"V{n}", "value": ""}]}} for n in range(2000)]
    spec = {"config": config, "steps": steps}
    many = [template(name, spec) for name in phases] + [template(f"other-{n}", {}) for n in range(900)]
    variables = [{"name": f"V{n}", "value": "x"} for n in range(100)]
    experiments = [{**experiment(env=variables), "metadata": {"name": f"e{n}"}} for n in range(300)]
    code, (lines,), memory = rendered(
        tmp_path, ["\n".join(map(json.dumps, experiments))], "\n".join(map(json.dumps, many))
    )
    assert code == 0
    (told,) = {line.rpartition(" and ")[2] for line in lines if "nobody sets" in line}
    assert told == "776 more"
    assert memory - usual < MEMORY


def template(name: str, spec: Any) -> Any:
    head = {"apiVersion": "testworkflows.testkube.io/v1", "kind": "TestWorkflowTemplate"}
    return {**head, "metadata": {"name": name}, "spec": spec}


def test_a_file_without_end_is_not_read_to_it(render: Any) -> None:
    found = render("/dev/zero")
    assert (found.code, found.lines) == (2, ["/dev/zero has more than 3,145,728 bytes, which no API server takes"])


def test_what_an_alias_stands_for_is_counted_before_it_is_there() -> None:
    """Not each copy takes memory, but whatever walks through it takes its time."""
    text = REFUSED["aliases of long texts"][0]().encode()
    tracemalloc.start()
    try:
        assert list(documents.read(text, "a", [])) == []
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()


def test_an_experiment_json_that_is_too_large_is_not_written() -> None:
    """A hundred times as large as what it is made from, by indentation alone."""
    (found,) = documents.read(READ["much that is deep"]().encode(), "a", [])
    spec = ExperimentSpec.model_validate(found.content["spec"])
    tracemalloc.start()
    try:
        with pytest.raises(ExperimentTooLarge, match=r"experiment.json has 8\d,\d{3},\d{3} bytes"):
            experiment_json(spec)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_the_first_fault_of_a_status_is_enough() -> None:
    with pytest.raises(ValidationError) as refused:
        ExperimentStatus.model_validate({"conditions": [{}] * 100_000, "generatedResources": [{}] * 100_000})
    assert refused.value.error_count() < 10


def test_what_is_as_large_as_kubernetes_takes_is_read() -> None:
    """An Experiment whose experiment.json just fits into a ConfigMap."""
    text = with_value(f"[{','.join(['0'] * 61_000)}]")
    (found,) = documents.read(text.encode(), "a", problems := [])
    assert problems == []
    assert len(experiment_json(ExperimentSpec.model_validate(found.content["spec"]))) > 0.95 * MIB
