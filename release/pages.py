"""What MkDocs is told besides mkdocs.yml, so that pages written for a forge read the same on the site.

Pages at the top of the repository are part of it, links between the two places are led there, and a heading's anchor is
that of a forge.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parents[1]
# And what they are called there, where case makes no difference everywhere.
_TOP = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "reporting.md"}
_LINK = re.compile(r"\]\((?:\.\./|docs/)?([\w.-]+\.md)(?=[#)])")
_FENCE = re.compile(r"^( *```\w+) \w+$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name headings as forges do."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = _slug
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from the top of the repository."""
    for name, here in _TOP.items():
        files.append(File.generated(config, here, content=(_ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links to where the other page is, here beside this one; leave what a fence says to tests alone."""
    markdown = _FENCE.sub(r"\1", markdown)
    return _LINK.sub(lambda found: f"]({_TOP.get(found[1], found[1])}", markdown)


def _slug(text: str, separator: str) -> str:
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", separator)
