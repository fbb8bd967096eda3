"""The real API server calls a real HTTPS webhook all the time, while certificates and CAs change three times."""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta

import pytest
from aiohttp import web

from api.http.tls import Certificate
from kube.objects import CONFIG_MAP, ObjectRef

CALLERS = 4


async def _allow(request):
    uid = (await request.json())["request"]["uid"]
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": uid, "allowed": True}}
    response = web.json_response(body)
    response.force_close()  # so that each request needs a handshake of its own
    return response


@pytest.fixture
async def listen():
    """`await listen(directory)` on a free port, which is returned."""
    runners = []

    async def start(directory):
        app = web.Application()
        app.router.add_post("/{path:.*}", _allow)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0, ssl_context=Certificate(directory).context).start()
        return runners[-1].addresses[0][1]

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_no_request_is_lost_while_certificates_change(replicas, listen):
    replica = await replicas.start(
        valid=timedelta(seconds=60),
        renew_before=timedelta(seconds=57),
        settle=timedelta(seconds=1),
        overlap=timedelta(seconds=1),
    )
    await replica.wait_ready()
    port = await listen(replica.directory)
    await replicas.configure(f"https://127.0.0.1:{port}", policy="Fail")
    await replicas.settled()
    edits = 0

    async def edit(number):
        nonlocal edits
        ref = ObjectRef(CONFIG_MAP, replicas.namespace, f"edited-{number}")
        meta = {"namespace": ref.namespace, "name": ref.name}
        await replicas.kube.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
        while True:
            edits += 1
            await replicas.kube.merge_patch(ref, {"data": {"edit": str(edits)}})
            await asyncio.sleep(0.02)  # all the time, and not as much as the machine can do

    served = set()
    async with asyncio.TaskGroup() as tasks:
        editing = [tasks.create_task(edit(number)) for number in range(CALLERS)]
        while len(served) <= 3:
            served.add(await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port)))
            await asyncio.sleep(0.1)
        for task in editing:
            task.cancel()
    assert edits > 100
