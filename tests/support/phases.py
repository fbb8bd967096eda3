"""The published phases, installed once for all checkouts of this user, and `make phases-check`, which tests with them.

They need a newer Python than this project and 900 MB, so they have a virtual environment of their own in the cache. It
is kept as long as requirements-phases.lock stays the same, and made anew in its place otherwise.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import platformdirs

_ROOT = Path(__file__).parents[2]
_LOCK = _ROOT / "requirements-phases.lock"
_NEEDED = (3, 12)
_NAMES = ("python3.12", "python3.13", "python3.14", "python3")


def python() -> Path | None:
    """Find the interpreter that has the phases of the present lock file; None where they are not installed."""
    interpreter = _directory() / "bin" / "python"
    mark = _mark()
    return interpreter if mark.exists() and mark.read_text() == _digest() and _runs(interpreter) else None


def main(arguments: list[str]) -> int:
    """Install the phases where they are missing, and run their tests; 0 where there is no Python for them."""
    if not python():
        base = _base_python()
        if base is None:
            print(
                "phases-check: nothing done, since there is no Python 3.12 or newer on PATH (PHASES_PYTHON names one)"
            )
            return 0
        _install(base)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "tests/phases", *arguments], cwd=_ROOT, check=False
    ).returncode


def _install(base: str) -> None:
    directory = _directory()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{directory}.lock"):
        if python():
            return
        print(f"phases-check: installing the phases with {base} into {directory} (a minute, 900 MB)", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([base, "-m", "venv", "--without-pip", directory], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(directory / "bin" / "python"), "install", "--quiet"]
        options = ["--disable-pip-version-check", "--no-cache-dir", "--require-hashes", "--requirement", str(_LOCK)]
        subprocess.run([*pip, *options], check=True)
        _mark().write_text(_digest())


def _base_python() -> str | None:
    """The interpreter that PHASES_PYTHON names, else the first that is new enough. Exits where the named one is not."""
    if named := os.environ.get("PHASES_PYTHON"):
        if _runs(named):
            return named
        sys.exit(f"phases-check: PHASES_PYTHON={named} is not a Python 3.12 or newer")
    return next((found for found in _interpreters() if _runs(found)), None)


def _interpreters() -> Iterator[str]:
    yield sys.executable
    yield from (found for name in _NAMES if (found := shutil.which(name)))


def _runs(interpreter: str | Path) -> bool:
    """Whether it is there, can be run (what pyenv puts on PATH often cannot), and is new enough."""
    check = f"import sys; sys.exit(sys.version_info < {_NEEDED})"
    try:
        return subprocess.run([interpreter, "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _directory() -> Path:
    parent = os.environ.get("EXPERIMENT_OPERATOR_CACHE") or platformdirs.user_cache_dir("experiment-operator")
    return Path(parent).absolute() / "phases"


def _mark() -> Path:
    """Written last, with the digest of the lock file that was installed."""
    return _directory() / "installed"


def _digest() -> str:
    return hashlib.sha256(_LOCK.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
