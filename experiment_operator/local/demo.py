"""The command `demo`: the life of one Experiment on a cluster of its own, told by the kubectl commands that lead it.

Every command is run as it is printed, by the real kubectl against a real API server; the service is a process that
knows nothing of this. Testkube is a simulation, which makes up how the agent does. Each ✓ is something that was asked
of the cluster or of the REST API. The first that does not hold ends the demo.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from experiment_operator.local.stack import (
    AGENT,
    AGENT_URL,
    NAMESPACE,
    SAMPLE,
    TESTKUBE_NAMESPACE,
    Stack,
    StackError,
    running_stack,
)
from experiment_operator.settings import Demo
from experiments.conditions import ExecutionConditionType
from experiments.names import MANAGED_BY, MANAGER, placement
from experiments.options import Options
from kube.objects import Object, ObjectRef
from localcluster.errors import KubectlError
from localcluster.foreground import run
from localcluster.rollouts import rolled_out_at

_NAME = "weather"
_CHILDREN = placement(NAMESPACE, _NAME, Options(testkube_namespace=TESTKUBE_NAMESPACE))
_KINDS = "configmaps,testworkflows,testtriggers"
_SAME, _WORSE = f"{AGENT}:0.2.0", f"{AGENT}:0.3.0"
_TTL_SECONDS = 10
_PHASES = ["run-template", "evaluate-template", "publish-template", "visualize-template"]
_DATASET = {"s3": {"bucket": "datasets", "key": "weather/regression.json"}}
_HISTORY = f"/api/v1/namespaces/{NAMESPACE}/experiments/{_NAME}/reconciliations"
_TIMEOUT_SECONDS = 20
_POLL = 0.1
_MAX_LINES = 16


def demo(_: Demo) -> int:
    """Run the demo. Returns 0 when everything held, 1 when something did not, 130 after Ctrl-C."""
    return run(_demo())


async def _demo() -> None:
    began = time.monotonic()
    async with running_stack() as stack, httpx.AsyncClient(base_url=stack.api_url, trust_env=False) as http:
        _tick(f"API server, Temporal and service are up, after {time.monotonic() - began:.1f} s")
        print(f"  Temporal UI  {stack.cluster.temporal_ui_url}\n  REST         {stack.api_url}/docs")
        await _DemoSteps(stack, http).run()
        print(f"\nAll of it held, in {time.monotonic() - began:.0f} s. `make dev` runs the same and leaves it running.")


class _DemoSteps:
    """The steps, in order. `_runs` are the reconciliations that there should have been so far: reasons and outcome."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient) -> None:
        self._cluster = stack.cluster
        self._http = http
        self._runs: list[tuple[str, str]] = []

    async def run(self) -> None:
        await self._apply()
        await self._look_at_the_children()
        await self._edit_a_child()
        await self._roll_out_the_agent()
        await self._roll_out_a_worse_one()
        await self._gate_a_pipeline()
        await self._disable_the_trigger()
        await self._plan_a_dataset()
        await self._switch_to_a_dataset()
        await self._be_refused()
        await self._delete()
        await self._show_the_history()

    async def _apply(self) -> None:
        _title("An Experiment is applied, and becomes Ready")
        await self._kubectl("apply", "-n", NAMESPACE, "-f", _short(SAMPLE))
        await self._is_ready(1, TriggerReady="Applied")
        await self._kubectl("wait", "-n", NAMESPACE, f"exp/{_NAME}", "--for=condition=Ready")
        await self._kubectl("get", "-n", NAMESPACE, "exp")
        await self._ran("generation 1")

    async def _look_at_the_children(self) -> None:
        _title("It has become three objects where Testkube finds them")
        await self._kubectl("get", "-n", TESTKUBE_NAMESPACE, _KINDS, "-l", f"{MANAGED_BY}={MANAGER}")
        everything = [str(ref) for ref in _CHILDREN.children]
        await holds("ConfigMap, TestWorkflow and TestTrigger exist, nothing else", self._children, everything)
        await self._look(_CHILDREN.config_map, r"{.data.experiment\.json}")
        spec = yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))["spec"]
        expected = [spec["llmAsAJudgeModel"], *(scenario["name"] for scenario in spec["scenarios"])]
        await holds("experiment.json names the judge and each scenario", self._experiment_json, expected)

    async def _be_refused(self) -> None:
        _title("An Agent that does not exist is refused at the door")
        patch = ("patch", "-n", NAMESPACE, "exp", _NAME, "--type=merge", "-p")

        async def is_asked() -> bool:
            # Until the API server has heard of the webhook it would let the patch below pass. Of a missing Agent a dry
            # run is only warned, so it is told by a date that never comes.
            never = json.dumps({"spec": {"schedule": {"cron": "0 0 30 2 *"}}})
            return "names no date that exists" in await self._error_of(*patch, never, "--dry-run=server")

        await holds("the webhook is in the API server's way", is_asked, True)
        misspelt = json.dumps({"spec": {"agentRef": {"name": "wether-agent"}}})
        _command("kubectl", *patch, misspelt)
        print(f"  {await self._error_of(*patch, misspelt)}")

    async def _edit_a_child(self) -> None:
        _title("Somebody edits a child by hand, and it is put right")
        before = await self._workflow()
        patch = {"spec": {"use": [{"name": "something-else"}]}}
        await self._patch(TESTKUBE_NAMESPACE, "testworkflow", _CHILDREN.test_workflow.name, patch)
        await holds("the TestWorkflow is as it was before", self._workflow, before)
        await self._look(_CHILDREN.test_workflow, "{.spec.use[*].name}")
        await self._ran("TestWorkflow edited by kubectl-patch")

    async def _roll_out_the_agent(self) -> None:
        _title("The agent is rolled out anew, and evaluated once it is there (Testkube and scores are simulated)")
        await self._roll_out(_SAME)
        await self._evaluated(1, "Trigger", "Passed")
        await self._kubectl("get", "-n", NAMESPACE, "exp")
        await self._operator("executions", "-n", NAMESPACE, _NAME)

    async def _roll_out_a_worse_one(self) -> None:
        _title("A rollout that answers worse fails, and the scores say where")
        # Until then the trigger takes the end of the rollout before for the one it waits for: it looks at the age.
        await holds("the rollout before is history", self._is_history, True)
        await self._roll_out(_WORSE)
        await self._evaluated(2, "Trigger", "Failed")
        await self._kubectl("get", "-n", NAMESPACE, "exp")
        compared = await self._operator("scores", "-n", NAMESPACE, _NAME, "--base", "1")
        if "→ failed" not in compared:
            raise StackError(f"the scores do not say what got worse:\n{compared}")

    async def _gate_a_pipeline(self) -> None:
        _title("A pipeline runs an evaluation, waits for it, and is held up by its verdict")
        await self._operator("run", "-n", NAMESPACE, _NAME, "--wait", "--timeout", "30s", code=1)
        _tick("it ended with exit code 1")
        await self._evaluated(3, "Service", "Failed")

    async def _disable_the_trigger(self) -> None:
        _title("The trigger is disabled, and goes")
        await self._patch(NAMESPACE, "exp", _NAME, {"spec": {"trigger": {"enabled": False}}})
        expected = [str(_CHILDREN.config_map), str(_CHILDREN.test_workflow)]
        await holds("the TestTrigger is gone, the other two are not", self._children, expected)
        await self._is_ready(2)
        await self._ran("generation 2")

    async def _plan_a_dataset(self) -> None:
        _title("What would happen if the scenarios moved to a dataset?")
        experiment = await self._get("-n", NAMESPACE, "exp", _NAME)
        spec = {key: value for key, value in experiment["spec"].items() if key != "scenarios"} | {"dataset": _DATASET}
        planned = {key: experiment[key] for key in ("apiVersion", "kind")}
        planned |= {"metadata": {"name": _NAME, "namespace": NAMESPACE}, "spec": spec}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", prefix="dataset-") as file:
            yaml.safe_dump(planned, file)
            file.flush()
            printed = await self._operator("plan", "-f", file.name)
        if "would be reconciled: generation 3" not in printed:
            raise StackError(f"the plan does not say what would happen:\n{printed}")
        _tick("nothing was written")

    async def _switch_to_a_dataset(self) -> None:
        _title("The scenarios move to a dataset")
        await self._patch(NAMESPACE, "exp", _NAME, {"spec": {"scenarios": None, "dataset": _DATASET}})
        await holds("a setup phase comes first", self._phases, ["setup-template", *_PHASES])
        await self._look(_CHILDREN.test_workflow, "{.spec.use[0].config}")
        await holds("it is told which dataset to fetch", self._setup_parameters, _DATASET["s3"])
        await self._is_ready(3)
        await self._ran("generation 3")

    async def _delete(self) -> None:
        _title("The Experiment is deleted, and leaves nothing behind")
        await self._kubectl("delete", "-n", NAMESPACE, "exp", _NAME, f"--timeout={_TIMEOUT_SECONDS}s")
        await self._kubectl("get", "-A", _KINDS, "-l", f"{MANAGED_BY}={MANAGER}")
        await holds("no child is left in any namespace", self._children, [])
        await self._ran("deleted", outcome="CleanedUp")

    async def _show_the_history(self) -> None:
        _title("What was done and why, from Temporal")
        await self._operator("history", "-n", NAMESPACE, _NAME)
        print(f"  The same by REST: {self._http.base_url.join(_HISTORY)}")
        _tick(f"{len(self._runs)} changes, {len(self._runs)} runs: none was missed, and the service never woke itself")

    async def _kubectl(self, *args: str) -> None:
        """Run what it prints, and print the answer."""
        _command("kubectl", *args)
        lines = (await self._cluster.kubectl(*args)).rstrip().splitlines() or ["(nothing)"]
        if len(lines) > _MAX_LINES:
            lines[_MAX_LINES - 1 :] = [f"… and {len(lines) - _MAX_LINES + 1} lines more"]
        print("\n".join(f"  {line}".rstrip() for line in lines))

    async def _error_of(self, *args: str) -> str:
        """Run kubectl, and return what it says when it does not work; empty when it does."""
        try:
            await self._cluster.kubectl(*args)
        except KubectlError as error:
            return str(error).removeprefix(f"kubectl {' '.join(args)}: ")
        return ""

    async def _operator(self, *args: str, code: int = 0) -> str:
        """Run this very command, print it and its answer, and return the answer. It has to end with this exit code."""
        _command("experiment-operator", *args, "--server", str(self._http.base_url))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "experiment_operator", *args),
            env={**os.environ, **self._cluster.env(), "EXPERIMENT_OPERATOR_SERVER": str(self._http.base_url)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        answer = (await process.communicate())[0].decode()
        print("\n".join(f"  {line}" for line in answer.rstrip().splitlines()))
        if process.returncode != code:
            raise StackError(f"experiment-operator {args[0]} ended with {process.returncode}")
        return answer

    async def _look(self, child: ObjectRef, path: str) -> None:
        kind = child.resource.kind.lower()
        await self._kubectl("get", "-n", child.namespace, kind, child.name, "-o", f"jsonpath={path}")

    async def _patch(self, namespace: str, kind: str, name: str, patch: Object) -> None:
        await self._kubectl("patch", "-n", namespace, kind, name, "--type=merge", "-p", json.dumps(patch))

    async def _is_ready(self, generation: int, **more: str) -> None:
        """Check that the status speaks of this generation, knows the agent's URL, and that all is as it should be."""
        reasons = {"AgentResolved": "AgentReady", "WorkflowReady": "Applied", **more, "Ready": "Reconciled"}
        expected: dict[str, Any] = {"observedGeneration": generation, "agentUrl": AGENT_URL}
        expected |= {kind: f"True {reason}" for kind, reason in reasons.items()}
        await holds(f"the status of generation {generation} says {', '.join(reasons)}", self._status, expected)

    async def _roll_out(self, image: str) -> None:
        """Roll the agent out, and return when the rollout is over."""
        await self._kubectl("set", "image", "-n", NAMESPACE, f"deployment/{AGENT}", f"{AGENT}={image}")
        limit = f"--timeout={_TIMEOUT_SECONDS}s"
        await self._kubectl("rollout", "status", "-n", NAMESPACE, f"deployment/{AGENT}", limit)

    async def _is_history(self) -> bool:
        deployment = await self._get("-n", NAMESPACE, "deployment", AGENT)
        return (datetime.now(UTC) - rolled_out_at(deployment)).total_seconds() > _TTL_SECONDS + 1

    async def _evaluated(self, number: int, started_by: str, verdict: str) -> None:
        """Check that the execution of this number was the last, that it has ended, and who started it."""

        async def last() -> tuple[int, str, str]:
            status = (await self._get("-n", NAMESPACE, "exp", _NAME)).get("status", {})
            found = status.get("lastExecution", {})
            return found.get("executionNumber", 0), found.get("startedBy", ""), found.get("verdict", "")

        by = {"Trigger": "by the trigger", "Service": "by request"}[started_by]
        await holds(f"execution {number}, started {by}: {verdict}", last, (number, started_by, verdict))

    async def _ran(self, reason: str, *, outcome: str = "Reconciled") -> None:
        """Check that there was one more run, for this reason, and that it has ended."""
        self._runs.append((reason, outcome))

        async def runs() -> list[tuple[str, str]]:
            return [(", ".join(item["reasons"]), item["outcome"]) for item in reversed(await self._history())]

        await holds(f"one run in Temporal did it, and says why: {reason}", runs, self._runs)

    async def _history(self) -> list[dict[str, Any]]:
        """Read the runs, newest first; empty as long as the service cannot answer."""
        try:
            response = await self._http.get(_HISTORY)
        except httpx.TransportError:
            return []
        return list(response.json().get("items", ()))

    async def _get(self, *args: str) -> Any:
        return json.loads(await self._cluster.kubectl("get", *args, "-o", "json"))

    async def _status(self) -> dict[str, Any]:
        status = (await self._get("-n", NAMESPACE, "exp", _NAME)).get("status", {})
        conditions = [each for each in status.get("conditions", ()) if each["type"] not in set(ExecutionConditionType)]
        said = {each["type"]: f"{each['status']} {each['reason']}" for each in conditions}
        return {key: status.get(key) for key in ("observedGeneration", "agentUrl")} | said

    async def _children(self) -> list[str]:
        found = await self._get("-A", _KINDS, "-l", f"{MANAGED_BY}={MANAGER}")
        return [f"{o['kind']} {o['metadata']['namespace']}/{o['metadata']['name']}" for o in found["items"]]

    async def _workflow(self) -> Any:
        return (await self._get("-n", TESTKUBE_NAMESPACE, "testworkflow", _CHILDREN.test_workflow.name))["spec"]

    async def _phases(self) -> list[str]:
        return [step["name"] for step in (await self._workflow())["use"]]

    async def _setup_parameters(self) -> Any:
        return (await self._workflow())["use"][0].get("config")

    async def _experiment_json(self) -> list[str]:
        config_map = await self._get("-n", TESTKUBE_NAMESPACE, "configmap", _CHILDREN.config_map.name)
        content = json.loads(config_map["data"]["experiment.json"])
        return [content["llm_as_a_judge_model"], *(scenario["name"] for scenario in content["scenarios"])]


async def holds(what: str, ask: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Ask until the answer is `expected`. Raises StackError with both when it stays another one."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while (found := await ask()) != expected:
        if time.monotonic() > deadline:
            raise StackError(f"this does not hold: {what}\n  expected: {expected}\n  found:    {found}")
        await asyncio.sleep(_POLL)
    _tick(what)


def _short(path: Path) -> str:
    """Write a path as a person would type it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _title(text: str) -> None:
    print(f"\n{_painted('1', text)}")


def _command(*words: str) -> None:
    print(_painted("36", f"$ {shlex.join(words)}"))


def _tick(text: str) -> None:
    print(f"{_painted('32', '✓')} {text}")


def _painted(colour: str, text: str) -> str:
    return f"\033[{colour}m{text}\033[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text
