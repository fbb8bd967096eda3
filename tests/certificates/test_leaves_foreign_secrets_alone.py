"""A Secret of that name that this service did not create is neither overwritten nor served."""

from __future__ import annotations

import base64
from datetime import timedelta

from kube.objects import SECRET
from webhook.x509 import issue, pem


async def test_a_foreign_secret_is_left_alone_until_it_is_gone(replicas):
    issued = issue(replicas.hosts, timedelta(days=90))
    content = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": pem(issued.authorities)}
    foreign = await replicas.kube.create(
        SECRET,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": replicas.namespace, "name": replicas.secret.name},
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(value).decode() for name, value in content.items()},
        },
    )
    await replicas.configure()
    replica = await replicas.start()
    for number in range(3):  # when it looks again, it has done what it had to do before
        look = replica.hold("get Secret")
        await replicas.kube.merge_patch(replicas.configuration, {"metadata": {"labels": {"number": str(number)}}})
        await look.reached.wait()
        look.release()
    assert await replicas.kube.get(replicas.secret) == foreign
    assert await replicas.bundles() == [b"", b""]
    assert replica.pair == (b"", b"")

    await replicas.delete(replicas.secret)
    await replica.wait_ready()
    assert (await replicas.settled()).certificate != issued.certificate
