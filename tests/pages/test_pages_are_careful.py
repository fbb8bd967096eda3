"""A page loads nothing from elsewhere, runs nothing that others wrote, and is framed by nobody."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import httpx
import pytest

from support.clusters import ROOT

_STATIC = ROOT / "api" / "pages" / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@pytest.mark.parametrize("path", ["/", "/trends", "/?redy=1", "/experiments/nobody/nothing"])
async def test_each_page_comes_with_the_policy(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.headers["content-security-policy"] == _POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"


def test_templates_have_no_script_or_style_of_their_own_and_no_foreign_address() -> None:
    for template in (ROOT / "api" / "pages" / "templates").glob("*.html"):
        text = template.read_text()
        assert not re.search(r"<style|\bstyle=|\son\w+=|hx-on|javascript:|<script(?! src=)|https?://", text), template
        assert "|safe" not in text


def test_what_others_wrote_is_as_they_published_it() -> None:
    notice = (_STATIC / "NOTICE.md").read_text()
    for name, digest in re.findall(r"^\| `([^`]+)` .* ([0-9a-f]{64}) \|$", notice, re.MULTILINE):
        assert hashlib.sha256((_STATIC / name).read_bytes()).hexdigest() == digest
    named = set(re.findall(r"^\| `([^`]+)`", notice, re.MULTILINE))
    assert {Path(each).name for each in _STATIC.iterdir()} == named | {"NOTICE.md", "live.js", "style.css"}


async def test_what_pages_load_is_served(http: httpx.AsyncClient) -> None:
    page = (await http.get("/")).text
    for link in re.findall(r'(?:src|href)="\./(static/[^"]+)"', page):
        assert (await http.get(f"/{link}")).status_code == 200
