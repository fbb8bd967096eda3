"""The pages, and a desk at which to run what is on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.clusters import ROOT
from support.pages import Block, Desk, blocks_of, new_desk


@pytest.fixture(scope="session")
def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="session")
def blocks(pages: list[Path]) -> list[Block]:
    return [block for page in pages for block in blocks_of(page)]


@pytest.fixture(scope="session")
async def desk(folder: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """Shared by all that do no harm to each other."""
    async with new_desk(tmp_path_factory.mktemp(folder)) as shared:
        yield shared
