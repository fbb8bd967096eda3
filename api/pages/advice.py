"""What a reason of a condition means and what to do about it: docs/conditions.md, shown where the reason is.

An installed wheel has the file in this package (pyproject.toml).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

_PACKAGED = Path(__file__).with_name("conditions.md")
_PAGE = _PACKAGED if _PACKAGED.is_file() else Path(__file__).parents[2] / "docs" / "conditions.md"
# They lead to other pages of the docs, which are not served here.
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


def advice(reason: str) -> Markup:
    """Return what the docs say of a reason; nothing of one that they do not know."""
    return _sections().get(reason, Markup(""))


@cache
def _sections() -> dict[str, Markup]:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    parts = re.split(r"^##+ (.+)$", _PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    titled = zip(parts[::2], parts[1::2], strict=True)
    # The page is ours, and HTML in it would be escaped.
    return {title: Markup(markdown.render(_LINK.sub(r"\1", text))) for title, text in titled}  # noqa: S704
