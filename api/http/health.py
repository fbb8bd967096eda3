"""`/healthz` and `/readyz`, beside those of the process's own listener: whoever can reach the api can ask it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from api.http.problems import NotReady, documented
from experiments.models import Part
from telemetry.health import missing

router = APIRouter(tags=["Health"])


class Health(Part):
    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    return Health()


@router.get("/readyz", summary="Are the caches filled, and does Temporal answer?", responses=documented(503))
async def readyz() -> Health:
    if lacks := missing():
        raise NotReady("; ".join(lacks) + ".", lacks)
    return Health()
