"""There is an answer in time, and a truthful one, while caches are empty or behind and the API server is silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.options import Options
from kube.client import KubeClient
from support.world import World
from webhook.app import create_webhook_app

UNCHECKED = (
    "spec: only its own rules were checked; this service has just started and does not know the Agents, AiGateways, "
    "templates and names in use yet."
)


@pytest.fixture
async def silent(cluster: Any, tmp_path: Path) -> AsyncIterator[KubeClient]:
    """A client of an API server that takes connections and never says a word."""
    closing = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closing.wait()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    kubeconfig = yaml.safe_load(cluster.kubeconfig.read_text())
    kubeconfig["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    async with server, await KubeClient.connect(tmp_path / "kubeconfig") as client:
        yield client
        closing.set()


async def test_before_the_caches_are_filled_it_says_what_was_not_checked(
    apply: Any, sound: Any, webhook: Any, new_caches: Any, kube: Any
) -> None:
    with webhook.answered_by(create_webhook_app(new_caches(), kube, Options(), neighbour_check="refuse")):
        said = await apply(sound(agentRef={"name": "nobody"}))
    assert (said.code, said.warnings) == (0, [UNCHECKED])


async def test_before_the_caches_are_filled_it_knows_the_rules_of_the_models(
    ask: Any, question: Any, sound: Any, new_caches: Any, kube: Any
) -> None:
    app = create_webhook_app(new_caches(), kube, Options(), neighbour_check="refuse")
    answer = await ask(question(sound(dataset={"url": "http://data.example/set.json"})), app)
    assert answer.json()["response"]["status"]["message"] == "spec: scenarios and dataset must not both be set"


async def test_an_agent_that_was_created_a_moment_ago_is_found(
    ask: Any, question: Any, sound: Any, world: World, old_caches: Any, kube: Any
) -> None:
    """`kubectl apply -f` of both: the caches may hear of the Agent only after the Experiment is judged."""
    await world.agent("newborn", url="http://newborn.example")
    app = create_webhook_app(old_caches, kube, Options(), neighbour_check="refuse")
    answer = await ask(question(sound(agentRef={"name": "newborn"})), app)
    assert answer.json()["response"] == {"uid": "a1b2", "allowed": True}


async def test_a_silent_api_server_does_not_hold_up_the_answer(
    ask: Any, question: Any, sound: Any, old_caches: Any, silent: KubeClient
) -> None:
    app = create_webhook_app(old_caches, silent, Options(), neighbour_check="refuse")
    async with asyncio.timeout(2):
        answer = await ask(question(sound(agentRef={"name": "nobody"})), app)
    assert answer.json()["response"]["allowed"] is False


async def test_a_defect_leaves_the_decision_to_the_failure_policy(
    apply: Any, ask: Any, question: Any, sound: Any, webhook: Any, kube: Any
) -> None:
    broken: Any = None
    app = create_webhook_app(broken, kube, Options(), neighbour_check="refuse")
    answer = await ask(question(sound()), app)
    assert answer.status_code == 500
    assert answer.text == "A defect of the experiment-operator; its log has the details."
    with webhook.answered_by(app):
        assert (await apply(sound())).code == 0
