"""Where the files of `deploy/` are that commands need: an installed wheel has them in this package (pyproject.toml)."""

from __future__ import annotations

from pathlib import Path


def _directory(name: str) -> Path:
    packaged = Path(__file__).with_name(name)
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "deploy" / name


TEMPLATES = _directory("testkube")
"""The phase templates, as TestWorkflowTemplates."""

WEBHOOK = _directory("webhook")
"""The ValidatingWebhookConfiguration."""

SAMPLES = _directory("samples")
"""Experiments, and the Agent that they evaluate."""
