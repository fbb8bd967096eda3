"""Finds helm, and builds it once for all checkouts of this user: what the chart is packed and tested with.

`python -m release.helm` (`make helm`) does so and prints where it is. The version is that of `gomodule/go.mod`. Only
the cache, Go's build cache and its module cache are written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import filelock

from localcluster.binaries import cached

_MODULE = Path(__file__).with_name("gomodule")
_PACKAGE = "helm.sh/helm/v4/cmd/helm"
MISSING = "HELM IS MISSING: the chart is NOT TRIED (`make helm` builds it once, with Go)"


def find() -> Path | None:
    """Find the helm that was built here, or else that of PATH; None where there is neither."""
    built = cached("helm", _MODULE)
    if built.exists():
        return built
    return Path(found) if (found := shutil.which("helm")) else None


def ensure() -> Path:
    """Find helm or build it, which takes about four minutes. Raises RuntimeError with what to install."""
    if found := find():
        return found
    go = shutil.which("go")
    if not go:
        raise RuntimeError("helm is needed, and there is no Go to build it with: install helm or Go 1.26")
    built = cached("helm", _MODULE)
    built.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{built}.lock"):
        if not built.exists():
            print(f"Building helm with {go} into {built.parent} (about four minutes) ...", file=sys.stderr, flush=True)
            _build(go, built)
    return built


def _build(go: str, built: Path) -> None:
    unfinished = built.with_name(f"{built.name}.unfinished")
    command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(unfinished), _PACKAGE]
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    if subprocess.run(command, cwd=_MODULE, env=environ, check=False).returncode:
        raise RuntimeError("helm cannot be built: Go says why above")
    unfinished.replace(built)


def main() -> int:
    """See to it that helm is there, and print where."""
    try:
        print(ensure())
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
