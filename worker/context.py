"""Gives every log line of a step the Experiment and the run that it belongs to."""

from __future__ import annotations

from typing import Any

from structlog.contextvars import bound_contextvars
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from experiments.contract import Target
from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef


class LogContext(Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Bound(next)


class _Bound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name for it
        info = activity.info()
        target = Target.from_workflow_id(info.workflow_id or "")
        experiment = str(ObjectRef(EXPERIMENT, target.namespace, target.name)) if target else info.workflow_id
        with bound_contextvars(experiment=experiment, run_id=info.workflow_run_id):
            return await super().execute_activity(input)
