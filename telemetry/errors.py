"""What can go wrong about telemetry. Apart from what raises it, so that who only catches it loads no metrics."""

from __future__ import annotations


class ListenError(Exception):
    """The address cannot be listened on; the sentence says why."""
