"""Finds etcd, kube-apiserver and kube-controller-manager, and makes them when they are nowhere.

Looked for in the directory EXPERIMENT_OPERATOR_ASSETS, in KUBEBUILDER_ASSETS (the variable of envtest), on PATH and in
the cache, in this order; the first place that has all three wins. Otherwise `download` fetches the official releases of
the versions that `controlplane/go.mod` pins, and `build` makes what it could not get.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import filelock
import platformdirs

from localcluster import build, download
from localcluster.errors import BinariesError, DownloadError

MODULE = Path(__file__).with_name("controlplane")
_NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the three are."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path

    @classmethod
    def at(cls, directory: Path) -> Self:
        """Name the three in a directory that holds them all."""
        return cls(*(directory / name for name in _NAMES))

    @classmethod
    def on(cls, path: str) -> Self | None:
        """Find the three that a search path like PATH leads to; None unless all are there."""
        found = [Path(where) for name in _NAMES if (where := shutil.which(name, path=path))]
        return cls(*found) if len(found) == len(_NAMES) else None


def find(environ: Mapping[str, str] = os.environ) -> Binaries | None:
    """Find the binaries where they already are. Raises BinariesError when EXPERIMENT_OPERATOR_ASSETS lacks one."""
    if directory := environ.get("EXPERIMENT_OPERATOR_ASSETS"):
        if found := Binaries.on(directory):
            return found
        raise BinariesError(f"EXPERIMENT_OPERATOR_ASSETS={directory} has to hold {', '.join(_NAMES)}, all executable")
    # What envtest fills KUBEBUILDER_ASSETS with has no kube-controller-manager: then it does not count.
    places = (environ.get("KUBEBUILDER_ASSETS", ""), environ.get("PATH", ""), str(cache_directory(environ)))
    return next((found for place in places if place and (found := Binaries.on(place))), None)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def ensure(
    environ: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = _to_stderr,
    hosts: download.Hosts = download.OFFICIAL,
) -> Binaries:
    """Find or get the binaries, which takes minutes when they have to be built; `say` hears what happens meanwhile.

    Raises BinariesError when they can neither be downloaded nor built. Processes that ask at the same time wait for the
    first one and share what it makes. EXPERIMENT_OPERATOR_DOWNLOAD=off leaves the download out.
    """
    if found := find(environ):
        return found
    cache = cache_directory(environ)
    async with _locked(cache, say):
        if not Binaries.on(str(cache)):
            await _make(cache, say, hosts if environ.get("EXPERIMENT_OPERATOR_DOWNLOAD") != "off" else None)
    return Binaries.at(cache)


async def _make(cache: Path, say: Callable[[str], None], hosts: download.Hosts | None) -> None:
    # What a run that was killed has left there is used.
    unfinished = cache.with_name(f"{cache.name}.unfinished")
    unfinished.mkdir(exist_ok=True)
    if hosts:
        await _download(unfinished, say, hosts)
    if missing := _missing(unfinished):
        await build.build(missing, MODULE, unfinished, pinned_versions()["kubernetes"], say)
    _publish(unfinished, cache)


def _publish(unfinished: Path, cache: Path) -> None:
    cache.mkdir(exist_ok=True)
    for name in _NAMES:
        (unfinished / name).replace(cache / name)
    shutil.rmtree(unfinished)


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Name where the pinned versions' binaries are kept for this platform; shared by all checkouts of this user."""
    return cached(f"controlplane-{'-'.join(_platform())}", MODULE, environ)


def cached(name: str, module: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Name where there is what is made from a Go module: another place as soon as the module pins other versions."""
    parent = environ.get("EXPERIMENT_OPERATOR_CACHE") or platformdirs.user_cache_dir("experiment-operator")
    pins = (module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()
    return Path(parent).absolute() / f"{name}-{hashlib.sha256(pins).hexdigest()[:12]}"


def pinned_versions() -> dict[str, str]:
    """Read the versions, with their `v`, of `kubernetes` and `etcd`."""
    modules = {"kubernetes": r"k8s\.io/kubernetes", "etcd": r"go\.etcd\.io/etcd/server/v3"}
    text = (MODULE / "go.mod").read_text()
    found = {name: re.search(rf"^\s*{module} (v\S+)", text, re.MULTILINE) for name, module in modules.items()}
    return {name: match[1] for name, match in found.items() if match}


async def _download(into: Path, say: Callable[[str], None], hosts: download.Hosts) -> None:
    """Fetch what is missing, all at once; say why when something cannot be had."""
    releases = download.releases(pinned_versions(), *_platform(), hosts)

    async def fetch(name: str) -> None:
        try:
            await download.fetch(releases[name], into / name, say, hosts.connect_limit)
        except DownloadError as error:
            say(f"{error}; {name} will be built")

    await asyncio.gather(*(fetch(name) for name in _missing(into) if name in releases))


def _missing(directory: Path) -> list[str]:
    return [name for name in _NAMES if not (directory / name).exists()]


def _platform() -> tuple[str, str]:
    """Name system and machine as Go does, such as linux and amd64."""
    machine = platform.machine().lower()
    return platform.system().lower(), _ARCHITECTURES.get(machine, machine)


@asynccontextmanager
async def _locked(cache: Path, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Let one process at a time into the body. The lock of a process that was killed is free again."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(f"{cache}.lock")
    waited = 0
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except filelock.Timeout:
            if waited % 10 == 0:
                say(f"Another process makes the binaries of the control plane: waiting for it ({waited} s so far)")
            await asyncio.sleep(1)
            waited += 1
    try:
        yield
    finally:
        lock.release()
