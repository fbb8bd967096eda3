"""Debian's Chromium without a screen, and axe-core, which knows what people with disabilities stumble over.

Where one of them is missing, a test that needs it says that this was not tested, and is skipped. `.ci/run` gets both.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import platformdirs
import pytest
from playwright.async_api import Browser, Page, async_playwright

_AXE = Path(platformdirs.user_cache_dir("experiment-operator")) / "axe-core" / "package" / "axe.min.js"
_SERIOUS = {"serious", "critical"}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("NOT TESTED: there is no Chromium here (apt-get install chromium)")
    async with async_playwright() as playwright:
        # As root it has no sandbox of its own. It sees nothing but these pages.
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def stumbling_blocks(page: Page) -> list[str]:
    """Return what axe-core finds that is serious, and where."""
    if not _AXE.is_file():
        pytest.skip(f"NOT TESTED: axe-core is not in {_AXE.parent} (npm pack axe-core)")
    # Not as a script of the page: its policy would refuse that, as it should.
    await page.evaluate(_AXE.read_text())
    found = await page.evaluate("axe.run()")
    return [
        f"{each['id']}: {node['html']}"
        for each in found["violations"]
        if each["impact"] in _SERIOUS
        for node in each["nodes"]
    ]
