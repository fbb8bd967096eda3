"""The SDK's core, as this service runs it: its metrics readable, its log lines among ours.

To be started before the first client. What the metrics mean is in docs/metrics.md; `telemetry.listener` serves them.
"""

from __future__ import annotations

import http.client
import logging
import socket
from collections.abc import Callable
from contextlib import closing

import structlog
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from experiments.contract import RECONCILIATION_DURATION
from experiments.executions import EXECUTION_DURATION, EXECUTION_LAG

log = structlog.get_logger(__name__)

_LOOPBACK = "127.0.0.1"
_SCRAPE_TIMEOUT_SECONDS = 2.0
_MAX_TRIES = 5
_RUN_SECONDS = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0]


def start() -> Callable[[], bytes]:
    """Make it the default of all clients; call the result for its metrics, in Prometheus' text format.

    They are summed up outside of Python, where that costs nothing, and served on a port that only this machine reaches.
    """
    for attempt in range(1, _MAX_TRIES + 1):
        port = _free_port()
        try:
            Runtime.set_default(Runtime(telemetry=_telemetry(port)))
            break
        except ValueError:  # somebody was faster to take the port
            if attempt == _MAX_TRIES:
                raise
    return lambda: _scrape(port)


def _telemetry(port: int) -> TelemetryConfig:
    metrics = PrometheusConfig(
        bind_address=f"{_LOOPBACK}:{port}",
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=dict.fromkeys(
            (RECONCILIATION_DURATION, EXECUTION_DURATION, EXECUTION_LAG), _RUN_SECONDS
        ),
    )
    forwarding = LogForwardingConfig(logging.getLogger("temporalio"), append_target_to_name=False)
    filter_ = TelemetryFilter(core_level="WARN", other_level="ERROR")
    return TelemetryConfig(
        metrics=metrics, logging=LoggingConfig(filter_, forwarding=forwarding), attach_service_name=False
    )


def _free_port() -> int:
    with socket.create_server((_LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _scrape(port: int) -> bytes:
    """Read the metrics; nothing where they do not answer: the rest is worth having without it."""
    with closing(http.client.HTTPConnection(_LOOPBACK, port, timeout=_SCRAPE_TIMEOUT_SECONDS)) as connection:
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            log.warning("Temporal's own metrics cannot be read", error=str(error))
            return b""
