"""The webhook's own certificate: made, kept in a Secret, trusted by the API server, replaced before it expires.

The replica that holds a Lease sees to the Secret and to the `caBundle` of every webhook in the configuration. Each
replica, leading or not, writes what the Secret holds into a directory of its own, from which the listener serves. Where
somebody else provides the certificate, such as cert-manager, nothing of this runs: the mounted Secret is served.

A certificate comes with a CA of its own, whose key is forgotten once it has signed. So there is one way to replace
things, and no key in the cluster that could sign for other names. The API server must never meet a certificate whose CA
it does not know: the new CA goes into `caBundle` first, beside the earlier one; the Secret follows when every API
server has heard of it; and the earlier CA leaves when every replica has heard of the Secret.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509

from experiments.names import MANAGED_BY, MANAGER
from kube.backoff import Backoff
from kube.caches import Caches
from kube.client import KubeClient
from kube.errors import KubeError
from kube.lease import Lease
from kube.objects import SECRET, VALIDATING_WEBHOOK_CONFIGURATION, Object, ObjectRef, Source
from kube.reflector import Change
from webhook.x509 import Issued, issue, pem, read

log = structlog.get_logger(__name__)

_FIRST_PAUSE, _MAX_PAUSE = 0.2, 30.0
_MAX_WAIT = timedelta(hours=1)  # a clock may be set, and a machine may sleep


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """A certificate is replaced when no more than `renew_before` is left of its time.

    `settle` is how long an API server may take to hear of a new `caBundle`, and `overlap` how long a replica may take
    to hear of a new Secret.
    """

    valid: timedelta = timedelta(days=90)
    renew_before: timedelta = timedelta(days=30)
    settle: timedelta = timedelta(seconds=10)
    overlap: timedelta = timedelta(hours=1)


class WebhookCertificates:
    """`hosts` are the names by which the API server calls: `<service>.<namespace>.svc`, or the host in a `url`.

    The Secret `secret` in `namespace` is left alone, and not served, where it is not labelled as this service's own.
    """

    def __init__(
        self,
        client: KubeClient,
        lease: Lease,
        *,
        namespace: str,
        secret: str,
        hosts: Sequence[str],
        configuration: str,
        directory: Path,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._client, self._lease, self._hosts, self._directory = client, lease, hosts, directory
        self._lifetimes = lifetimes or Lifetimes()
        self._secret = ObjectRef(SECRET, namespace, secret)
        self._configuration = ObjectRef(VALIDATING_WEBHOOK_CONFIGURATION, "", configuration)
        watched = (self._secret, self._configuration)
        sources = [Source(ref.resource, ref.namespace, field_selector=f"metadata.name={ref.name}") for ref in watched]
        self._caches = Caches(client, sources)
        self._caches.subscribe(self._observe)
        self._changed, self._ready = asyncio.Event(), asyncio.Event()
        self._served: tuple[bytes, bytes] | None = None
        self._unstored: Issued | None = None

    async def wait_ready(self) -> None:
        """Wait until there is a certificate in the directory, as `tls.crt` and `tls.key`."""
        await self._ready.wait()

    async def run(self) -> None:
        """Rotate the certificate until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._caches.run())
            await self._lease.lead(self._rotation_loop)

    def _observe(self, change: Change) -> None:
        self._changed.set()
        if change.ref != self._secret or change.new is None:
            return
        if not _is_ours(change.new):
            log.error(
                "the Secret belongs to somebody else: delete it, or choose another name for the webhook's",
                secret=str(self._secret),
            )
            return
        try:
            issued = _issued(change.new)
        except ValueError as error:
            log.warning("the webhook's Secret cannot be served", secret=str(self._secret), error=str(error))
            return
        pair = issued.certificate, issued.key
        if pair != self._served:
            write_pair(self._directory, *pair)
            self._served = pair
            self._ready.set()

    async def _rotation_loop(self) -> None:
        """Look at everything when something has changed or is due; ever more slowly when others keep changing it."""
        backoff = Backoff(_FIRST_PAUSE, _MAX_PAUSE)
        while True:
            started = time.monotonic()
            self._changed.clear()
            try:
                due = await self._look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(due.total_seconds()):
                        await self._changed.wait()
            except KubeError as error:
                log.warning("cannot see to the webhook's certificate", error=str(error))
            await asyncio.sleep(backoff.pause_after(time.monotonic() - started))

    async def _look(self) -> timedelta:
        """Put right what is not. Returns when to look again, if nothing changes before."""
        secret = await self._client.find(self._secret)
        if secret is not None and not _is_ours(secret):
            return _MAX_WAIT
        now = datetime.now(UTC)
        try:
            issued = _issued(secret)
            authority = issued.authority(self._hosts, now + self._lifetimes.renew_before)
        except ValueError as error:
            log.info("issuing a certificate for the webhook", secret=str(self._secret), reason=str(error))
            issued = await self._replace(secret)
        else:
            if len(issued.authorities) > 1 and now >= issued.since + self._lifetimes.overlap:
                issued = await self._store(secret, replace(issued, authorities=(authority,)))
        await self._trust(issued.authorities)
        return self._due(issued)

    def _due(self, issued: Issued) -> timedelta:
        due = issued.until - self._lifetimes.renew_before
        if len(issued.authorities) > 1:
            due = min(due, issued.since + self._lifetimes.overlap)
        return max(timedelta(0), min(due - datetime.now(UTC), _MAX_WAIT))

    async def _replace(self, secret: Object | None) -> Issued:
        earlier = await self._trusted(secret)
        # One that could not be stored is tried again: each that is thrown away would leave its CA in the bundle.
        self._unstored = self._unstored or issue(self._hosts, self._lifetimes.valid)
        own = self._unstored.authorities
        issued = replace(self._unstored, authorities=(*own, *(ca for ca in earlier if ca not in own)))
        await self._trust(issued.authorities)
        if earlier:
            await asyncio.sleep(self._lifetimes.settle.total_seconds())
        await self._store(secret, issued)
        self._unstored = None
        return issued

    async def _trusted(self, secret: Object | None) -> list[x509.Certificate]:
        """Find the CAs by which what is served now may be trusted, wherever they still are."""
        configuration = await self._client.find(self._configuration) or {}
        bundles = [webhook["clientConfig"].get("caBundle", "") for webhook in configuration.get("webhooks", [])]
        bundles.append((secret or {}).get("data", {}).get("ca.crt", ""))
        found: dict[x509.Certificate, None] = {}
        for bundle in bundles:
            with suppress(ValueError):  # somebody's scribble
                found |= dict.fromkeys(x509.load_pem_x509_certificates(base64.b64decode(bundle)))
        now = datetime.now(UTC)
        return [authority for authority in found if now < authority.not_valid_after_utc]

    async def _trust(self, authorities: Iterable[x509.Certificate]) -> None:
        """Make these, and no others, the `caBundle` of every webhook."""
        configuration = await self._client.find(self._configuration)
        if configuration is None:
            return  # it is heard of when it comes
        bundle = base64.b64encode(pem(authorities)).decode()
        wrong = [
            number
            for number, webhook in enumerate(configuration.get("webhooks", []))
            if webhook["clientConfig"].get("caBundle") != bundle
        ]
        if not wrong:
            return
        version = configuration["metadata"]["resourceVersion"]
        unchanged = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        paths = [f"/webhooks/{number}/clientConfig/caBundle" for number in wrong]
        await self._client.json_patch(
            self._configuration, [unchanged, *({"op": "add", "path": path, "value": bundle} for path in paths)]
        )
        log.info("the API server is told whom to trust", configuration=self._configuration.name, webhooks=len(wrong))

    async def _store(self, secret: Object | None, issued: Issued) -> Issued:
        """Store it in the Secret. KubeError unless that is still as it was read."""
        content = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": pem(issued.authorities)}
        data = {name: base64.b64encode(value).decode() for name, value in content.items()}
        if secret is not None:
            guard = {"resourceVersion": secret["metadata"]["resourceVersion"]}
            await self._client.merge_patch(self._secret, {"metadata": guard, "data": data})
        else:
            labels = {MANAGED_BY: MANAGER}
            meta = {"namespace": self._secret.namespace, "name": self._secret.name, "labels": labels}
            body = {"apiVersion": SECRET.api_version, "kind": SECRET.kind, "metadata": meta}
            await self._client.create(SECRET, {**body, "type": "kubernetes.io/tls", "data": data})
        return issued


def write_pair(directory: Path, certificate: bytes, key: bytes) -> None:
    """Write `tls.crt` and `tls.key`, both at once, as the kubelet does it: they are links by way of `..data`.

    Nobody else can read the key.
    """
    directory.mkdir(parents=True, exist_ok=True)
    data = directory / "..data"
    before = data.resolve() if data.is_symlink() else None
    version = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    for name, content in (("tls.crt", certificate), ("tls.key", key)):
        (version / name).write_bytes(content)
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(Path("..data") / name)
    link = directory / f"{version.name}-link"
    link.symlink_to(version.name)
    link.replace(data)
    if before:
        shutil.rmtree(before, ignore_errors=True)


def _is_ours(secret: Object) -> bool:
    return bool(secret["metadata"].get("labels", {}).get(MANAGED_BY) == MANAGER)


def _issued(secret: Object | None) -> Issued:
    """Read what the Secret holds. ValueError says why it cannot be served."""
    if secret is None:
        raise ValueError("there is none yet")
    data = secret.get("data", {})
    return read(*(base64.b64decode(data.get(name, "")) for name in ("tls.crt", "tls.key", "ca.crt")))
