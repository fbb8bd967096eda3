"""`why`, `history` and `plan` tell on a terminal what the api knows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
import yaml


async def test_history_says_what_was_done_and_why(type_, weather, namespace):
    answer = await type_("history", weather)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0].split() == ["STARTED", "WHY", "OUTCOME", "TOOK"]
    assert "generation 1" in answer.out
    assert f"    created ConfigMap testkube/weather-experiment.{namespace}" in answer.out
    assert "\033" not in answer.out


async def test_a_wide_history_names_the_runs_as_well(type_, weather):
    newest = json.loads((await type_("history", weather, "--limit=1", "-o", "json")).out)["items"][0]
    head, run, *_ = (await type_("history", weather, "--limit=1", "-o", "wide")).out.splitlines()
    assert head.split() == ["STARTED", "WHY", "OUTCOME", "TOOK", "STATUS", "ENDED", "RUN"]
    assert run.split()[-1] == newest["runId"]
    assert f" {newest['status']} " in run


@pytest.mark.parametrize(("style", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
async def test_programs_get_the_apis_own_answer(type_, weather, style, load):
    answer = load((await type_("history", weather, "-o", style)).out)
    assert answer["items"][-1]["reasons"] == ["generation 1"]


async def test_why_tells_state_past_and_future(type_, weather):
    answer = await type_("why", weather)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].endswith("/weather is Ready")
    assert any("✗ AgentResolved" in line or "✓ AgentResolved" in line for line in lines)
    assert any(line.endswith("nothing would change") for line in lines)


async def test_plan_shows_each_field_that_would_change(type_, weather, cluster, namespace):
    obj = json.loads(await cluster.kubectl("get", "-n", namespace, "exp", weather, "-o", "json"))
    obj = {key: obj[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": weather}}
    obj["spec"]["otlpEndpoint"] = "http://tempo:4318"
    answer = await type_("plan", "-f", "-", stdin=yaml.safe_dump(obj))
    assert answer.code == 0, answer.err
    assert f"Experiment {namespace}/weather  would be reconciled: generation 2" in answer.out
    assert f"  ~ change TestWorkflow testkube/weather-workflow.{namespace}" in answer.out
    assert 'config.otelExporterOtlpEndpoint: null → "http://tempo:4318"' in answer.out


async def test_a_plan_as_markdown_goes_into_a_comment(type_, weather, cluster, namespace):
    """What others have written can neither end the code that it stands in nor call anybody."""
    obj = json.loads(await cluster.kubectl("get", "-n", namespace, "exp", weather, "-o", "json"))
    obj = {key: obj[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": weather}}
    obj["spec"]["scenarios"][0]["steps"][0]["input"] = "```\n@team, `look`"
    obj["spec"]["agentRef"]["name"] = "no-such-agent"
    answer = await type_("plan", "--markdown", "-f", "-", stdin=yaml.safe_dump(obj))
    assert answer.code == 1, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == f"**Experiment `{namespace}/{weather}`**: `would be reconciled: generation 2`"
    assert f"- **refusal** `spec.agentRef: Agent {namespace}/no-such-agent does not exist.`" in lines
    fence = lines.index("  ````diff")
    assert lines[fence - 1].startswith("- change ConfigMap ")
    assert lines[fence + 1] == "  @@ data[experiment.json] @@"
    assert any("@team" in line for line in lines[fence : lines.index("  ````", fence)])


async def test_a_plan_that_would_not_work_ends_with_1(type_, namespace):
    spec = {"agentRef": {"name": "nobody"}, "scenarios": [{"name": "a", "steps": [{"input": "b"}]}]}
    obj = {
        "apiVersion": "testbench.agentic-layer.ai/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "a"},
        "spec": spec,
    }
    answer = await type_("plan", "-f", "-", stdin=json.dumps(obj))
    assert answer.code == 1
    assert f"  refused  spec.agentRef: Agent {namespace}/nobody does not exist." in answer.out.splitlines()


@pytest.mark.parametrize(
    ("stdin", "said"), [("", "no Experiment"), ("{", "-, document 1, line"), ("kind: Pod", "apiVersion: must be")]
)
async def test_a_file_without_an_experiment_is_told_so(type_, stdin, said):
    answer = await type_("plan", "-f", "-", stdin=stdin)
    assert answer.code in {1, 2}
    assert said in answer.err
    assert "Traceback" not in answer.err


async def test_an_experiment_that_does_not_exist_is_told_so(type_, namespace):
    answer = await type_("why", "nobody")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"experiment-operator: There is no Experiment {namespace}/nobody.\n"


async def test_history_follows_until_it_is_ended(weather, cluster, namespace, environ):
    followed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "experiment_operator", "history", weather, "--follow", "-o", "json"),
        env={**environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
    )
    try:
        first = await _document(followed.stdout)
        assert first["reasons"] == ["generation 1"]
        await cluster.kubectl("delete", "-n", "testkube", "testtrigger", f"weather-trigger.{namespace}")
        async with asyncio.timeout(60):
            while "TestTrigger deleted" not in (await _document(followed.stdout))["reasons"]:
                pass
    finally:
        followed.terminate()
        await followed.wait()


async def _document(lines: asyncio.StreamReader) -> dict:
    text = ""
    async with asyncio.timeout(60):
        while not text.endswith("\n}\n"):
            text += (await lines.readline()).decode()
    return json.loads(text)
