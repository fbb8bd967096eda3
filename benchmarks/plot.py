"""Draws what contenders make of the load that they are offered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

_PANELS = {"per_second": "Ready, a second", "p50_ms": "p50 to Ready, ms", "p95_ms": "p95 to Ready, ms"}


def draw(curves: dict[str, list[dict[str, Any]]], target: Path) -> None:
    """Write a PNG: rate, p50 and p95 over the load offered, a line for each contender."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        for name, points in curves.items():
            offered = [point["offered_per_second"] for point in points]
            axes.plot(offered, [point[key] for point in points], marker="o", markersize=4, label=name)
        axes.set(title=title, xlabel="new Experiments offered, a second", xlim=(0, None))
        axes.grid(visible=True, alpha=0.3)
        if key == "per_second":
            axes.axline((0, 0), slope=1, color="grey", linestyle=":", linewidth=1)  # where all that is offered is done
        else:
            axes.set_yscale("log")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(curves), frameon=False)
    figure.savefig(target, dpi=120)
