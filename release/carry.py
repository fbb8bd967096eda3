"""Carries what stands in one place to where it has to stand again: the version, and what the chart has to hold itself.

python -m release.carry          does so (`make carry`)
python -m release.carry --check  tells, by exit code 1, where it has not been done
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A chart can reach no file outside of it, and links do not survive all that reads charts from Git.
_COPIES = {
    "crds/testbench.agentic-layer.ai_experiments.yaml": "deploy/chart/crds/testbench.agentic-layer.ai_experiments.yaml",
    "deploy/monitoring/dashboard.json": "deploy/chart/files/dashboard.json",
    "deploy/monitoring/rules.yaml": "deploy/chart/files/rules.yaml",
}
# By file, what stands before the version.
_VERSIONS = {
    "deploy/base/kustomization.yaml": r"- name: experiment-operator\n    newTag: ",
    "deploy/chart/Chart.yaml": r"\n(?:version|appVersion): ",
    "docs/install.md": r"/experiment-operator:|/experiment-operator\n    newTag: |kubectl-experiment-",
    "README.md": r"/experiment-operator:",
}


def version() -> str:
    """Return the version, which stands in pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def stale() -> dict[Path, str]:
    """Return the files that are not as they should be, each with the text that it should have."""
    wanted = {ROOT / to: (ROOT / source).read_text(encoding="utf-8") for source, to in _COPIES.items()}
    for name, before in _VERSIONS.items():
        old = (ROOT / name).read_text(encoding="utf-8")
        wanted[ROOT / name] = re.sub(rf"({before})\d+\.\d+\.\d+\w*", rf"\g<1>{version()}", old)
    return {path: text for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text}


def main() -> int:
    """Write them, or with `--check` name them."""
    found = stale()
    for path, text in found.items():
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} is not as it should be: run make carry", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
    return int("--check" in sys.argv and bool(found))


if __name__ == "__main__":
    sys.exit(main())
