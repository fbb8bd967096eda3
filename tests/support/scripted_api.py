"""An api whose executions go as a test says, for what a real one cannot be made to do: be away, be slow, go wrong.

Its answers are those of the real api: they are checked against its schemas.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

Object: TypeAlias = dict[str, Any]
ID = "6650f0c2a1b2c3d4e5f60718"
EXECUTIONS = "/api/v1/namespaces/team/experiments/weather/executions"
Answer: TypeAlias = tuple[int, Object] | None
"""Status and body; None cuts the connection."""
_AWAY: Answer = (503, {"detail": "Temporal does not answer."})


def metric(name: str, score: float | None, threshold: float | None = 0.8, error: str | None = None) -> Object:
    passed = not error and score is not None and (threshold is None or score >= threshold)
    return {
        "metric": name,
        "variant": None,
        "score": score,
        "threshold": threshold,
        "passed": passed,
        "error": error,
    }


def step(asked: str, answered: str, *metrics: Object, error: str | None = None) -> Object:
    turns = [
        {"type": "human", "content": asked, "toolCalls": []},
        {"type": "agent", "content": answered, "toolCalls": []},
    ]
    return {"input": asked, "error": error, "turns": turns, "metrics": list(metrics)}


def phase(name: str, status: str, seconds: float | None = None) -> Object:
    times = {"startTime": None, "endTime": "2026-11-24T03:19:20Z" if seconds is not None else None}
    return {"name": name, "status": status, **times, "durationSeconds": seconds, "error": None}


def row(
    verdict: str | None, counts: Sequence[int] = (0, 0, 0), *, status: str = "", number: int | None = 12, **more: Any
) -> Object:
    """Return what a list says of an execution of which so many metrics have passed, failed and had an error."""
    ended = verdict is not None
    path = f"{EXECUTIONS}/{ID}"
    passed, failed, errored = counts
    total = sum(counts)
    status = status or ("passed" if ended else "running")
    words = f"{verdict} {passed}/{total}" if total else verdict
    return {
        "executionId": ID,
        "executionNumber": number,
        "namespace": "team",
        "name": "weather",
        "uid": "44297175-0000-0000-0000-000000000000",
        "workflow": "weather-workflow.team",
        "status": status,
        "startedBy": "Service",
        "startTime": "2026-11-24T03:19:04Z",
        "endTime": "2026-11-24T03:19:20Z" if ended else None,
        "durationSeconds": 16.0 if ended else None,
        "verdict": verdict,
        "message": None,
        "metrics": {"total": total, "passed": passed, "failed": failed, "errored": errored} if ended else None,
        "byMetric": {},
        "summary": words if ended else status,
        "links": {
            "self": path,
            "artifacts": f"{path}/artifacts",
            "report": f"{path}/artifacts/data/results/evaluation_report.html",
            "temporal": "http://temporal.example/namespaces/default/workflows/execution",
        },
        **more,
    }


def execution(
    verdict: str | None, *scenarios: tuple[str, Sequence[Object]], phases: Sequence[Object] = (), **more: Any
) -> Object:
    """Return what the api says of an execution of these scenarios, each with its name and steps."""
    metrics = [each for _, steps in scenarios for one in steps for each in one["metrics"]]
    passed, errored = sum(each["passed"] for each in metrics), sum(bool(each["error"]) for each in metrics)
    return {
        **row(verdict, (passed, len(metrics) - passed - errored, errored)),
        "reason": None,
        "tags": {},
        "error": None,
        "phases": list(phases),
        "scoresFrom": "artifact" if metrics else None,
        "scenarios": [{"name": name, "steps": list(steps)} for name, steps in scenarios],
        "artifacts": [],
        "unavailable": [],
        **more,
    }


def change(effect: str, scenario: str, base: Object | None, head: Object | None) -> Object:
    """Return what a comparison says of a metric in the first step of a scenario."""
    scored = base and head and base["score"] is not None and head["score"] is not None
    by = head["score"] - base["score"] if base and head and scored else None
    named = (head or base or {})["metric"]
    told = {"scenario": scenario, "step": 0, "metric": named, "variant": None, "base": base, "head": head}
    return {**told, "change": by, "effect": effect}


def page(*items: Object, more: str | None = None, unavailable: Sequence[str] = ()) -> Answer:
    return 200, {"items": list(items), "nextCursor": more, "unavailable": list(unavailable)}


def comparison(base: Object, head: Object, *changes: Object) -> Object:
    counts = Counter(each["effect"] for each in changes)
    read = {"baseScoresFrom": "artifact", "headScoresFrom": "artifact", "unavailable": []}
    return {"base": base, "head": head, **read, "counts": dict(counts), "items": list(changes)}


@dataclass
class EvaluationsApi:
    """Each request takes the next answer of its script; the last one serves all later ones.

    `keys` and `asked` are what came with requests for an execution, `queries` what other requests were about.
    """

    url: str = ""
    pages: list[Answer] = field(default_factory=list)
    comparisons: list[Answer] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    starts: list[Answer] = field(default_factory=lambda: [(202, execution(None))])
    looks: list[Answer] = field(default_factory=lambda: [(200, execution("Passed"))])
    keys: list[str] = field(default_factory=list)
    asked: list[Object] = field(default_factory=list)

    def away(self, times: int = 1) -> list[Answer]:
        return [_AWAY] * times

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            self.keys.append(request.headers["Idempotency-Key"])
            self.asked.append(json.loads(await request.read()))
        else:
            self.queries.append(request.path_qs.removeprefix(EXECUTIONS))
        script = self.starts if request.method == "POST" else self._script(request.match_info["rest"])
        answer = script.pop(0) if len(script) > 1 else script[0]
        if answer is None:
            if request.transport:
                request.transport.abort()
            return web.Response()
        return web.json_response(answer[1], status=answer[0])

    def _script(self, path: str) -> list[Answer]:
        return {"": self.pages, "/compare": self.comparisons}.get(path, self.looks)


@asynccontextmanager
async def evaluations_api() -> AsyncIterator[EvaluationsApi]:
    """Serve one."""
    api = EvaluationsApi()
    app = web.Application()
    app.router.add_route("*", EXECUTIONS + "{rest:.*}", api.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield api
    finally:
        await runner.cleanup()
