"""Whatever is sent is answered, in words where it is refused, and other requests have their turn meanwhile."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest

from api.experiments import endpoints as experiments
from api.http.middleware import BodyLimit
from api.plans import endpoints as plans
from support.amplified import MIB, READ, REFUSED, experiment

pytestmark = pytest.mark.usefixtures("templates")


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[bool]]:
    """By what was done, whether it was done in the thread of the event loop."""
    seen: dict[str, set[bool]] = {}
    loop = threading.current_thread()

    def watch(module: Any, name: str) -> None:
        usual = getattr(module, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            seen.setdefault(name, set()).add(threading.current_thread() is loop)
            return usual(*args, **kwargs)

        monkeypatch.setattr(module, name, watched)

    watch(plans.documents, "read")
    watch(plans.documents, "write")
    watch(plans.Subject, "of")
    for name in ("parse", "plan", "review", "differences"):
        watch(plans, name)
    watch(experiments, "children")
    return seen


@pytest.mark.parametrize("way", REFUSED)
async def test_what_nobody_should_read_is_refused_in_words(api, way):
    make, words = REFUSED[way]
    answer = await api.post("/api/v1/plan", content=make().encode())
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("way", READ)
async def test_what_may_be_read_is_answered(api, way):
    answer = await api.post("/api/v1/plan", content=READ[way]().encode())
    assert answer.status_code in {200, 422}


async def test_a_posted_experiment_is_worked_on_beside_the_loop(api, threads):
    answer = await api.post("/api/v1/plan", json=experiment())
    assert answer.status_code == 200
    assert threads == {name: {False} for name in ("read", "of", "parse", "plan", "review", "differences")}


async def test_an_experiment_of_the_cluster_is_worked_on_beside_the_loop(api, create, namespace, threads):
    await create("weather")
    url = f"/api/v1/namespaces/{namespace}/experiments/weather"
    for path in ("", "/plan", "/manifests"):
        assert (await api.get(f"{url}{path}", headers={"Accept": "application/yaml"})).status_code == 200
    assert threads == {name: {False} for name in ("of", "plan", "review", "differences", "children", "write")}


async def test_only_who_takes_an_experiment_takes_megabytes(caches, temporal, serve):
    async with serve(caches, temporal) as inside:
        limited = BodyLimit(inside._transport.app)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url="http://api") as api:
            url = "/api/v1/namespaces/default/experiments/weather/reconciliations"
            answer = await api.post(url, json={"reason": "x" * 65536})
            assert answer.status_code == 413
            assert answer.json()["detail"].endswith("A body of more than 65,536 bytes is not read.")
            assert (await api.post("/api/v1/plan", content=json.dumps("x" * MIB))).status_code == 422
