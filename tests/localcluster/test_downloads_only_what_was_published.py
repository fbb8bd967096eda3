"""Release binaries come whole and verified, whatever happens on the way; checked against a server on this machine."""

from __future__ import annotations

import asyncio
import io
import os
import random
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest

from localcluster import DownloadError, download

CONTENT = random.Random(0).randbytes(3_000_000)
VERSIONS = {"kubernetes": "v1.2.3", "etcd": "v4.5.6"}


def apiserver(host) -> download.Release:
    host.files["/v1.2.3/bin/linux/amd64/kube-apiserver"] = CONTENT
    return download.releases(VERSIONS, "linux", "amd64", download.Hosts(host.url, host.url))["kube-apiserver"]


async def fetch(release: download.Release, target: Path) -> None:
    await download.fetch(release, target, print, connect_limit=3.0)


async def test_a_download_is_what_was_published_and_can_be_run(host, tmp_path):
    await fetch(apiserver(host), tmp_path / "kube-apiserver")
    assert (tmp_path / "kube-apiserver").read_bytes() == CONTENT
    assert os.access(tmp_path / "kube-apiserver", os.X_OK)


async def test_a_download_that_breaks_off_goes_on_where_it_stopped(host, tmp_path):
    host.break_after = [1_000_000, 500_000]
    await fetch(apiserver(host), tmp_path / "kube-apiserver")
    assert (tmp_path / "kube-apiserver").read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").removesuffix("-") or 0) for asked in host.ranges]
    assert len(starts) == 3
    assert 0 == starts[0] < starts[1] < starts[2]


async def test_a_later_run_goes_on_where_an_earlier_one_stopped(host, tmp_path):
    (tmp_path / "kube-apiserver.part").write_bytes(CONTENT[:2_000_000])
    await fetch(apiserver(host), tmp_path / "kube-apiserver")
    assert (tmp_path / "kube-apiserver").read_bytes() == CONTENT
    assert host.ranges == ["bytes=2000000-"]


async def test_a_host_that_knows_no_ranges_sends_all_of_it_again(host, tmp_path):
    host.knows_ranges = False
    (tmp_path / "kube-apiserver.part").write_bytes(b"x" * 1000)
    await fetch(apiserver(host), tmp_path / "kube-apiserver")
    assert (tmp_path / "kube-apiserver").read_bytes() == CONTENT


async def test_a_file_with_another_checksum_is_refused_and_not_kept(host, tmp_path):
    release = apiserver(host)
    (tmp_path / "kube-apiserver.part").write_bytes(b"x" * 2_000_000)
    with pytest.raises(DownloadError, match="checksum"):
        await fetch(release, tmp_path / "kube-apiserver")
    assert not list(tmp_path.iterdir())
    await fetch(release, tmp_path / "kube-apiserver")


async def test_a_release_that_does_not_exist_is_an_error_with_its_address(host, tmp_path):
    release = apiserver(host)
    del host.files["/v1.2.3/bin/linux/amd64/kube-apiserver"]
    with pytest.raises(DownloadError, match=f"{host.url}/v1.2.3/bin/linux/amd64/kube-apiserver"):
        await fetch(release, tmp_path / "kube-apiserver")


async def test_a_host_that_does_not_answer_is_given_up_after_the_connect_limit(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        release = download.releases(VERSIONS, "linux", "amd64", download.Hosts(url, url))["kube-apiserver"]
        async with asyncio.timeout(20):  # Far below the limit for a host that has answered once.
            with pytest.raises(DownloadError, match="ConnectTimeout"):
                await download.fetch(release, tmp_path / "kube-apiserver", print, connect_limit=0.1)


@pytest.mark.parametrize("system", ["linux", "darwin"])
async def test_etcd_is_taken_out_of_its_archive(host, tmp_path, system):
    release = download.releases(VERSIONS, system, "arm64", download.Hosts(host.url, host.url))["etcd"]
    host.files[release.url.removeprefix(host.url)] = archive(system, f"etcd-v4.5.6-{system}-arm64/etcd")
    await fetch(release, tmp_path / "etcd")
    assert (tmp_path / "etcd").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["etcd"]


def archive(system: str, member: str) -> bytes:
    buffer = io.BytesIO()
    if system == "darwin":
        with zipfile.ZipFile(buffer, "w") as zipped:
            zipped.writestr(member, CONTENT)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tarred:
            info = tarfile.TarInfo(member)
            info.size = len(CONTENT)
            tarred.addfile(info, io.BytesIO(CONTENT))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("system", "machine", "names"),
    [
        ("linux", "amd64", {"etcd", "kube-apiserver", "kube-controller-manager"}),
        ("linux", "arm64", {"etcd", "kube-apiserver", "kube-controller-manager"}),
        ("darwin", "arm64", {"etcd"}),
        ("linux", "riscv64", set()),
    ],
)
def test_only_releases_that_exist_for_the_platform_are_asked_for(system, machine, names):
    assert set(download.releases(VERSIONS, system, machine, download.OFFICIAL)) == names
