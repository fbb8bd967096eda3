"""What krew, which manages kubectl's plugins, installs as `kubectl experiment`: an archive and its manifest."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from release import carry

_PROGRAM = "kubectl-experiment"


def write(into: Path, downloads: str) -> None:
    """Write both into the directory of a release, which has the wheel. `downloads` is where its files will be."""
    archive = into / f"{_PROGRAM}-{carry.version()}.tar.gz"
    lock, licence = carry.ROOT / "requirements.lock", carry.ROOT / "LICENSE"
    _pack(archive, [carry.ROOT / "deploy" / "krew" / _PROGRAM, *into.glob("*.whl"), lock, licence])
    uri = "/".join(filter(None, [downloads.rstrip("/"), archive.name]))
    manifest = _manifest(uri, hashlib.sha256(archive.read_bytes()).hexdigest())
    (into / "krew-experiment.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False, width=1000), encoding="utf-8")


def _pack(archive: Path, files: Iterable[Path]) -> None:
    with tarfile.open(archive, "w:gz") as packed:
        for file in files:
            packed.add(file, file.name, filter=_of_nobody)


def _of_nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Forget who has packed it, and allow everybody to read it."""
    mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry.replace(uid=0, gid=0, uname="", gname="", mode=mode, deep=False)


def _manifest(uri: str, checksum: str) -> dict[str, Any]:
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "experiment"},
        "spec": {
            "version": f"v{carry.version()}",
            "shortDescription": "Runs agent evaluations and explains them",
            "description": "Asks the experiment-operator of a cluster about Experiments: how each is and why, its "
            "evaluations and their scores, what a change would do; and starts an evaluation.",
            "caveats": "It needs Python 3.11 to 3.14 with venv, and sets itself up at the first call.",
            "platforms": [
                {
                    "selector": {"matchExpressions": [{"key": "os", "operator": "In", "values": ["linux", "darwin"]}]},
                    "uri": uri,
                    "sha256": checksum,
                    "bin": _PROGRAM,
                }
            ],
        },
    }
