"""docs/conditions.md has a heading for each condition type and each reason, so that links to them hold."""

from __future__ import annotations

import re
from pathlib import Path

from experiments.conditions import ConditionType, ExecutionConditionType, Reason

_TYPES = {*ConditionType, *ExecutionConditionType}
_PAGE = (Path(__file__).parents[2] / "docs" / "conditions.md").read_text(encoding="utf-8")


def test_each_type_and_each_reason_has_its_heading_and_nothing_else_has():
    headings = re.findall(r"^### (\S+)$", _PAGE, re.MULTILINE)
    assert sorted(headings) == sorted([*_TYPES, *Reason])


def test_links_within_the_page_lead_somewhere():
    for text, anchor in re.findall(r"\[(\w+)\]\(#([^)]*)\)", _PAGE):
        assert anchor == text.lower()
        assert text in {*_TYPES, *Reason}
