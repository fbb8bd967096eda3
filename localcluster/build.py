"""Builds the control plane's binaries with Go, from the module `controlplane/` beside this file.

`binaries` calls this for what it could neither find nor download. The first build takes minutes (eight on two cores);
Go's own build cache makes a second one short. Only the given directory, that cache and Go's module cache are written.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from localcluster.errors import BinariesError, ProcessError
from localcluster.processes import Process

_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
}
_SAY_EVERY = 5.0


async def build(names: Sequence[str], module: Path, into: Path, version: str, say: Callable[[str], None]) -> None:
    """Put the binaries `names` into `into`; they will call themselves Kubernetes `version`. Raises BinariesError."""
    go = shutil.which("go")
    if not go:
        raise BinariesError(
            f"{', '.join(names)} cannot be built, because Go is missing: install Go 1.26, or set KUBEBUILDER_ASSETS to "
            "a directory that holds etcd, kube-apiserver and kube-controller-manager"
        )
    packages = [_PACKAGES[name] for name in names]
    say(f"Building {', '.join(names)} {version} with {go} into {into.parent}; the first time this takes minutes")
    listed = await _go([go, "list", "-deps", *packages], module, into, say, _modules_fetched)
    total = len(_packages(listed))

    def packages_compiled(log: str) -> str:
        # Go does not name the packages that it finds in its build cache, so this may end early.
        return f"compiling and linking: {len(_packages(log))} of at most {total} packages"

    output = into / "build"
    flags = ["-trimpath", "-buildvcs=false", f"-ldflags=-s -w -X k8s.io/component-base/version.gitVersion={version}"]
    await _go([go, "build", "-v", *flags, "-o", f"{output}/", *packages], module, into, say, packages_compiled)
    for name, package in zip(names, packages, strict=True):
        # Go names a binary after the last part of its package path that is not a major version.
        built = package.removesuffix("/v3").rpartition("/")[2]
        (output / built).replace(into / name)
    shutil.rmtree(output)


async def _go(
    command: list[str], module: Path, into: Path, say: Callable[[str], None], progress: Callable[[str], str]
) -> str:
    """Run Go in `module`, saying every few seconds how far it is; returns its output. Raises BinariesError."""
    log = into / f"go-{command[1]}.log"
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    process = Process.start(command, log, cwd=module, environ=environ)
    began = said = time.monotonic()
    try:
        while process.running:
            await asyncio.sleep(0.1)
            if time.monotonic() > said + _SAY_EVERY:
                said = time.monotonic()
                say(f"  {progress(log.read_text(errors='replace'))} after {said - began:.0f} s")
        process.check()
    except ProcessError as error:
        raise BinariesError(f"the control plane cannot be built: {error}") from error
    finally:
        await process.stop()
    return log.read_text(errors="replace")


def _modules_fetched(log: str) -> str:
    return f"fetching Go modules: {log.count('go: downloading')}"


def _packages(log: str) -> list[str]:
    """Find the lines of Go's output that name packages; the others are its own remarks."""
    return [line for line in log.splitlines() if not line.startswith("go: ")]
