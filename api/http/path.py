"""The parameters in the paths of most routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

# Also what keeps quotes out of the queries to Temporal.
Namespace = Annotated[
    str,
    Path(
        max_length=63,
        pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="Of the Experiment.",
        examples=["default"],
    ),
]
Name = Annotated[
    str,
    Path(
        max_length=253,
        pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description="Of the Experiment.",
        examples=["weather"],
    ),
]
