"""Watcher and worker in one process, of a version that is not the current one, begin runs and leave them to others."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from support.processes import Start
from support.world import World


async def test_a_version_that_is_only_tried_out_takes_no_runs(
    world: World, temporal: Client, start_process: Start, task_queue: str
) -> None:
    for role, version in (("worker", "old"), ("all", "new")):
        versioned = {"TEMPORAL_DEPLOYMENT_NAME": task_queue, "TEMPORAL_WORKER_BUILD_ID": version}
        await (await start_process(role, **versioned)).says("worker is ready")
    await world.until(lambda: _make_current(temporal, task_queue, "old"))
    await world.create()
    await world.reported()
    [run] = await world.closed_runs(1)
    history = await temporal.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
    done = [event.workflow_task_completed_event_attributes for event in history.events]
    assert {task.deployment_version.build_id for task in done if task.scheduled_event_id} == {"old"}


async def _make_current(temporal: Client, deployment: str, version: str) -> bool:
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=temporal.namespace, deployment_name=deployment, build_id=version
    )
    try:
        await temporal.workflow_service.set_worker_deployment_current_version(request)
    except RPCError:  # the server has not heard of this worker yet
        return False
    return True
