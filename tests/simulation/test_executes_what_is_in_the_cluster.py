"""The simulated Testkube executes the TestWorkflows of a real cluster, and tells of it, as a real one does."""

from __future__ import annotations

from kube.objects import DEPLOYMENT, ObjectRef
from localcluster.testkube.cluster import ClusterTestkube
from localcluster.testkube.scores import is_worse
from support.polling import until

GOOD, ALSO_GOOD, WORSE = "weather-agent:0.1.0", "weather-agent:0.2.0", "weather-agent:0.3.0"
ROLLED_OUT = {
    "timeout": 60,
    "delay": 1,
    "conditions": [
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "ttl": 10},
        {"type": "Available", "status": "True"},
    ],
}
QUEUED, STARTED = "queue-testworkflow", "start-testworkflow"


def _results(scores):
    return [
        each["result"]["result"]
        for scenario in scores["scenarios"]
        for step in scenario["steps"]
        for each in step["evaluations"]
    ]


async def test_executes_phase_by_phase_and_tells_of_it(testkube):
    await testkube.deployment(GOOD)
    await testkube.workflow()
    execution = await testkube.execute(tags={"who": "me"})
    told = await testkube.ended(execution)
    assert told["result"]["status"] == "passed"
    assert told["runningContext"] == {"interface": None, "actor": None}
    assert told["tags"] == {"suite": "all", "who": "me"}
    assert told["workflow"]["labels"] == {"team": "sky"}
    steps = told["result"]["steps"]
    assert [(phase["name"], steps[phase["ref"]]["status"]) for phase in told["signature"]] == [
        ("run", "passed"),
        ("evaluate", "passed"),
        ("publish", "passed"),
        ("visualize", "passed"),
    ]
    listed = await testkube.get(f"test-workflow-executions/{execution}/artifacts")
    assert [each["name"] for each in listed] == [
        "data/experiments/evaluated_experiment.json",
        "data/experiments/executed_experiment.json",
        "data/results/evaluation_report.html",
    ]
    assert _results(await testkube.scores(execution)) == ["pass"] * 8
    assert "This is a simulation" in await testkube.get(f"test-workflow-executions/{execution}/logs")
    assert "This is a simulation" in testkube.process.log.read_text()
    expected = [QUEUED, STARTED, "end-testworkflow-success"]
    assert await until(lambda: testkube.reasons(execution), lambda reasons: len(reasons) == 3) == expected


async def test_what_is_worse_misses_metrics_repeatably_and_a_gate_holds_it(testkube):
    assert [is_worse(image) for image in (GOOD, ALSO_GOOD, WORSE)] == [False, False, True]
    await testkube.deployment(WORSE)
    await testkube.workflow({"name": "gate-template", "config": {"maxFailedMetrics": "0"}})
    first, second = await testkube.execute(), await testkube.execute()
    told = await testkube.ended(first)
    assert told["result"]["status"] == "failed"
    assert told["result"]["steps"][told["signature"][-1]["ref"]]["exitCode"] == 1
    await testkube.ended(second)
    scores = await testkube.scores(first)
    assert "fail" in _results(scores)
    assert scores == await testkube.scores(second)
    expected = [QUEUED, STARTED, "end-testworkflow-failed"]
    assert await until(lambda: testkube.reasons(first), lambda reasons: len(reasons) == 3) == expected


async def test_a_trigger_waits_for_the_end_of_the_rollout_and_its_run_meets_the_new_version(testkube):
    await testkube.deployment(GOOD)
    await testkube.workflow()
    await testkube.trigger(conditionSpec=ROLLED_OUT, concurrencyPolicy="replace")
    # Until the first rollout's end is older than the `ttl`, it would be taken for that of the second.
    await testkube.age_rollout()
    await testkube.roll_out(WORSE)
    (begun,) = await until(testkube.executions)
    assert (await testkube.conditions())["Progressing"] == "NewReplicaSetAvailable"
    actor = {"name": "weather-trigger", "type": "testtrigger"}
    assert begun["runningContext"] == {"interface": {"type": "internal"}, "actor": actor}
    await testkube.ended(begun["id"])
    assert "fail" in _results(await testkube.scores(begun["id"]))


async def test_a_trigger_may_replace_what_runs(testkube):
    await testkube.deployment(GOOD)
    await testkube.workflow(file=False)
    waiting = await testkube.execute()
    await testkube.trigger(concurrencyPolicy="replace", event="modified")
    await until(lambda: testkube.get(f"test-workflow-executions/{waiting}"), lambda told: "signature" in told)
    await testkube.roll_out(WORSE, replicas=2)
    aborted = await testkube.ended(waiting)
    assert aborted["result"]["status"] == "aborted"
    reasons = await until(lambda: testkube.reasons(waiting), lambda reasons: len(reasons) == 3)
    assert reasons[-1] == "end-testworkflow-aborted"
    newest, *_ = await testkube.executions()
    assert newest["id"] != waiting


async def test_waits_for_a_missing_file_until_it_is_aborted_of_which_no_event_tells(testkube):
    await testkube.deployment(GOOD)
    await testkube.workflow(file=False)
    execution = await testkube.execute()
    path = f"test-workflow-executions/{execution}"
    waiting = await until(lambda: testkube.get(path), lambda told: told["result"]["status"] == "running")
    assert waiting["result"]["initialization"]["status"] == "running"
    assert await testkube.post(f"{path}/abort") == 204
    told = await testkube.ended(execution)
    assert told["result"]["status"] == "canceled"
    assert {each["status"] for each in told["result"]["steps"].values()} == {"skipped"}
    assert await testkube.get(f"{path}/artifacts") is None
    assert await testkube.reasons(execution) == [QUEUED, STARTED]


async def test_a_missing_template_aborts_it_and_the_first_answer_says_why(testkube):
    await testkube.workflow({"name": "vanished-template"})
    begun = await testkube.post("test-workflows/weather-workflow/executions")
    assert begun["result"]["status"] == "assigned"
    assert 'testkube.io "vanished-template" not found' in begun["result"]["initialization"]["errorMessage"]
    assert (await testkube.ended(begun["id"]))["result"]["status"] == "aborted"


async def test_an_agent_without_pods_does_not_answer_and_all_passes(testkube):
    await testkube.deployment(GOOD)
    await testkube.workflow()
    await testkube.roll_out(GOOD, replicas=0)
    deployment = ObjectRef(DEPLOYMENT, testkube.namespace, "weather-agent")
    observed = (await testkube.kube.get(deployment))["metadata"]["generation"]
    await until(
        lambda: testkube.kube.get(deployment), lambda told: told["status"].get("observedGeneration") == observed
    )
    execution = await testkube.execute()
    assert (await testkube.ended(execution))["result"]["status"] == "passed"
    scores = await testkube.scores(execution)
    answers = [step["turns"][-1]["content"] for scenario in scores["scenarios"] for step in scenario["steps"]]
    assert all(answer.startswith("ERROR: HTTP Error 503") for answer in answers)


async def test_a_schedule_begins_an_execution_of_nobody(testkube, monkeypatch):
    await testkube.deployment(GOOD)
    await testkube.workflow()
    monkeypatch.setattr("localcluster.testkube.triggers.is_due", lambda *_: True)
    async with ClusterTestkube(testkube.kube, testkube.namespace, pace=0.01) as beside:
        (execution, *_) = await until(lambda: beside.executions)
        assert execution["workflow"]["name"] == "weather-workflow"
        assert "runningContext" not in execution
