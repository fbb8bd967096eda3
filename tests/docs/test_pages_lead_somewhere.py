"""Each link leads to a file here and, where it names one, to a heading in it; the index has every page."""

from __future__ import annotations

import re

import pytest

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _prose(page):
    """Without code, which may hold what looks like a link or a heading."""
    return re.sub(
        r"^( *)```.*?^\1```$|^ {4}.*$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def _anchors(page):
    """As GitHub makes them: lower case, punctuation gone, spaces to dashes."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture
def all_pages(pages):
    return [*pages, *(pages[0].parent / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))]


def test_each_link_within_the_repository_resolves(all_pages):
    wrong = []
    for page in all_pages:
        for link in _LINK.findall(_prose(page)):
            if re.match("https?://|mailto:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in _anchors(target)):
                wrong.append(f"{page.name}: {link}")
    assert wrong == []


def test_the_index_has_every_page(pages):
    docs = [page for page in pages if page.parent.name == "docs"]
    index = next(page for page in docs if page.name == "README.md")
    assert set(_LINK.findall(_prose(index))) >= {page.name for page in docs} - {"README.md"}
