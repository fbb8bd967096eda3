"""Replicas of the webhook that see to one certificate, each with a directory from which it serves."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from kube.client import KubeClient
from kube.errors import NotFoundError
from kube.lease import Lease, Times
from kube.objects import LEASE, SECRET, VALIDATING_WEBHOOK_CONFIGURATION, ObjectRef
from localcluster import LocalCluster
from support.holding import HoldingClient
from support.polling import until
from webhook.rotation import Lifetimes, WebhookCertificates
from webhook.x509 import Issued, read

_TIMES = Times(duration=3600, deadline=1800, renew=0.5, retry=0.1)
# Nothing is due while a test lasts, and no test waits for an API server to hear of anything.
_LASTING = Lifetimes(settle=timedelta(0))


class Replica:
    def __init__(self, certificates: WebhookCertificates, client: HoldingClient, directory: Path) -> None:
        self.directory, self.hold, self._client = directory, client.hold, client
        self.wait_ready = certificates.wait_ready
        self._task = asyncio.create_task(certificates.run())

    @property
    def running(self) -> bool:
        return not self._task.done()

    @property
    def pair(self) -> tuple[bytes, bytes]:
        """What it serves; empty until it has something."""
        with suppress(FileNotFoundError):
            return (self.directory / "tls.crt").read_bytes(), (self.directory / "tls.key").read_bytes()
        return b"", b""

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def close(self) -> None:
        await self.stop()
        await self._client.close()


class Replicas:
    """Those of one api, and what they have left in the cluster."""

    hosts = ("127.0.0.1", "webhook.example.svc")

    def __init__(self, cluster: LocalCluster, kube: KubeClient, namespace: str, directory: Path) -> None:
        self.kube, self.namespace, self._cluster, self._directory = kube, namespace, cluster, directory
        self.secret = ObjectRef(SECRET, namespace, "webhook-tls")
        self.configuration = ObjectRef(VALIDATING_WEBHOOK_CONFIGURATION, "", namespace)
        self._all: list[Replica] = []

    async def start(self, *, lease: str = "webhook", **lifetimes: timedelta) -> Replica:
        """The first leads, and the next when it is stopped."""
        client = await HoldingClient.connect(self._cluster.kubeconfig)
        directory = self._directory / f"replica-{len(self._all)}"
        certificates = WebhookCertificates(
            client,
            Lease(client, self.namespace, lease, times=_TIMES),
            namespace=self.namespace,
            secret=self.secret.name,
            hosts=self.hosts,
            configuration=self.configuration.name,
            directory=directory,
            lifetimes=replace(_LASTING, **lifetimes),
        )
        self._all.append(Replica(certificates, client, directory))
        return self._all[-1]

    async def lease(self, name: str = "webhook", **spec: str) -> None:
        """One that is free, unless `spec` says otherwise: else the first candidate would wait for it to run out."""
        meta = {"namespace": self.namespace, "name": name}
        body = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta, "spec": spec}
        await self.kube.create(LEASE, body)

    async def configure(self, url: str = "https://127.0.0.1:1", *, policy: str = "Ignore") -> None:
        """Two webhooks at `url` for each ConfigMap of the namespace."""
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["*"]}
        webhook = {
            "clientConfig": {"url": url},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "failurePolicy": policy,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 30,
        }
        body = {
            "apiVersion": self.configuration.resource.api_version,
            "kind": self.configuration.resource.kind,
            "metadata": {"name": self.configuration.name},
            "webhooks": [{**webhook, "name": f"{name}.example.com"} for name in ("first", "second")],
        }
        await self.kube.create(VALIDATING_WEBHOOK_CONFIGURATION, body)

    async def bundles(self) -> list[bytes]:
        """The `caBundle` of each webhook."""
        webhooks = (await self.kube.get(self.configuration))["webhooks"]
        return [base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in webhooks]

    async def set_bundles(self, *bundles: bytes) -> None:
        paths = [f"/webhooks/{number}/clientConfig/caBundle" for number in range(len(bundles))]
        values = [base64.b64encode(bundle).decode() for bundle in bundles]
        operations = [{"op": "add", "path": path, "value": value} for path, value in zip(paths, values, strict=True)]
        await self.kube.json_patch(self.configuration, operations)

    async def data(self) -> dict[str, bytes]:
        """Of the Secret; empty where there is none."""
        try:
            data = (await self.kube.get(self.secret)).get("data", {})
        except NotFoundError:
            return {}
        return {name: base64.b64decode(value) for name, value in data.items()}

    async def issued(self) -> Issued:
        data = await self.data()
        return read(data["tls.crt"], data["tls.key"], data["ca.crt"])

    async def edit(self, **data: bytes) -> None:
        """Keys with an underscore for the dot."""
        encoded = {name.replace("_", "."): base64.b64encode(value).decode() for name, value in data.items()}
        await self.kube.merge_patch(self.secret, {"data": encoded})

    async def delete(self, ref: ObjectRef) -> None:
        await self.kube.delete(ref, uid=(await self.kube.get(ref))["metadata"]["uid"])

    async def settled(self, other_than: bytes = b"") -> Issued:
        """Waits until the Secret holds another good certificate, trusted by all webhooks and served by all replicas."""

        async def is_settled() -> bool:
            data = await self.data()
            if not data or data["tls.crt"] == other_than:
                return False
            pair = data["tls.crt"], data["tls.key"]
            serving = all(replica.pair == pair for replica in self._all if replica.running)
            return serving and set(await self.bundles()) == {data["ca.crt"]}

        await until(is_settled)
        issued = await self.issued()
        issued.authority(self.hosts, datetime.now(UTC))
        return issued

    @staticmethod
    def authorities(bundle: bytes) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(bundle)

    async def close(self) -> None:
        await asyncio.gather(*(replica.close() for replica in self._all))
        with suppress(NotFoundError):
            await self.delete(self.configuration)
