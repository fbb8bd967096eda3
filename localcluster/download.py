"""Downloads official release binaries: etcd from its GitHub releases, the Kubernetes ones from dl.k8s.io.

`binaries` calls this for the versions it pins, where releases exist for the platform (Kubernetes publishes servers for
Linux only). The checksum a file is verified against is the one published beside it, fetched over HTTPS from the same
host: that catches whatever went wrong on the way, not a host that was itself taken over. A download that breaks off is
taken up again where it stopped, by this run or a later one. All of it was tested against a server on the same machine.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from localcluster.errors import DownloadError
from proxies.environment import ProxyError, proxy_for

_READ_LIMIT = 30.0
_SAY_EVERY = 3.0
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where releases are published; a host that does not answer within `connect_limit` seconds is given up."""

    kubernetes: str = "https://dl.k8s.io"
    etcd: str = "https://github.com/etcd-io/etcd/releases/download"
    connect_limit: float = 3.0


OFFICIAL = Hosts()


@dataclass(frozen=True, slots=True)
class Release:
    """A published file, the file with its SHA-256, and which member is meant when it is an archive."""

    url: str
    checksums: str
    member: str = ""


def releases(versions: Mapping[str, str], system: str, machine: str, hosts: Hosts) -> dict[str, Release]:
    """List the releases that exist for a platform (in Go's words), by name of the binary."""
    found: dict[str, Release] = {}
    if machine not in {"amd64", "arm64"}:
        return found
    if system in {"linux", "darwin"}:
        stem = f"etcd-{versions['etcd']}-{system}-{machine}"
        archive = f"{stem}.tar.gz" if system == "linux" else f"{stem}.zip"
        base = f"{hosts.etcd}/{versions['etcd']}"
        found["etcd"] = Release(f"{base}/{archive}", f"{base}/SHA256SUMS", f"{stem}/etcd")
    if system == "linux":
        for name in ("kube-apiserver", "kube-controller-manager"):
            url = f"{hosts.kubernetes}/{versions['kubernetes']}/bin/linux/{machine}/{name}"
            found[name] = Release(url, f"{url}.sha256")
    return found


async def fetch(release: Release, target: Path, say: Callable[[str], None], connect_limit: float) -> None:
    """Make `target` the released binary. Raises DownloadError; what has arrived by then is kept for the next try."""
    part = target.with_name(f"{target.name}.part")
    timeout = httpx.Timeout(_READ_LIMIT, connect=connect_limit)
    headers = {"Accept-Encoding": "identity"}
    async with httpx.AsyncClient(
        follow_redirects=True, timeout=timeout, headers=headers, transport=_ThroughProxies()
    ) as http:
        try:
            response = await http.get(release.checksums)
            digest = _digest(response.raise_for_status().text, release)
            await _fetch_all(http, release.url, part, say)
        except (httpx.HTTPError, ProxyError) as error:
            raise DownloadError(f"cannot download {release.url} ({type(error).__name__} {error})") from error
    with part.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != digest:
        part.unlink()
        raise DownloadError(f"{release.url} has the checksum {actual}, but {digest} was published: not used")
    if release.member:
        _extract(part, release.member)
    part.chmod(0o755)
    part.replace(target)


class _ThroughProxies(httpx.AsyncBaseTransport):
    """A redirect may lead to a host that is reached by another way."""

    def __init__(self) -> None:
        self._transports: dict[str | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_for(str(request.url))
        transport = self._transports.get(proxy) or httpx.AsyncHTTPTransport(proxy=proxy)
        self._transports[proxy] = transport
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


def _digest(checksums: str, release: Release) -> str:
    """Find the digest in `DIGEST  FILE` lines, or in a file that holds the digest alone."""
    file = release.url.rpartition("/")[2]
    for line in checksums.splitlines():
        digest, _, name = line.partition(" ")
        if name.lstrip(" *") in {"", file}:
            return digest
    raise DownloadError(f"{release.checksums} has no checksum of {file}")


async def _fetch_all(http: httpx.AsyncClient, url: str, part: Path, say: Callable[[str], None]) -> None:
    """Fetch until the end, again after each break as long as the last try brought something."""
    while True:
        before = _size(part)
        try:
            return await _fetch_rest(http, url, part, say)
        except httpx.TransportError:
            if _size(part) == before:
                raise


async def _fetch_rest(http: httpx.AsyncClient, url: str, part: Path, say: Callable[[str], None]) -> None:
    done = _size(part)
    async with http.stream("GET", url, headers={"Range": f"bytes={done}-"} if done else {}) as response:
        if response.status_code == 416:  # Nothing is left to fetch.
            return
        response.raise_for_status()
        if response.status_code != 206:
            done = 0
        total = done + int(response.headers.get("Content-Length", 0))
        said = 0.0
        with part.open("ab" if done else "wb") as file:
            async for chunk in response.aiter_raw():
                done += file.write(chunk)
                if time.monotonic() > said + _SAY_EVERY:
                    said = time.monotonic()
                    say(f"Downloading {url}: {done / _MB:.0f} of {total / _MB:.0f} MB")


def _extract(archive: Path, member: str) -> None:
    """Replace the archive by one of its files."""
    extracted = archive.with_suffix(".extracted")
    try:
        with _opened(archive, member) as source, extracted.open("wb") as target:
            shutil.copyfileobj(source, target)
    except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DownloadError(f"the archive does not hold {member} ({error})") from error
    extracted.replace(archive)


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[IO[bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped, zipped.open(member) as file:
            yield file
    else:
        with tarfile.open(archive) as tarred:
            if not (found := tarred.extractfile(member)):
                raise KeyError(member)
            with found as file:
                yield file


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
