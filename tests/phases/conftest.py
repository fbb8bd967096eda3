"""The published phases, as Testkube would run what is generated for an Experiment, and what they meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from support import phases
from support.clusters import ROOT, SAMPLES
from support.executions import Testkube, s3_server
from support.network import Request, Response, network
from support.standins import Collector


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter that has the published phases."""
    found = phases.python()
    if not found:
        pytest.skip("the published phases are not installed: `make phases-check` does that, with Python 3.12 or newer")
    return found


@pytest.fixture
def testkube(tmp_path: Path, python: Path) -> Iterator[Testkube]:
    with network() as opened:
        yield Testkube(tmp_path, python, opened)


@pytest.fixture(scope="session")
def upstream() -> Path:
    """Phase templates like those that come with the phases."""
    return ROOT / "tests" / "support" / "upstream-templates.yaml"


@pytest.fixture(scope="session")
def s3(python: Path) -> Iterator[httpx.Client]:
    """An S3 store with a bucket `datasets`, to which anybody may write."""
    # Signed only in form: this store looks at no signature, but lets nobody write who has none.
    scope = "admin/20260101/us-east-1/s3/aws4_request"
    signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    with s3_server(python) as url, httpx.Client(base_url=url, headers=signed, trust_env=False) as client:
        client.put("/datasets").raise_for_status()
        yield client


@pytest.fixture
def store(testkube: Testkube, s3: httpx.Client) -> httpx.Client:
    """The same, as the Service that samples name."""

    def forward(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "connection"}}
        answer = s3.request(request.method, request.path, headers=headers, content=request.body)
        return Response(answer.content, answer.headers.get("Content-Type", ""), answer.status_code)

    testkube.network.services["minio"] = forward
    return s3


@pytest.fixture
def collector(testkube: Testkube) -> Collector:
    """An OTLP receiver, as Service `collector`."""
    testkube.network.services["collector"] = receiver = Collector()
    return receiver


@pytest.fixture
def sample() -> Any:
    """`sample("scenarios", **spec)`: a sample of `deploy/`, with that in its spec."""

    def read(name: str, **spec: Any) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((SAMPLES / f"experiment-{name}.yaml").read_text())
        found["spec"] |= spec
        return found

    return read
