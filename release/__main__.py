"""`make release`: what a release consists of, in dist/, and nothing is published.

The wheel, what krew installs as `kubectl experiment`, the chart, one install.yaml for each overlay, the phase
templates, a CycloneDX SBOM of what the lock file pins, the image where a Docker engine answers, and SHA256SUMS.
REGISTRY=registry.example.com/platform is where the image will be pulled from; it is said in each install.yaml, and the
image is tagged with it. DOWNLOADS=https://… is where these files will be, which krew's manifest says.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from localcluster.tools import tool
from release import carry, helm, krew

ROOT = carry.ROOT
MANIFESTS = {
    "install-base.yaml": "base",
    "install-single.yaml": "overlays/single",
    "install-ha.yaml": "overlays/ha",
    "install-temporal-cloud.yaml": "overlays/temporal-cloud",
    "phase-templates.yaml": "testkube",
}
_SBOM_TOOL = ROOT / ".venv-release" / "bin" / "cyclonedx-py"


def main() -> int:
    """Make all of it anew."""
    parser = argparse.ArgumentParser(prog="python -m release", description="Make what a release consists of.")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="directory, which is emptied (default: dist)")
    parser.add_argument(
        "--registry", default=os.environ.get("REGISTRY", ""), help="where the image will be pulled from"
    )
    parser.add_argument(
        "--downloads", default=os.environ.get("DOWNLOADS", ""), help="where these files will be downloaded from"
    )
    options = parser.parse_args()
    if found := carry.stale():
        print(f"error: run make carry first, for {', '.join(path.name for path in found)}", file=sys.stderr)
        return 1
    into = options.into.absolute()
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    image = "/".join(filter(None, [options.registry.strip("/"), f"experiment-operator:{carry.version()}"]))
    for make in (_wheel, _chart, _sbom):
        make(into)
    krew.write(into, options.downloads)
    _manifests(into, image)
    _image(into, image)
    _checksums(into)
    print("\n".join(str(path) for path in sorted(into.iterdir())))
    return 0


def _run(*command: str | Path) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _wheel(into: Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-build-isolation", "--no-deps"]
    _run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", into, ".")


def _chart(into: Path) -> None:
    _run(helm.ensure(), "package", "deploy/chart", "--destination", into)


def _sbom(into: Path) -> None:
    output = into / f"experiment-operator-{carry.version()}.cdx.json"
    options = ["--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON", "--output-file", str(output)]
    _run(_SBOM_TOOL, "requirements", *options, "requirements.lock")


def _manifests(into: Path, image: str) -> None:
    """Write what kustomize builds, with the image's whole name."""
    named = f"image: experiment-operator:{carry.version()}"
    for name, where in MANIFESTS.items():
        built = _run(tool("kubectl"), "kustomize", ROOT / "deploy" / where)
        (into / name).write_text(built.replace(named, f"image: {image}"), encoding="utf-8")


def _image(into: Path, image: str) -> None:
    """Build and save it, with the mirrors of the Dockerfile's where they are set; say so where there is no engine."""
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "version"], capture_output=True, check=False).returncode:
        print("No Docker engine answers: there is NO IMAGE in this release", file=sys.stderr)
        return
    revision = _run("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*").strip()
    about = ["--build-arg", f"VERSION={carry.version()}", "--build-arg", f"REVISION={revision}"]
    about += [
        argument for name in ("BASE_IMAGE", "PIP_INDEX_URL") if name in os.environ for argument in ("--build-arg", name)
    ]
    _run(docker, "build", *about, "--tag", image, ".")
    _run(docker, "save", "--output", into / f"experiment-operator-{carry.version()}-image.tar", image)


def _checksums(into: Path) -> None:
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(into.iterdir())]
    (into / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
