"""The Experiment's CustomResourceDefinition as a package, so that an installed `experiment-operator crd` finds it.

`kubectl apply -f crds/` takes the YAML beside this file. `Kustomization` there is for `deploy/`: kustomize finds it by
that name, and `kubectl apply -f` passes over it, since it has no extension.
"""

from __future__ import annotations

from importlib import resources


def experiment_crd() -> str:
    """Return the CustomResourceDefinition as YAML, as `kubectl apply -f -` takes it."""
    return (resources.files(__name__) / "testbench.agentic-layer.ai_experiments.yaml").read_text(encoding="utf-8")
