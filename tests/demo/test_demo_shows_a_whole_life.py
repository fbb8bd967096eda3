"""The demo holds on real parts, and leaves nothing of itself behind."""

from __future__ import annotations

import signal


async def test_every_step_of_the_demo_holds(start):
    async with start("demo") as demo:
        assert await demo.ends() == 0, demo.log
        for shown in (
            "$ kubectl apply -n sample-agents -f ",
            "weather   weather-agent   True    Reconciled",
            "Passed 6/6",
            '"llm_as_a_judge_model": "gemini-2.5-flash-lite"',
            "✓ the TestWorkflow is as it was before",
            "Starting a simulation of Testkube, which makes up how the agent does",
            "✓ execution 1, started by the trigger: Passed",
            "✓ execution 2, started by the trigger: Failed",
            "$ experiment-operator scores -n sample-agents weather --base 1",
            "ToolCallAccuracy: passed 0.91 → failed 0.35",
            "✓ it ended with exit code 1",
            "✓ execution 3, started by request: Failed",
            "✓ the TestTrigger is gone, the other two are not",
            '{"bucket":"datasets","key":"weather/regression.json"}',
            "✓ no child is left in any namespace",
            "✓ 5 changes, 5 runs",
            "Temporal UI  http://127.0.0.1:",
        ):
            assert shown in demo.log
        assert "\033" not in demo.log  # colours are for terminals
        assert not await demo.processes()
        assert not list(demo.directory.iterdir())


async def test_ctrl_c_ends_everything_it_started(start):
    async with start("demo") as demo:
        await demo.has_started("kube-apiserver")
        demo.signal(signal.SIGINT)
        demo.signal(signal.SIGINT)  # an impatient second one does not keep it from cleaning up
        assert await demo.ends() == 130
        assert not await demo.processes()
        assert not list(demo.directory.iterdir())
