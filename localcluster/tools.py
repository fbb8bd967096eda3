"""Finds `kubectl` and `temporal`, which the wheels of the extra `local` put beside the Python that runs this."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

from localcluster.errors import LocalClusterError


def tool(name: str) -> Path:
    """Return the path of `name`. Raises LocalClusterError with what to install."""
    found = shutil.which(name, path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]))
    if not found:
        raise LocalClusterError(f"{name} is not installed: pip install 'experiment-operator[local]'")
    return Path(found)
