"""The exporter of traces: OTLP over HTTP, by OpenTelemetry's own exporter, through the proxy that is meant for it.

A module of its own since it is imported only where there are traces (`tracing.exporting`).
"""

from __future__ import annotations

from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from requests.adapters import HTTPAdapter

from proxies.environment import proxy_for


def exporter(endpoint: str) -> OTLPSpanExporter:
    """Return an exporter to the receiver at `endpoint`. Raises ProxyError."""
    url = f"{endpoint.rstrip('/')}/v1/traces"
    session = requests.Session()
    session.mount(url, _Through(proxy_for(url)))
    return OTLPSpanExporter(url, session=session)


class _Through(HTTPAdapter):
    """Uses one proxy, or none, whatever requests has found in the environment. Its certificates stay as they are."""

    def __init__(self, proxy: str | None) -> None:
        super().__init__()
        self._proxies = dict.fromkeys(("http", "https"), proxy) if proxy else {}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        return super().send(request, *args, **kwargs | {"proxies": self._proxies})
