"""A fast way to ask the real API server about one object.

kubectl takes 100 ms a call; `offer` takes four, over kept-alive connections, and nothing that it offers is stored.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import yaml

from localcluster import LocalCluster

_EXPERIMENTS = "/apis/testbench.agentic-layer.ai/v1alpha1/namespaces/default/experiments"


@dataclass(frozen=True)
class Answer:
    """`spec` as it would be stored, or None for a refusal with its sentence and the fields that it names."""

    spec: dict[str, Any] | None
    sentence: str = ""
    fields: frozenset[str] = frozenset()


Offer: TypeAlias = Callable[..., Answer]


@pytest.fixture(scope="session")
def offer(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offer]:
    """`offer(experiment, strict=False)`: what the API server says to it. Strict is how kubectl asks."""
    with _administrator(cluster, tmp_path_factory.mktemp("credentials")) as client:

        def ask(experiment: dict[str, Any], *, strict: bool = False) -> Answer:
            query = {"dryRun": "All", "fieldValidation": "Strict" if strict else "Ignore"}
            answer = client.post(_EXPERIMENTS, params=query, json=experiment).json()
            if answer["kind"] == "Experiment":
                return Answer(answer["spec"])
            causes = answer.get("details", {}).get("causes", ())
            return Answer(None, answer["message"], frozenset(cause["field"] for cause in causes))

        yield ask


def _administrator(cluster: LocalCluster, directory: Path) -> httpx.Client:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    pair = directory / "client.pem"
    user = config["users"][0]["user"]
    pair.write_bytes(b"\n".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
    context = ssl.create_default_context(cadata=authority)
    context.load_cert_chain(pair)
    return httpx.Client(base_url=cluster.api_url, verify=context)
