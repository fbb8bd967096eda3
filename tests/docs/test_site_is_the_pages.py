"""`make docs-site`: each page as it reads on a forge, alerts lead there, and viewing it asks no other address."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from html.parser import HTMLParser

import pytest
import yaml
from markdown_it import MarkdownIt

from support.clusters import DEPLOY, ROOT

MKDOCS = ROOT / ".venv-release" / "bin" / "mkdocs"
pytestmark = pytest.mark.skipif(
    not MKDOCS.exists(), reason="MKDOCS IS MISSING: the docs site is NOT BUILT (`make docs-site` installs it)"
)
_STRUCTURE = {"h1", "h2", "h3", "li", "ol", "pre", "table", "tr", "ul"}
# What a browser fetches by itself, unlike a link that somebody follows.
_FETCHED = {
    ("link", "href"),
    *((tag, "src") for tag in ("audio", "embed", "iframe", "img", "script", "source", "video")),
}


class Page(HTMLParser):
    """Counts what an article is made of, and notes what a browser would fetch."""

    def __init__(self, text, *, article):
        super().__init__()
        self.structure, self.fetched, self.anchors, self._counts = Counter(), [], set(), not article
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._counts |= tag == "article"
        self.structure[tag] += self._counts and tag in _STRUCTURE
        for name, value in attrs:
            self.fetched += [value] if (tag, name) in _FETCHED else []
            self.anchors |= {value} if name == "id" else set()

    def handle_endtag(self, tag):
        self._counts &= tag != "article"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [MKDOCS, "build", "--strict", "--quiet", "--site-dir", directory]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_each_page_reads_as_on_a_forge(site, pages):
    as_forges_do = MarkdownIt("commonmark").enable("table")
    for page in [each for each in pages if each.parent.name == "docs"]:
        built = site / f"{'index' if page.stem == 'README' else page.stem}.html"
        here = Page(built.read_text(encoding="utf-8"), article=True).structure
        there = Page(as_forges_do.render(page.read_text(encoding="utf-8")), article=False).structure
        assert +here == +there, page.name


def test_alerts_lead_to_a_chapter(site):
    rules = yaml.safe_load((DEPLOY / "monitoring" / "rules.yaml").read_text())["spec"]["groups"]
    leads = [rule["annotations"]["runbook_url"] for group in rules for rule in group["rules"]]
    anchors = Page((site / "runbooks.html").read_text(encoding="utf-8"), article=True).anchors
    assert {lead.partition("#")[2] for lead in leads} <= anchors


def test_viewing_it_asks_no_other_address(site):
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert [each for each in Page(text, article=True).fetched if re.match("(https?:)?//", each)] == [], path.name
        # For diagrams and for a repository's stars, the theme's script would fetch something.
        assert not re.search(r'class="?mermaid|data-md-component="?source', text), path.name
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", path.read_text(encoding="utf-8")), path.name
