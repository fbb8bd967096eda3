"""What the api and its admission webhook are told. Settings are read by the command line, which makes these."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from experiments.admission import AgentCheck
from experiments.options import Options

WEBHOOK = "experiment-operator-webhook"
"""Name of the webhook's Service, of the Secret with its certificate, and of the Lease of who sees to that."""
WEBHOOK_CONFIGURATION = "experiment-operator"
"""Name of the ValidatingWebhookConfiguration in `deploy/webhook`."""


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Its certificate is in `tls_dir`, where somebody else keeps it, or else is this service's own.

    The API server calls it by one of `hosts`. Secret and Lease are in `namespace`.
    """

    host: str
    port: int
    tls_dir: Path | None
    namespace: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """`temporal_ui_url` is what links into Temporal's UI begin with; runs are asked for on `task_queue`, with
    `search_attributes` where Temporal's namespace has them.

    A token must be for one of `token_audiences`, or without any for the API server. `tls_dir` holds the certificate
    (`api.http.tls`), without it the api speaks plain HTTP; pages from `cors_origins` may call it from a browser.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    auth: Literal["kubernetes", "none"] = "kubernetes"
    token_audiences: tuple[str, ...] = ()
    tls_dir: Path | None = None
    cors_origins: tuple[str, ...] = ()
    temporal_ui_url: str = "http://localhost:8233"
    task_queue: str = "experiment-operator"
    search_attributes: bool = False
    options: Options = field(default_factory=Options)
    agent_check: AgentCheck = "refuse"
