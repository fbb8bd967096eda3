"""Logs are one line an event, JSON where nobody watches, say what they are about, and keep secrets."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from structlog.contextvars import get_contextvars
from temporalio import activity

from experiments.contract import TAKE_SNAPSHOT, SnapshotRequest, SnapshotResult, Target, Urgency, WakeSignal
from support.world import World
from temporal.client import starter
from worker.main import temporal_worker

_JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl"
_SECRETS = [
    f"Authorization: Bearer {_JWT}",
    "headers={'Authorization': 'Bearer 0123456789abcdef0123'}",
    f"the token {_JWT} was refused",
    "cannot reach https://admin:hunter2@proxy.example.com:3128",
    "client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVk=",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
]


def _logged(code: str, level: str = "info", style: str = "json", levels: str = "{}") -> list[str]:
    """The lines that `code` logs, in a process of its own: what is configured holds for a whole process."""
    script = f"""
import logging
import structlog
from experiment_operator.logs import configure
configure({level!r}, {style!r}, {levels})
log = structlog.get_logger("kube.client")
{code}
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    return run.stderr.splitlines()


async def test_every_line_of_the_service_is_json_and_dated(world: World, service):
    await world.create()
    await world.reported()
    for line in service.events:
        assert {"event", "level", "logger", "timestamp"} <= line.keys()
    assert {line["logger"].partition(".")[0] for line in service.events} >= {"kube", "temporal", "watcher"}


async def test_a_run_that_was_asked_for_is_named_with_experiment_and_run_id(world: World, service):
    await world.create()
    await world.reported()
    [run] = await world.closed_runs(1)
    asked = [line for line in service.events if line.get("experiment") == f"Experiment {world.namespace}/demo"]
    assert (asked[0]["run_id"], asked[0]["reasons"]) == (run.run_id, ["generation 1"])


async def test_every_line_of_a_step_bears_experiment_and_run_id(temporal):
    bound = []

    @activity.defn(name=TAKE_SNAPSHOT)
    async def take_snapshot(_: SnapshotRequest) -> SnapshotResult:
        bound.append(get_contextvars())
        return SnapshotResult(exists=False)

    target = Target("tests", "weather", "1234")
    async with temporal_worker(temporal, [take_snapshot], task_queue="logs", sandbox=True):
        run_id = await starter(temporal, "logs")(target, WakeSignal(["generation 1"]), Urgency.CHANGED)
        await temporal.get_workflow_handle(target.workflow_id).result()
    assert bound == [{"experiment": "Experiment tests/weather", "run_id": run_id}]
    assert get_contextvars() == {}


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("text", _SECRETS)
def test_secrets_are_hidden_wherever_they_are_quoted(text, style):
    code = f"""
text = {text!r}
log.info(text)
log.info("a value", error=text)
logging.getLogger("some.library").warning(text)
try:
    raise ValueError(text)
except ValueError:
    log.exception("failed")
"""
    said = "\n".join(_logged(code, style=style))
    assert said.count("[hidden]") == 4
    for part in (_JWT, "0123456789abcdef0123", "hunter2", "LS0tLS1", "MIIEpAIB"):
        assert part not in said


def test_what_is_no_secret_stays():
    text = "apply ConfigMap a/b: field token: Required value; see https://a.example.com:8080/x@y, Bearer tokens needed"
    assert json.loads(_logged(f"log.info({text!r})")[0])["event"] == text


def test_log_levels_can_be_set_by_module():
    code = """
log.debug("one")
structlog.get_logger("watcher.queue").info("two")
structlog.get_logger("watcher").info("three")
logging.getLogger("kube.other").debug("four")
structlog.get_logger("api").debug("five")
"""
    lines = _logged(code, levels="{'kube': 'debug', 'watcher.queue': 'warning'}")
    assert [json.loads(line)["event"] for line in lines] == ["one", "three", "four"]


def test_a_person_reads_text_and_an_exception_is_one_line_of_json():
    code = """
try:
    raise ValueError("the defect")
except ValueError:
    log.exception("failed", object="ConfigMap a/b")
"""
    [line] = _logged(code)
    assert "ValueError: the defect" in json.loads(line)["exception"]
    told = _logged(code, style="console")
    assert "failed" in told[0]
    assert "{" not in told[0]
    assert any("ValueError: the defect" in each for each in told)
