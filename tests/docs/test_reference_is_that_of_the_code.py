"""The tables of fields and settings are what docs/reference.py makes of the CRD and of the settings."""

from __future__ import annotations

import runpy
import sys

import pytest

from support.clusters import ROOT

SCRIPT = str(ROOT / "docs" / "reference.py")


def test_the_reference_is_that_of_the_code(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [SCRIPT, "--check"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(SCRIPT, run_name="__main__")
    assert ended.value.code == 0, capsys.readouterr().err
