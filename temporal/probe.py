"""Whether Temporal can be reached: what makes a process ready, and is counted among its metrics."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from telemetry.health import needs

log = structlog.get_logger(__name__)

# The client repeats a call for as long as its own timeout lasts; a connection that hangs has none.
_CALL_TIMEOUT = timedelta(seconds=2)
_ANSWER_TIMEOUT_SECONDS = 5.0
_PAUSE_SECONDS = 10.0
_PAUSE_SECONDS_WHILE_AWAY = 2.0


async def watch_temporal(temporal: Client) -> None:
    """Keep this process ready only while Temporal answers about the namespace; asks now and then, until cancelled.

    The question needs the server, the credentials and the namespace to be right.
    """
    missing = "it has not answered yet"
    needs("temporal", lambda: [missing] if missing else [])
    while True:
        before, missing = missing, await _ask(temporal)
        if missing and missing != before:
            log.warning("Temporal cannot be reached", namespace=temporal.namespace, error=missing)
        elif before and not missing:
            log.info("Temporal answers", namespace=temporal.namespace)
        await asyncio.sleep(_PAUSE_SECONDS_WHILE_AWAY if missing else _PAUSE_SECONDS)


async def _ask(temporal: Client) -> str:
    request = DescribeNamespaceRequest(namespace=temporal.namespace)
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_SECONDS):
            await temporal.workflow_service.describe_namespace(request, timeout=_CALL_TIMEOUT)
    except TimeoutError:
        return f"no answer within {_ANSWER_TIMEOUT_SECONDS:g} s"
    except (RPCError, RuntimeError) as error:  # RuntimeError: what a client raises that cannot connect
        return str(error) or type(error).__name__
    return ""
