"""One line for each check, or a document; and an exit code that says whether there is a fault."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
import yaml

from experiment_operator.doctor.report import Verdict
from support.world import World

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


@pytest.fixture
def command(environment):
    async def run(*arguments, **variables):
        environment(**variables)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "experiment_operator", "doctor", *arguments),
            env=os.environ.copy(),
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    return run


async def test_the_doctor_of_a_sound_installation_finds_nothing(command):
    code, out, err = await command()
    *lines, _, summary = out.splitlines()
    assert (code, err, summary) == (0, "", "0 faults, 0 warnings")
    assert all(line.startswith("✓ ") for line in lines)
    assert "✓ Testkube namespace: testkube exists" in lines


async def test_a_warning_is_no_fault(command):
    code, out, _ = await command(WEBHOOK="true")
    assert (code, out.splitlines()[-1]) == (0, "0 faults, 1 warning")
    assert "\n! webhook: " in out


@pytest.mark.parametrize(("style", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
async def test_a_fault_as_a_document(command, style, load):
    code, out, _ = await command("--role", "worker", "-o", style, TEMPORAL_NAMESPACE="nowhere")
    document = load(out)
    assert (code, document["role"], document["faults"], document["warnings"]) == (1, "worker", 1, 0)
    (fault,) = [check for check in document["checks"] if check["verdict"] == "fault"]
    assert fault.keys() == {"name", "verdict", "found", "advice"}
    assert fault["name"] == "Temporal namespace"


async def test_a_line_says_what_to_do(command):
    _, out, _ = await command(TESTKUBE_NAMESPACE="nowhere")
    line = "✗ Testkube namespace: nowhere does not exist → set TESTKUBE_NAMESPACE to where Testkube is installed"
    assert line in out.splitlines()
    assert "- templates: not checked: needs Testkube" in out.splitlines()


async def test_every_check_is_on_the_page(doctor):
    page = PAGE.read_text()
    for name in {each.name for each in await doctor(everything=True)}:
        kind, _, rest = name.partition(" ")
        assert f"`{name}`" in page or f"`{kind} …`" in page or f"{rest.partition('.')[0]}…`" in page, name


async def test_a_doctor_asked_wrongly_ends_with_2(command):
    code, out, err = await command("--role", "gardener")
    assert (code, out) == (2, "")
    assert "gardener" in err or "--role" in err


async def test_nothing_that_depends_on_a_fault_is_guessed(doctor, environment):
    environment(KUBECONFIG="/nowhere", TEMPORAL_ADDRESS="127.0.0.1:1")
    found = await doctor()
    assert [each.name for each in found if each.verdict == Verdict.FAULT] == ["API server", "Temporal"]
    assert all(each.found.startswith("not checked: needs ") for each in found if each.verdict == Verdict.UNCHECKED)


async def test_a_role_is_asked_for_its_own_permissions(doctor):
    said = {role: {each.name for each in await doctor(role, everything=True)} for role in ("watcher", "worker", "api")}
    assert "permission experiments/status.testbench.agentic-layer.ai" in said["worker"] - said["watcher"]
    assert "permission tokenreviews.authentication.k8s.io" in said["api"] - said["worker"]


async def test_templates_beside_each_experiment(world: World, doctor, environment):
    environment(TESTKUBE_NAMESPACE=".")
    assert await doctor() == []
    await world.create()
    missing = [each.name for each in await doctor() if each.found == "does not exist"]
    phases = ("setup", "run", "evaluate", "publish", "visualize")
    assert missing == [f"template {world.namespace}/{phase}-template" for phase in phases]
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace)


async def test_a_server_that_keeps_silent_is_not_waited_for(doctor, environment, monkeypatch):
    monkeypatch.setattr("experiment_operator.doctor.command._CHECK_TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, and that is all
        environment(TEMPORAL_ADDRESS=f"127.0.0.1:{silent.getsockname()[1]}")
        (found,) = [each for each in await doctor() if each.verdict == Verdict.FAULT]
    assert (found.name, found.found) == ("Temporal", "no answer within 0.5 s")
