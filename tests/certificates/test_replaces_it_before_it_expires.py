"""A certificate is replaced in time, in an order in which the API server knows each CA before it meets it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.polling import until

YEAR = timedelta(days=365)


async def test_a_certificate_is_replaced_again_and_again(replicas):
    await replicas.configure()
    await replicas.start(valid=timedelta(seconds=30), renew_before=timedelta(seconds=29), overlap=timedelta(0))
    issued = await replicas.settled()
    for _ in range(3):
        issued = await replicas.settled(other_than=issued.certificate)
        assert issued.until > datetime.now(UTC)


async def test_the_bundle_first_then_the_secret(replicas):
    await replicas.configure()
    first = await replicas.start()
    old = await replicas.settled()
    await first.stop()

    second = await replicas.start(renew_before=YEAR, valid=2 * YEAR)
    to_bundle, to_secret = second.hold("patch ValidatingWebhookConfiguration"), second.hold("patch Secret")
    await to_bundle.reached.wait()
    assert await replicas.issued() == old
    to_bundle.release()
    await to_secret.reached.wait()
    assert await replicas.issued() == old
    bundle, same = await replicas.bundles()
    assert bundle == same
    authority, earlier = replicas.authorities(bundle)
    assert earlier == old.authorities[0]
    to_secret.release()
    new = await replicas.settled(other_than=old.certificate)
    assert new.authorities == (authority, earlier)


async def test_the_secret_waits_until_api_servers_have_heard_of_the_bundle(replicas):
    await replicas.configure()
    first = await replicas.start()
    old = await replicas.settled()
    await first.stop()

    await replicas.start(renew_before=YEAR, valid=2 * YEAR, settle=YEAR)

    async def announced():
        return all(len(replicas.authorities(bundle)) == 2 for bundle in await replicas.bundles())

    await until(announced)
    for _ in range(20):  # it would follow within one call
        assert await replicas.issued() == old


async def test_the_earlier_authority_leaves_when_all_have_changed_over(replicas):
    await replicas.configure()
    first = await replicas.start()
    old = await replicas.settled()
    await first.stop()

    await replicas.start(renew_before=YEAR, valid=2 * YEAR, overlap=timedelta(seconds=1))

    async def alone():
        data = await replicas.data()
        return data["tls.crt"] != old.certificate and len(replicas.authorities(data["ca.crt"])) == 1

    await until(alone)
    new = await replicas.settled(other_than=old.certificate)
    assert old.authorities[0] not in new.authorities
