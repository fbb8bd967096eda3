"""`/healthz` and `/readyz`, for Kubernetes' probes."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from api.dependencies import TheCaches, TheRuns
from api.http.problems import NotReady, TemporalUnavailable, documented
from experiments.models import Part

router = APIRouter(tags=["Health"])


class Health(Part):
    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    return Health()


@router.get("/readyz", summary="Are the caches filled, and does Temporal answer?", responses=documented(503))
async def readyz(caches: TheCaches, runs: TheRuns) -> Health:
    missing = []
    if not caches.synced:
        missing.append("; ".join(["The Experiments have not been listed yet", *caches.errors()]) + ".")
    try:
        await runs.check()
    except TemporalUnavailable as error:
        missing.append(str(error))
    if missing:
        raise NotReady(" ".join(missing), missing)
    return Health()
