"""The version stands in pyproject.toml; chart, kustomize and docs have the same, and the chart has CRD and alerts."""

from __future__ import annotations

import re

import pytest
import yaml

from release import carry


def test_everything_is_where_it_has_to_be():
    assert [str(path.relative_to(carry.ROOT)) for path in carry.stale()] == [], "run make carry"


@pytest.mark.parametrize("to", ["2.3.4", "2.3.4rc1"])
def test_a_new_version_reaches_chart_kustomize_and_docs(monkeypatch, to):
    monkeypatch.setattr(carry, "version", lambda: to)
    changed = {str(path.relative_to(carry.ROOT)): text for path, text in carry.stale().items()}
    chart = yaml.safe_load(changed["deploy/chart/Chart.yaml"])
    assert (chart["version"], chart["appVersion"], chart["apiVersion"]) == (to, to, "v2")
    assert yaml.safe_load(changed["deploy/base/kustomization.yaml"])["images"] == [
        {"name": "experiment-operator", "newTag": to}
    ]
    install = changed["docs/install.md"]
    named = re.findall(r"platform/experiment-operator:(\S+)|newTag: (\S+)", install)
    assert {each for found in named for each in found if each} == {to}
