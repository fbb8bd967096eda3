"""Workers with versions: a run stays with the one that it began on, and moves to the current one when it has waited."""

from __future__ import annotations

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import WorkflowContinuedAsNewError
from temporalio.common import WorkerDeploymentVersion
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Replayer

from experiments.plan import Step
from support.polling import until
from support.temporal_server import AT_ONCE, start_dev_server
from worker.workflow import ReconcileExperiment

MISSING = ("TemplateMissing", "There is no TestWorkflowTemplate run-template.")
DEPLOYMENT = "experiment-operator"
OLD, NEW = WorkerDeploymentVersion(DEPLOYMENT, "old"), WorkerDeploymentVersion(DEPLOYMENT, "new")
NO_VERSION = WorkerDeploymentVersion(DEPLOYMENT, "")


@pytest.fixture(scope="module")
async def env():
    """The server that skips time knows no versions."""
    async with await start_dev_server(*AT_ONCE) as running:
        yield running


@pytest.fixture
def experiment(env, stand_ins):
    """Without a worker."""
    return stand_ins.experiment(env.client)


@pytest.fixture
def make_current(env):
    """`await make_current(version)`: new runs go there. It has to have a worker."""

    async def update(version):
        async def accepted():
            request = SetWorkerDeploymentCurrentVersionRequest(
                namespace=env.client.namespace, deployment_name=version.deployment_name, build_id=version.build_id
            )
            try:
                return await env.client.workflow_service.set_worker_deployment_current_version(request)
            except RPCError:  # the server has not heard of this worker yet
                return None

        await until(accepted)

    return update


@pytest.fixture
def versions(env):
    """`await versions(handle, run_id)`: the build IDs of the workers that have carried out a run."""

    async def read(handle, run_id):
        history = await env.client.get_workflow_handle(handle.id, run_id=run_id).fetch_history()
        done = [event.workflow_task_completed_event_attributes for event in history.events]
        return {task.deployment_version.build_id for task in done if task.scheduled_event_id}

    return read


async def test_a_waiting_run_moves_when_its_pause_ends(env, stand_ins, experiment, make_current, versions):
    experiment.finds(problem=MISSING)
    async with stand_ins.worker(env.client, OLD):
        await make_current(OLD)
        handle = await experiment.start("generation 1")
        await experiment.waiting(handle)
        async with stand_ins.worker(env.client, NEW):
            await make_current(NEW)
            with pytest.raises(WorkflowContinuedAsNewError) as continued:
                await handle.result(follow_runs=False)
            experiment.finds()
            assert (await handle.result()).reasons == ["generation 1"]
    assert await versions(handle, handle.result_run_id) == {"old"}
    assert await versions(handle, continued.value.new_execution_run_id) == {"new"}
    replayer = Replayer(workflows=[ReconcileExperiment], data_converter=pydantic_data_converter)
    first = env.client.get_workflow_handle(handle.id, run_id=handle.result_run_id)
    await replayer.replay_workflow(await first.fetch_history())


async def test_a_run_that_works_ends_where_it_began(env, stand_ins, experiment, make_current, versions):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    async with stand_ins.worker(env.client, OLD), stand_ins.worker(env.client, NEW):
        await make_current(OLD)
        async with experiment.stopped_at(Step.APPLY_CONFIG_MAP) as reached:
            handle = await experiment.start("generation 1")
            await reached()
            await make_current(NEW)
        await handle.result(follow_runs=False)
        assert await versions(handle, handle.result_run_id) == {"old"}
        following = await experiment.start("generation 2")
        await following.result()
        assert await versions(following, following.result_run_id) == {"new"}


async def test_a_run_from_before_there_were_versions_goes_on(env, stand_ins, experiment, make_current, versions):
    experiment.finds(problem=MISSING)
    async with stand_ins.worker(env.client, OLD), stand_ins.worker(env.client):
        await make_current(NO_VERSION)
        handle = await experiment.start("generation 1")
        await experiment.waiting(handle)
    async with stand_ins.worker(env.client, NEW):
        await make_current(NEW)
        experiment.finds()
        await experiment.start("TestWorkflowTemplate created")
        assert (await handle.result()).reasons == ["generation 1", "TestWorkflowTemplate created"]
    assert "new" in await versions(handle, None)
