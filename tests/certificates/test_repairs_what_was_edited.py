"""Whatever somebody does to the `caBundle` or to the Secret, the API server can soon call the webhook again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from webhook.x509 import issue, pem

DAY = timedelta(days=1)


@pytest.mark.parametrize("bundle", [b"", b"no PEM", pem(issue(["127.0.0.1"], DAY).authorities)])
async def test_a_bundle_that_was_edited(replicas, bundle):
    await replicas.configure()
    await replicas.start()
    before = await replicas.settled()
    await replicas.set_bundles(bundle)
    assert await replicas.settled() == before


async def test_a_configuration_that_was_deleted_and_created_again(replicas):
    await replicas.configure()
    await replicas.start()
    before = await replicas.settled()
    await replicas.delete(replicas.configuration)
    await replicas.configure()
    assert await replicas.settled() == before


def _as_data(issued):
    return {"tls_crt": issued.certificate, "tls_key": issued.key, "ca_crt": pem(issued.authorities)}


@pytest.mark.parametrize(
    "edit",
    [
        {"tls_crt": b"garbage"},
        {"tls_key": b""},
        {"tls_key": issue(["127.0.0.1"], DAY).key},
        {"ca_crt": b"garbage"},
        {"ca_crt": pem(issue(["127.0.0.1"], DAY).authorities)},
        _as_data(issue(["another-service.example.svc"], 90 * DAY)),
        _as_data(issue(["127.0.0.1", "webhook.example.svc"], -timedelta(minutes=1))),
    ],
    ids=["no certificate", "no key", "another key", "no CA", "another CA", "another name", "expired"],
)
async def test_a_secret_that_was_edited(replicas, edit):
    await replicas.configure()
    await replicas.start()
    before = await replicas.settled()
    await replicas.edit(**edit)
    after = await replicas.settled(other_than=before.certificate)
    # By which those replicas are trusted that have not heard of it yet.
    assert before.authorities[0] in after.authorities


async def test_a_secret_that_was_deleted(replicas):
    await replicas.configure()
    await replicas.start()
    before = await replicas.settled()
    await replicas.delete(replicas.secret)
    after = await replicas.settled(other_than=before.certificate)
    assert before.authorities[0] in after.authorities


async def test_what_was_edited_while_no_replica_ran_is_repaired(replicas):
    await replicas.configure()
    first = await replicas.start()
    await replicas.settled()
    await first.stop()
    await replicas.edit(tls_crt=b"garbage")
    await replicas.start()
    await replicas.settled(other_than=b"garbage")


async def test_a_secret_that_was_frozen(replicas):
    """It cannot be written. Trying again and again must not fill the bundle with CAs that were never used."""
    await replicas.configure()
    replica = await replicas.start()
    before = await replicas.settled()
    await replicas.kube.merge_patch(replicas.secret, {"data": {"ca.crt": ""}, "immutable": True})
    for _ in range(3):
        attempt = replica.hold("patch Secret")
        await attempt.reached.wait()
        attempt.release()
    assert all(len(replicas.authorities(bundle)) == 2 for bundle in await replicas.bundles())
    await replicas.delete(replicas.secret)
    after = await replicas.settled(other_than=before.certificate)
    assert before.authorities[0] in after.authorities
