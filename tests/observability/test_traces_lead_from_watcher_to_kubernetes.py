"""With an OTLP receiver, one trace leads from the watcher through Temporal to Kubernetes; without, there is none."""

from __future__ import annotations

import base64
import subprocess
import sys

from support.polling import until
from support.world import World

_START = "dispatch > StartWorkflow:ReconcileExperiment"
_EXPECTED = {
    f"{_START} > RunWorkflow:ReconcileExperiment",
    f"{_START} > StartActivity:take_snapshot > RunActivity:take_snapshot",
    f"{_START} > StartActivity:carry_out > RunActivity:carry_out > create testworkflows",
    f"{_START} > StartActivity:carry_out > RunActivity:carry_out > patch experiments/status",
    f"{_START} > CompleteWorkflow:ReconcileExperiment",
}


def _way_to(span, spans):
    """The names of the spans above this one and its own, the outermost first."""
    above = spans.get(span.get("parentSpanId"))
    return f"{_way_to(above, spans)} > {span['name']}" if above else span["name"]


async def test_a_trace_leads_from_the_judgement_to_every_call(world: World, service, receiver):
    await world.create()
    await world.reported()
    await world.closed_runs(1)
    received, mine = receiver[1], f"Experiment {world.namespace}/demo"
    asked = next(line for line in service.events if line.get("experiment") == mine and "run_id" in line)
    trace_id = base64.b64encode(bytes.fromhex(asked["trace_id"])).decode()

    def ways():
        spans = {span["spanId"]: span for span in received if span["traceId"] == trace_id}
        return {_way_to(span, spans) for span in spans.values()}

    await until(lambda: ways() >= _EXPECTED)


async def test_other_traces_begin_with_a_request_to_the_api(service, api, receiver):
    await service.http.get(f"{api}/api/v1/experiments")
    await until(lambda: "GET /api/v1/experiments" in {span["name"] for span in receiver[1]})
    begins = {span["name"] for span in receiver[1] if "parentSpanId" not in span}
    # Lists for caches and renewals of a Lease would be most of all.
    assert not [name for name in begins if name.startswith(("get ", "list ", "create ", "patch "))]


def test_without_a_receiver_nothing_of_opentelemetry_is_loaded():
    code = """
import sys
import experiment_operator.process, watcher.main, worker.main
sys.exit(any("opentelemetry" in name for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
