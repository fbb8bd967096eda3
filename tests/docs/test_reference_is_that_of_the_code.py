"""The tables of fields and settings are what docs/reference.py makes of the CRD and of the settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_reference_is_that_of_the_code():
    script = Path(__file__).parents[2] / "docs" / "reference.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
