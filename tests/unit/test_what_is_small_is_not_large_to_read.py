"""A few bytes can stand for gigabytes: whatever is given as a file is answered from little memory, and in words."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pydantic import ValidationError

from experiments import yaml as documents
from experiments.errors import ExperimentTooLarge
from experiments.experiment_json import experiment_json
from experiments.limits import MAX_DOCUMENTS
from experiments.models import ExperimentSpec, ExperimentStatus
from support.amplified import MIB, READ, REFUSED, experiment, with_value

MEMORY = 150 * MIB
# Each command in a process of its own, forked off one that holds nothing but the program: the memory of the one that
# starts another counts as that one's. The limit is far above what is right, and below what the machine has.
MEASURED = """
import json, os, resource, sys, traceback
from experiment_operator.cli import main
from experiment_operator.commands import render
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for line in sys.stdin:
    folder, *arguments = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open("stderr", os.O_WRONLY | os.O_CREAT), 2)
        code = 1  # of an exception
        try:
            code = main(["render", *arguments])
            sys.stdout.flush()
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024]), flush=True)
"""
Rendered: TypeAlias = Callable[..., tuple[int, list[list[str]], int]]


@pytest.fixture(scope="module")
def rendered() -> Iterator[Rendered]:
    """Exit code, standard error by file, and memory of a process that renders them all."""
    command = [sys.executable, "-c", MEASURED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run(folder: Path, contents: Iterable[str], templates: str = "") -> tuple[int, list[list[str]], int]:
            names = []
            for number, content in enumerate(contents):
                names.append(f"{number}.yaml")
                (folder / names[-1]).write_text(content, encoding="utf-8")
            (folder / "templates.yaml").write_text(templates, encoding="utf-8")
            asked = [str(folder), *names, *(("--templates", "templates.yaml") if templates else ())]
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{json.dumps(asked)}\n")
            process.stdin.flush()
            code, memory = json.loads(process.stdout.readline())
            lines = (folder / "stderr").read_text(encoding="utf-8").splitlines()
            assert not [line for line in lines if not line[0].isdigit()]
            return code, [[line for line in lines if line.startswith(name)] for name in names], memory

        yield run


@pytest.fixture(scope="module")
def usual(rendered: Rendered, tmp_path_factory: pytest.TempPathFactory) -> int:
    """What it takes to say that a file holds no Experiment."""
    return rendered(tmp_path_factory.mktemp("usual"), ["{}"])[2]


def test_what_nobody_should_read_is_refused_before_it_is_large(rendered: Rendered, tmp_path: Path, usual: int) -> None:
    code, lines, memory = rendered(tmp_path, (make() for make, _ in REFUSED.values()))
    told = dict(zip(REFUSED, lines, strict=True))
    assert [way for way, (_, words) in REFUSED.items() if not any(words in line for line in told[way])] == []
    assert max(map(len, lines)) <= MAX_DOCUMENTS + 1
    assert memory - usual < MEMORY
    assert code == 2


@pytest.mark.parametrize("way", READ)
def test_what_may_be_read_is_answered(rendered: Rendered, tmp_path: Path, usual: int, way: str) -> None:
    code, (lines,), memory = rendered(tmp_path, [READ[way]()])
    assert code == (2 if lines else 0)
    assert memory - usual < MEMORY


def test_two_files_do_not_multiply(rendered: Rendered, tmp_path: Path, usual: int) -> None:
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
