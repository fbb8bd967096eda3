"""Whatever is sent to an open run, from Temporal's UI, its CLI or a program, is taken as a wake-up or dropped."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from localcluster.tools import tool
from support.temporal_server import CONTINUES_EARLY, start_dev_server

MISSING = ("TemplateMissing", "There is no TestWorkflowTemplate run-template.")
SENT = {
    "nothing": [],
    "null": [None],
    "two numbers": [1, 2],
    "two good ones": [{"reasons": ["one"]}, {"reasons": ["two"]}],
    "a hundred": list(range(100)),
    "text": ["please"],
    "a list": [["please"]],
    "wrong types": [{"reasons": 7, "seen": []}],
    "no JSON": [RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{"))],
    "an encoding of another service": [RawValue(Payload(metadata={"encoding": b"binary/other"}, data=b"x"))],
    "no encoding": [RawValue(Payload(data=b"x"))],
    "bytes": [b"x"],
    "a version that is none": [{"reasons": ["seen"], "seen": {"Agent default/weather": "latest"}}],
    "an object that is none": [{"reasons": ["seen"], "seen": {"ConfigMap ../..": "1"}}],
    "far too many reasons": [{"reasons": [f"reason {number}" for number in range(50_000)]}],
    "far too long a reason": [{"reasons": ["x" * 1_000_000]}],
    "far too many versions": [{"reasons": ["seen"], "seen": {f"Agent default/a-{n}": "1" for n in range(30_000)}}],
}


@pytest.fixture(scope="module")
async def env():
    """The server that skips time lets some of them pass that a real one does not."""
    async with await start_dev_server(*CONTINUES_EARLY) as running:
        yield running


@pytest.fixture
async def waiting_run(experiment):
    experiment.finds(problem=MISSING)
    handle = await experiment.start("generation 1")
    await experiment.waiting(handle)
    return handle


@pytest.mark.parametrize("what", SENT)
async def test_a_signal_that_cannot_be_read_stalls_no_run(experiment, waiting_run, what):
    await waiting_run.signal("wake", args=SENT[what])
    await waiting_run.query("__temporal_workflow_metadata")  # answered once the run has taken the signal in
    experiment.finds()
    await experiment.start("TestWorkflowTemplate created")
    result = await waiting_run.result()
    assert result.outcome == "Reconciled"
    assert result.reasons[0] == "generation 1"
    assert set(result.reasons[1:2]) <= {"TestWorkflowTemplate created", "woken by hand", "reason 0", "seen", "x" * 300}


async def test_also_where_temporals_cli_sends_it(env, experiment, waiting_run):
    address = env.client.service_client.config.target_host
    command = [tool("temporal"), "workflow", "signal", "--address", address, "-w", waiting_run.id, "--name", "wake"]
    for arguments in (["--input", "1", "--input", "2"], []):
        sending = await asyncio.create_subprocess_exec(*command, *arguments)
        assert await sending.wait() == 0
    experiment.finds()
    assert "woken by hand" in (await waiting_run.result()).reasons


async def test_of_what_was_seen_objects_with_versions_are_kept(experiment, waiting_run):
    """The watcher itself sends some that are none, like any gateway at all (`AiGateway /`)."""
    seen = {"ConfigMap ../..": "1", "AiGateway /": "", "Agent default/weather": "latest", "Agent default/rain": "17"}
    experiment.finds()
    await experiment.start("Agent changed", seen=seen)
    assert (await waiting_run.result()).reasons == ["generation 1", "Agent changed"]
    assert experiment.requests("take_snapshot")[-1].seen == {"Agent default/rain": "17"}
