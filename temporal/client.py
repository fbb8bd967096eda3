"""The door to Temporal: how every process connects, and how the workflow of an Experiment is started or woken.

The watcher starts runs for what it sees, the api for what a person asks. What a run then does is in `worker`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from temporalio.client import Client, Interceptor, WorkflowHandle
from temporalio.common import Priority
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import CompositePayloadConverter
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import HttpConnectProxyConfig

from experiments.contract import SIGNAL, WORKFLOW_TYPE, RunState, Target, Urgency, WakeSignal, memo, summary
from experiments.reasons import kind_of
from proxies.environment import ProxyError, proxy_for
from telemetry import metrics, tracing
from temporal.search_attributes import at_start

Start = Callable[[Target, WakeSignal, Urgency], Awaitable[str]]
"""Starts or wakes the workflow of an Experiment; returns the id of the run."""

_DEFAULT_ADDRESS = "localhost:7233"
_RPC_TIMEOUT = timedelta(seconds=10)

_CONVERTERS = tuple(PydanticPayloadConverter().converters.values())


class _PayloadConverter(CompositePayloadConverter):
    """Convert as pydantic's does, with the types that it knows in common.

    The SDK makes a converter for each workflow, and pydantic's own learns the types anew each time.
    """

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)


async def connect(*, lazy: bool) -> Client:
    """Connect by Temporal's own settings (TEMPORAL_ADDRESS, …). A lazy client connects when it is first used.

    Raises RuntimeError, as the SDK does, when one that is not lazy cannot connect, and ProxyError.
    """
    chosen: dict[str, Any] = {"target_host": _DEFAULT_ADDRESS, **ClientConfig.load_client_connect_config()}
    return await Client.connect(
        **chosen,
        http_connect_proxy_config=_proxy_to(chosen["target_host"]),
        data_converter=replace(pydantic_data_converter, payload_converter_class=_PayloadConverter),
        lazy=lazy,
        interceptors=_interceptors(),
    )


def _proxy_to(address: str) -> HttpConnectProxyConfig | None:
    """Find the one in HTTPS_PROXY, with or without TLS, as gRPC clients in Go do: the SDK itself looks for none."""
    proxy = urlsplit(proxy_for(f"https://{address}") or "")
    if not proxy.hostname:
        return None
    if proxy.scheme != "http":
        raise ProxyError("HTTPS_PROXY: Temporal is reached by a proxy of http:// only; NO_PROXY makes an exception")
    login = (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None
    host = f"[{proxy.hostname}]" if ":" in proxy.hostname else proxy.hostname
    return HttpConnectProxyConfig(f"{host}:{proxy.port or 80}", login)


def _interceptors() -> list[Interceptor]:
    """List the client's, which are also those of a worker on it."""
    if not tracing.enabled():
        return []
    from temporalio.contrib.opentelemetry import TracingInterceptor  # noqa: PLC0415

    return [TracingInterceptor()]


def starter(
    temporal: Client, task_queue: str, *, search_attributes: bool = False, beside_worker: bool = False
) -> Start:
    """Make what starts runs, with `search_attributes` only where Temporal's namespace has them.

    Of a client that a worker of this queue has, too (`beside_worker`), that worker gets new runs without a detour
    through the queue, if it has room.
    """

    async def start(target: Target, wakeup: WakeSignal, urgency: Urgency) -> str:
        """Wake the open run of this Experiment, or begin one. Never two at a time.

        Where runs wait for a worker, the more urgent go first, and namespaces take turns if the server has fairness on.
        """
        begin = partial(
            temporal.start_workflow,
            WORKFLOW_TYPE,
            id=target.workflow_id,
            task_queue=task_queue,
            memo=memo(target, wakeup.reasons),
            search_attributes=at_start(target, wakeup.reasons) if search_attributes else None,
            static_summary=summary(", ".join(wakeup.reasons)),
            static_details=f"{target} (uid {target.uid})",
            priority=Priority(priority_key=urgency, fairness_key=target.namespace),
            rpc_timeout=_RPC_TIMEOUT,
        )
        handle: WorkflowHandle[Any, Any] | None = None
        if beside_worker:
            with suppress(WorkflowAlreadyStartedError):
                handle = await begin(RunState(target, pending=[wakeup]), request_eager_start=True)
        if handle is None:
            handle = await begin(RunState(target), start_signal=SIGNAL, start_signal_args=[wakeup])
        metrics.STARTS.labels(kind_of(wakeup.reasons)).inc()
        return handle.result_run_id or ""

    return start
