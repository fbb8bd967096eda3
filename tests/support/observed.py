"""The service as it is seen from outside: by its port, its log and the traces that it sends."""

from __future__ import annotations

from asyncio.subprocess import Process
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from support.polling import PATIENCE, until
from support.processes import ServiceProcess


class Receiver(BaseHTTPRequestHandler):
    """Takes traces as an OTLP receiver does, over HTTP."""

    spans: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = MessageToDict(ExportTraceServiceRequest.FromString(body))
        for resource in request["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                self.spans += scope["spans"]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


class ObservedProcess(ServiceProcess):
    """One whose port for metrics and probes is asked: `http` is a client of it."""

    def __init__(self, process: Process, log: Path, directory: Path | None = None) -> None:
        super().__init__(process, log, directory)
        self.http = httpx.AsyncClient(trust_env=False, timeout=PATIENCE)

    async def listens(self) -> None:
        port = (await self.event("metrics and probes are served"))["port"]
        self.http.base_url = httpx.URL(f"http://127.0.0.1:{port}")

    async def answers(self, path: str, status: int) -> str:
        """Wait until it does, and return what it says."""
        answer = await until(lambda: self.http.get(path), lambda answer: answer.status_code == status)
        return answer.text

    async def metrics(self) -> dict[str, Metric]:
        families = text_string_to_metric_families((await self.http.get("/metrics")).text)
        return {family.name: family for family in families}

    async def value(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of this name that have these labels."""
        samples = [sample for family in (await self.metrics()).values() for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    async def counts(self, name: str, **labels: str) -> None:
        """Wait until there is something to count."""
        await until(lambda: self.value(name, **labels))

    async def stop(self) -> None:
        await self.http.aclose()
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()
