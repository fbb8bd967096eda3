"""Traces by OpenTelemetry, from the watcher's judgement to the call to Kubernetes.

Off unless `exporting` is given an endpoint, and then nothing of OpenTelemetry is imported here. The way through
Temporal is that of its SDK's interceptor, which `temporal/client.py` puts in place. Sampling, headers, timeouts and
resource attributes are OpenTelemetry's own settings (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, …).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_FLUSH_TIMEOUT_SECONDS = 2.0
_NOTHING = nullcontext()

_tracer: Tracer | None = None


@contextmanager
def exporting(endpoint: str, service: str) -> Iterator[None]:
    """Send traces to `endpoint` by OTLP over HTTP while the context is open, and at its end what is left of them.

    With an empty `endpoint` there are none. `service` is what this process is called in them, unless OTEL_SERVICE_NAME
    says otherwise. Raises ProxyError.
    """
    if not endpoint:
        yield
        return
    from opentelemetry import trace  # noqa: PLC0415 - memory for nothing, where it is off
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    from telemetry.otlp import exporter  # noqa: PLC0415

    global _tracer  # noqa: PLW0603 - a process has one, like its metrics
    resource = Resource({"service.name": service}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter(endpoint)))
    trace.set_tracer_provider(provider)  # for FastAPI and Temporal's interceptor, which make spans of their own
    _tracer = provider.get_tracer("experiment-operator")
    try:
        yield
    finally:
        _tracer = None
        # OpenTelemetry's own limits do not hold (SDK 1.45): a receiver that is away would cost ten seconds.
        sending = threading.Thread(target=provider.shutdown, daemon=True)
        sending.start()
        sending.join(_FLUSH_TIMEOUT_SECONDS)


def enabled() -> bool:
    return _tracer is not None


def span(name: str, *, begin: bool = False, **attributes: str) -> AbstractContextManager[object]:
    """Make a part of the present trace. Where there is none, only `begin` makes one: a cache's lists would be noise."""
    if _tracer is None or not (begin or trace_id()):
        return _NOTHING
    return _tracer.start_as_current_span(name, attributes=attributes)


def trace_id() -> str:
    """Return that of the present trace, as backends show it; empty where there is none."""
    if _tracer is None:
        return ""
    from opentelemetry import trace  # noqa: PLC0415

    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""
