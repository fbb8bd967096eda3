"""TLS from a directory: a new certificate is in use at once, and no request is lost over it."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial

import httpx
import pytest
import structlog

from api.auth.kubernetes import Everybody
from api.http.server import serving
from api.http.tls import Certificate, TlsError
from support.polling import until


@pytest.fixture
async def tls_port(application, secret):
    async with serving(application(Everybody()), "127.0.0.1", 0, Certificate(secret.directory).context) as listening:
        yield listening


@pytest.fixture
def shown(tls_port, secret):
    """The certificate that a new connection is shown."""

    async def connect():
        _, writer = await asyncio.open_connection("127.0.0.1", tls_port, ssl=secret.trust)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return ssl.DER_cert_to_PEM_cert(certificate)

    return connect


async def get(client, port):
    return (await client.get(f"https://127.0.0.1:{port}/healthz")).status_code


async def test_a_new_certificate_is_shown_to_whoever_connects_next(secret, shown):
    for _ in range(3):
        new = secret.rotate()
        assert await shown() == new


async def test_an_open_connection_goes_on(secret, tls_port):
    async with httpx.AsyncClient(verify=secret.trust, trust_env=False) as client:

        async def connection():
            async with client.stream("GET", f"https://127.0.0.1:{tls_port}/healthz") as answer:
                await answer.aread()
                return answer.extensions["network_stream"].get_extra_info("client_addr")

        before = await connection()
        secret.rotate()
        assert await connection() == before


async def test_rotation_under_load_loses_no_request(secret, tls_port):
    """Half of the clients keep their connection, half make a new one for each request."""
    counts = [0] * 8
    done = asyncio.Event()

    async def load(number):
        limits = httpx.Limits(max_keepalive_connections=number % 2)
        async with httpx.AsyncClient(verify=secret.trust, trust_env=False, limits=limits) as client:
            while not done.is_set():
                assert await get(client, tls_port) == 200
                counts[number] += 1

    async def all_went_on(seen):
        return all(now >= before + 2 for now, before in zip(counts, seen, strict=True))

    async with asyncio.TaskGroup() as tasks:
        for number in range(len(counts)):
            tasks.create_task(load(number))
        for round_number in range(1, 11):
            secret.rotate() if round_number % 3 else secret.put(secret.issue().certificate, b"half a ke")
            await until(partial(all_went_on, list(counts)))
        done.set()


@pytest.mark.parametrize("key", [b"", b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQ", "of another certificate"])
async def test_a_pair_that_cannot_be_used_leaves_the_old_one_in_use(secret, shown, key):
    good = await shown()
    with structlog.testing.capture_logs() as logs:
        secret.put(secret.issue().certificate, key if isinstance(key, bytes) else secret.issue().key)
        assert [await shown() for _ in range(3)] == [good] * 3
    assert [line["log_level"] for line in logs] == ["error"]
    assert str(secret.directory) in logs[0]["error"]
    assert secret.rotate() == await shown()


async def test_a_directory_that_is_gone_for_a_moment_comes_back(secret, shown):
    good = await shown()
    away = secret.directory.rename(secret.directory.with_name("away"))
    assert await shown() == good
    away.rename(secret.directory)
    assert await shown() == good


async def test_files_written_one_after_the_other_are_used_once_both_are_there(secret, shown):
    good, new = await shown(), secret.issue()
    (secret.directory / "tls.crt").write_bytes(new.certificate)
    assert await shown() == good
    (secret.directory / "tls.key").write_bytes(new.key)
    assert await shown() == new.certificate.decode()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("tls.crt", None, "cannot read {}/tls.crt: No such file or directory"),
        ("tls.key", None, "cannot read {}/tls.key: No such file or directory"),
        ("tls.crt", b"hello", "{}/tls.crt and tls.key must both be PEM, unencrypted"),
    ],
)
def test_a_directory_without_a_pair_is_refused_with_a_sentence(secret, name, content, sentence):
    (secret.directory / name).unlink()
    if content is not None:
        (secret.directory / name).write_bytes(content)
    with pytest.raises(TlsError) as caught:
        Certificate(secret.directory)
    assert str(caught.value) == sentence.format(secret.directory)
