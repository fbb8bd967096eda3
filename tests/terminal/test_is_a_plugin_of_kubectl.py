"""`kubectl experiment` is what people with a kubeconfig ask, under the name that they know; TAB works there, too."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from localcluster.tools import tool
from support.processes import Answer
from support.scripted_api import page, row

ROOT = Path(__file__).parents[2]


@pytest.fixture
def programs(tmp_path):
    """A directory with kubectl and what an installation of the service has beside its interpreter."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, entry in scripts.items():
        module, function = entry.split(":")
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
        program.chmod(0o755)
    (tmp_path / "bin" / "kubectl").symlink_to(shutil.which(tool("kubectl")))
    return tmp_path / "bin"


@pytest.fixture
def kubectl(programs, scripted, tmp_path):
    """`await kubectl("experiment", "why", …)` where the plugin is on the PATH, and the api is the scripted one."""
    (tmp_path / "kubeconfig").write_text("{apiVersion: v1, kind: Config}")
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("EXPERIMENT_OPERATOR_")},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "EXPERIMENT_OPERATOR_SERVER": scripted.url,
        "EXPERIMENT_OPERATOR_NAMESPACE": "team",
    }

    async def run(*arguments):
        command = [programs / "kubectl", *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


async def test_its_help_speaks_of_kubectl_and_of_what_asks_the_api(kubectl):
    answer = await kubectl("experiment", "--help")
    assert answer.code == 0
    assert answer.out.startswith("usage: kubectl experiment COMMAND [FLAGS]\n")
    offered = {line.split()[0] for line in answer.out.splitlines() if line.startswith("  ")}
    assert offered >= {"executions", "history", "plan", "run", "scores", "why"}
    assert not offered & {"watcher", "worker", "api", "all", "render", "crd", "doctor", "demo", "dev"}
    assert "experiment-operator" not in answer.out


async def test_its_commands_answer_as_those_of_the_program(kubectl, scripted):
    scripted.pages = [page(row("Passed", (20, 0, 0)))]
    answer = await kubectl("experiment", "executions", "weather", "-o", "wide")
    assert (answer.code, answer.err) == (0, "")
    assert "Passed 20/20" in answer.out


async def test_help_and_mistakes_of_a_command_name_it_as_it_was_typed(kubectl):
    assert (await kubectl("experiment", "why", "--help")).out.startswith("usage: kubectl experiment why ")
    wrong = await kubectl("experiment", "history", "weather", "--limit=0")
    assert wrong.code == 2
    assert wrong.err.startswith("kubectl experiment history: --limit ")
    unknown = await kubectl("experiment", "watcher")
    assert unknown.code == 2
    assert unknown.err.startswith("kubectl experiment: there is no command 'watcher'\n")


async def test_it_tells_its_version(kubectl):
    assert (await kubectl("experiment", "--version")).out == f"kubectl experiment {version('experiment-operator')}\n"


@pytest.fixture
def offered(kubectl):
    """`await offered("experiment", "ru")`: what kubectl offers for the last word on TAB."""

    async def press(*words):
        answer = await kubectl("__complete", *words)
        *found, directive = answer.out.splitlines()
        return [line.partition("\t")[0] for line in found], directive

    return press


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ex"], ["executions"]),
        (["wat"], []),
        (["scores", "--b"], ["--base"]),
        (["executions", "weather", "--verdict", "Fa"], ["Failed"]),
        (["executions", "weather", "--verdict=Fa"], ["--verdict=Failed"]),
        (["history", "-o", ""], ["text", "wide", "json", "yaml"]),
        (["nothing", ""], []),
    ],
    ids=lambda each: " ".join(each) or "-",
)
async def test_kubectl_completes_commands_flags_and_values(offered, words, expected):
    assert await offered("experiment", *words) == (expected, ":4")


@pytest.mark.parametrize("words", [["plan", "--file", ""], ["run", "weather", "--junit", ""]], ids=" ".join)
async def test_a_flag_that_wants_a_file_is_left_to_the_shell(offered, words):
    assert await offered("experiment", *words) == ([], ":0")


async def test_names_are_those_of_the_clusters_experiments(offered, programs):
    """Kubectl itself is asked for them: by the one that is found first on the PATH."""
    asked = programs.parent / "first" / "kubectl"
    asked.parent.mkdir()
    asked.write_text('#!/bin/sh\necho "$@" >>"$0.asked"\necho experiment.testbench.agentic-layer.ai/weather\n')
    asked.chmod(0o755)
    wrapper = programs / "kubectl_complete-experiment"
    wrapper.rename(programs / "real")
    wrapper.write_text(f'#!/bin/sh\nPATH="{asked.parent}:$PATH" exec "{programs}/real" "$@"\n')
    wrapper.chmod(0o755)
    assert await offered("experiment", "why", "wea") == (["weather"], ":4")
    assert await offered("experiment", "why", "-n", "other", "") == (["weather"], ":4")
    first, second = asked.with_name("kubectl.asked").read_text().splitlines()
    assert "--namespace=team" in first
    assert second.split()[-1] == "--namespace=other"
