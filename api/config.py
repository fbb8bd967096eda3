"""What the api is told. Settings are read by the command line, which makes this."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from experiments.options import NeighbourCheck, Options

WEBHOOK = "experiment-operator-webhook"
WEBHOOK_CONFIGURATION = "experiment-operator"
"""Names as `deploy/` has them, unless a kustomization changes them."""


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """`temporal_ui_url` is what links into Temporal's UI begin with.

    Runs are asked for on `task_queue`, with `search_attributes` where Temporal's namespace has them. A token must be
    for one of `token_audiences`, or without any for the API server. `tls_dir` holds the certificate (`api.http.tls`),
    without it the api speaks plain HTTP; pages from `cors_origins` may call it from a browser.
    `behind_proxy` says that X-Forwarded-Host is to be believed.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    auth: Literal["kubernetes", "none"] = "kubernetes"
    token_audiences: tuple[str, ...] = ()
    tls_dir: Path | None = None
    cors_origins: tuple[str, ...] = ()
    behind_proxy: bool = False
    temporal_ui_url: str = "http://localhost:8233"
    task_queue: str = "experiment-operator"
    search_attributes: bool = False
    options: Options = field(default_factory=Options)
    neighbour_check: NeighbourCheck = "refuse"
