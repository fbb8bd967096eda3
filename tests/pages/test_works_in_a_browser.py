"""In a real browser: live, by keyboard, on a phone, in the dark, for who cannot see it; and nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from support.browsers import chromium, stumbling_blocks
from support.clusters import ROOT
from support.evaluated import Evaluated, scores
from support.polling import until

_PATIENCE_MS = 45_000
expect.set_options(timeout=_PATIENCE_MS)
_PICTURES = ROOT / "docs" / "pictures"


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
async def page(browser: Browser, http: httpx.AsyncClient) -> AsyncIterator[Page]:
    """One that fails the test for whatever the browser complains of, and reaches nothing but this service."""
    complaints: list[str] = []
    context = await browser.new_context(base_url=str(http.base_url), viewport={"width": 1000, "height": 700})
    context.set_default_timeout(_PATIENCE_MS)
    opened = await context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: complaints.append(request.url) if not _own(request.url, http) else None)
    yield opened
    await context.close()
    assert not complaints


def _own(url: str, http: httpx.AsyncClient) -> bool:
    return url.startswith((str(http.base_url).rstrip("/"), "data:"))


def _path(evaluated: Evaluated, more: str = "") -> str:
    return f"/experiments/{evaluated.target.namespace}/demo{more}"


async def test_an_experiments_page_follows_what_happens(page: Page, evaluated: Evaluated) -> None:
    await page.goto(_path(evaluated))
    await expect(page.locator("#live")).to_have_text("Live")
    await expect(page.locator("#state")).to_contain_text("none yet")
    await evaluated.judged(1.0, 0.3)
    await expect(page.locator("#state")).to_contain_text("Failed")
    await expect(page.locator("#timeline")).to_contain_text("Execution")
    await evaluated.is_ready("False", "TemplateMissing")
    await expect(page.locator("#state")).to_contain_text("TemplateMissing")


async def test_an_executions_page_follows_its_phases(page: Page, evaluated: Evaluated) -> None:
    """Of which no event tells."""
    execution = evaluated.execution("running")
    await page.goto(_path(evaluated, f"/executions/{execution['id']}"))
    evaluated.testkube.set_phases(execution, {"run": "passed", "evaluate": "running"})
    await expect(page.locator("#phases")).to_contain_text("running")
    evaluated.testkube.upload(execution, scores(1.0, 0.3))
    evaluated.testkube.set_status(execution, "passed")
    await evaluated.judge(execution)
    await expect(page.locator("#scores")).to_contain_text("0.30")


async def test_the_list_follows_and_searches_as_one_types(page: Page, evaluated: Evaluated) -> None:
    await evaluated.judged(1.0, 1.0)
    await page.goto("/")
    await page.get_by_label("Search").fill(evaluated.target.namespace)
    await expect(page.locator("#total")).to_have_text("1 Experiment")
    assert f"q={evaluated.target.namespace}" in page.url
    await expect(page.locator("svg.spark")).to_be_visible()
    await expect(page.locator("#live")).to_have_text("Live")
    await evaluated.is_ready("False", "TemplateMissing")
    await expect(page.locator("#experiments")).to_contain_text("TemplateMissing")
    await expect(page.locator("svg.spark")).to_be_visible()
    await page.get_by_label("Search").fill("nothing is called like this")
    await expect(page.locator("#total")).to_have_text("0 Experiments")
    await page.go_back()
    await expect(page.locator("#total")).to_have_text("1 Experiment")


async def test_an_evaluation_by_keyboard_alone(page: Page, evaluated: Evaluated) -> None:
    await page.goto(f"/?q={evaluated.target.namespace}")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await _press_until(page, page.get_by_role("link", name="demo"))
    await _press_until(page, page.get_by_role("link", name="Evaluate now"))
    await _press_until(page, page.get_by_role("button", name="Evaluate"))
    await expect(page).to_have_url(re.compile(r"/executions/[0-9a-f]+$"))
    await _press_until(page, page.get_by_role("button", name="Abort"))
    await expect(page.locator("#state")).to_contain_text("canceled")
    assert len(evaluated.testkube.executions) == 1


async def _press_until(page: Page, wanted: Any) -> None:
    """Go on from one thing to the next until the wanted one has the focus, and press Enter there."""
    await expect(wanted).to_be_visible()
    for _ in range(40):
        if await wanted.evaluate("each => each === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await expect(wanted).to_be_focused()
    await page.keyboard.press("Enter")


async def _all_pages(http: httpx.AsyncClient, evaluated: Evaluated) -> list[str]:
    """One of each kind, with something to see."""
    before = await evaluated.judged(0.95, 0.92, minutes=5)
    execution = evaluated.scored(1.0, 0.3, None)
    evaluated.testkube.set_phases(execution, {"run": "passed", "evaluate": "failed"})
    evaluated.testkube.upload(execution, b"<p>charts", "data/results/evaluation_report.html")
    await evaluated.judge(execution)
    both = f"/executions/compare?base={before['id']}&head={execution['id']}"

    async def listed() -> str:
        return (await http.get(_path(evaluated, "/executions"))).text

    await until(listed, lambda text: text.count("<figure>") == 2 and "the oldest first: 0.92, 0.30" in text)
    more = ("", "/evaluate", "/manifests", "/executions", f"/executions/{execution['id']}", both)
    return [f"/?q={evaluated.target.namespace}", *(_path(evaluated, each) for each in more)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_serious_for_people_with_disabilities(
    page: Page, http: httpx.AsyncClient, evaluated: Evaluated, scheme: Any
) -> None:
    await page.emulate_media(color_scheme=scheme)
    for path in await _all_pages(http, evaluated):
        await page.goto(path)
        assert await stumbling_blocks(page) == [], path


async def test_a_phone_shows_all_of_it(page: Page, http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    await page.set_viewport_size({"width": 360, "height": 700})
    for path in await _all_pages(http, evaluated):
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path


async def test_pictures_for_the_docs(
    page: Page, http: httpx.AsyncClient, evaluated: Evaluated, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """They are made anew with `--pictures`."""
    where = _PICTURES if pytestconfig.getoption("pictures") else tmp_path
    paths = await _all_pages(http, evaluated)
    for name, path in (("list", paths[0]), ("experiment", paths[1]), ("execution", paths[5])):
        await page.goto(path)
        if name == "list":
            await expect(page.locator("svg.spark")).to_be_visible()
        picture = where / f"page-{name}.png"
        picture.parent.mkdir(exist_ok=True)
        await page.screenshot(path=picture)
        assert 1_000 < picture.stat().st_size < 100_000
