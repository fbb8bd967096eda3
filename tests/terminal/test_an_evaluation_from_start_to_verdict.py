"""The commands about evaluations at the real service, beside a simulated Testkube: what they start, see and judge."""

from __future__ import annotations

import asyncio
import json
from xml.etree import ElementTree as ET

import pytest
import yaml

from localcluster.rollouts import Rollouts
from support.background import running
from support.clusters import SAMPLES

AGENT = "weather-agent"
GOOD, WORSE = f"{AGENT}:0.2.0", f"{AGENT}:0.3.0"


@pytest.fixture(scope="session")
async def roll_out(cluster, kube, namespace):
    """`await roll_out(image)`: the agent's Deployment, which nothing but the test rolls out."""
    await cluster.kubectl("create", "deployment", AGENT, "-n", namespace, f"--image={AGENT}:0")

    async def to(image):
        await cluster.kubectl("set", "image", "-n", namespace, f"deployment/{AGENT}", f"{AGENT}={image}")
        await cluster.kubectl("rollout", "status", "-n", namespace, f"deployment/{AGENT}", "--timeout=60s")

    async with running(Rollouts(kube, 0.1).run()):
        yield to


@pytest.fixture
async def asked(cluster, namespace, server, request):  # noqa: ARG001
    """The name of an Experiment that is Ready, and which nobody but the test starts."""
    content = yaml.safe_load((SAMPLES / "experiment-scenarios.yaml").read_text())
    name = content["metadata"]["name"] = request.node.name.partition("[")[0].replace("_", "-")[:40].strip("-")
    del content["spec"]["trigger"]
    await cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(content))
    await cluster.kubectl("wait", "-n", namespace, f"exp/{name}", "--for=condition=Ready", "--timeout=60s")
    return name


async def test_a_pipeline_goes_on_where_the_agent_has_passed(type_, asked, roll_out, tmp_path):
    await roll_out(GOOD)
    junit = tmp_path / "junit.xml"
    answer = await type_("run", asked, "--wait", "--junit", str(junit), "--reason", "build 7", "--tag", "commit=1a2b")
    assert (answer.code, answer.err) == (0, "")
    assert "  run         passed" in answer.out
    assert "started by Service: Passed 6/6" in answer.out
    root = ET.parse(junit).getroot()
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["6", "0", "0"]
    shown = json.loads((await type_("scores", asked, "-o", "json")).out)
    assert (shown["reason"], shown["tags"], shown["verdict"]) == ("build 7", {"commit": "1a2b"}, "Passed")


async def test_what_got_worse_is_shown(type_, asked, roll_out):
    await roll_out(GOOD)
    assert (await type_("run", asked, "--wait")).code == 0
    await roll_out(WORSE)
    answer = await type_("run", asked, "--wait")
    assert answer.code == 1, answer.err
    assert "  ✗ " in answer.out
    compared = await type_("scores", asked, "--base", "1")
    assert compared.code == 0, compared.err
    assert "  ✗ " in compared.out
    assert (await type_("run", asked, "--wait", "--allow-failed=5")).code == 0
    listed = json.loads((await type_("executions", asked, "-o", "json", "--verdict=Failed")).out)
    assert [each["executionNumber"] for each in listed["items"]] == [3, 2]


async def test_an_agent_that_does_not_answer_is_not_judged(type_, asked, roll_out, cluster, namespace):
    await roll_out(GOOD)
    await cluster.kubectl("delete", "-n", namespace, "deployment", AGENT)
    try:
        answer = await type_("run", asked, "--wait")
        assert answer.code == 3
        assert "The agent did not answer" in answer.out
    finally:
        await cluster.kubectl("create", "deployment", AGENT, "-n", namespace, f"--image={AGENT}:0")


async def test_what_is_not_ready_is_refused(type_, asked, cluster, namespace):
    await cluster.kubectl("patch", "-n", namespace, "exp", asked, "--type=merge", "-p", '{"spec": {"suspend": true}}')
    suspended = "--for=jsonpath={.status.conditions[?(@.type=='Ready')].reason}=Suspended"
    await cluster.kubectl("wait", "-n", namespace, f"exp/{asked}", suspended, "--timeout=60s")
    answer = await type_("run", asked, "--wait")
    assert (answer.code, answer.out) == (3, "")
    assert "suspended" in answer.err


async def test_why_tells_the_last_verdict_and_what_runs(type_, asked, roll_out, testkube, monkeypatch):
    assert "  Nobody remembers an evaluation of it." in (await type_("why", asked)).out.splitlines()
    await roll_out(GOOD)
    assert (await type_("run", asked, "--wait")).code == 0
    goes_on = asyncio.Event()
    monkeypatch.setattr(testkube, "_pause", goes_on.wait)
    try:
        assert (await type_("run", asked)).code == 0
        answer = await type_("why", asked)
    finally:
        goes_on.set()
    found = [line.rpartition(": ")[2] for line in answer.out.splitlines() if line.startswith("Execution ")]
    assert found == ["Passed 6/6", "assigned"]
    found = json.loads((await type_("why", asked, "-o", "json")).out)["executions"]
    assert found[0]["executionNumber"] == 2
