"""Drawings as SVG, made here: sparklines of executions and plots of metrics over time. Pure.

Colours are classes, of which the style sheet knows the rest; what a drawing shows is also said in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_BAR, _STEP, _HEIGHT = 5, 7, 24
_LEAST = 2
_WIDTH, _TALL, _MARGIN = 320, 96, 8

_OPEN = Markup('<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">')
_RECT = Markup('<rect class="{}" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>')
_LINE = Markup('<line class="{}" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>')
_CIRCLE = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}</title></circle>')
_POLYLINE = Markup('<polyline class="line" points="{}"/>')
_CLOSE = Markup("</svg>")

TONES = {"Passed": "good", "Failed": "bad", "Errored": "warn", "NotEvaluated": "quiet"}
"""How a verdict looks."""


@dataclass(frozen=True, slots=True)
class Point:
    """An execution in a drawing. `value` is 0 to 1, None where there is no such."""

    verdict: str
    value: float | None
    label: str = ""


def sparkline(points: Sequence[Point]) -> Markup:
    """Draw a bar for each execution, the oldest first: as high as the share of metrics that passed."""
    if not points:
        return Markup("")
    width = len(points) * _STEP
    words = f"The last {len(points)} executions, the oldest first: " + ", ".join(_told(each) for each in points)
    bars = [_bar(number * _STEP, each) for number, each in enumerate(points)]
    return Markup("").join([_OPEN.format("spark", width, _HEIGHT, width, _HEIGHT, words), *bars, _CLOSE])


def _bar(x: int, point: Point) -> Markup:
    height = max(_LEAST, (point.value or 0.0) * _HEIGHT)
    return _RECT.format(TONES.get(point.verdict, "quiet"), x, _HEIGHT - height, _BAR, height)


def _told(point: Point) -> str:
    return point.verdict if point.value is None else f"{point.verdict} {point.value:.0%}"


def plot(name: str, points: Sequence[Point]) -> Markup:
    """Draw the scores of one metric, the oldest first, between 0 and 1."""
    scored = [each for each in points if each.value is not None]
    words = f"{name}, the oldest first: " + ", ".join(f"{each.value:.2f}" for each in scored)
    gap = (_WIDTH - 2 * _MARGIN) / max(1, len(points) - 1)
    places = [(_MARGIN + number * gap, _y(each.value or 0.0), each) for number, each in enumerate(points)]
    drawn = [(x, y, each) for x, y, each in places if each.value is not None]
    parts = [
        _OPEN.format("plot", _WIDTH, _TALL, _WIDTH, _TALL, words),
        *(_LINE.format("grid", _MARGIN, _y(level), _WIDTH - _MARGIN, _y(level)) for level in (0.0, 0.5, 1.0)),
        _POLYLINE.format(" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in drawn)),
        *(_CIRCLE.format(TONES.get(each.verdict, "quiet"), x, y, each.label) for x, y, each in drawn),
        _CLOSE,
    ]
    return Markup("").join(parts)


def _y(value: float) -> float:
    return _TALL - _MARGIN - min(1.0, max(0.0, value)) * (_TALL - 2 * _MARGIN)
