"""schemathesis makes up requests from the OpenAPI document, good and bad ones, and follows its links."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

_CONFIG = Path(__file__).with_name("schemathesis.toml")
_COMMAND = (sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIG), "run", "--no-color")
_PHASES = ("Examples", "Coverage", "Fuzzing", "Stateful")


async def test_every_answer_is_one_that_the_document_tells_of(url, operations, tmp_path):
    """And none is a 5xx; what the schemas forbid is refused, what they allow is done."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND, f"{url}/openapi.json", stdout=PIPE, stderr=STDOUT, cwd=tmp_path
    )
    output, _ = await process.communicate()
    report = output.decode()
    assert process.returncode == 0, report
    assert f"Tested: {len(operations)}" in report, report
    assert all(f"✅ {phase}" in report for phase in _PHASES), report
