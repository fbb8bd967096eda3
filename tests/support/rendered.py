"""What `experiment-operator render` prints."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from kube.objects import Object


@dataclass(frozen=True)
class Rendered:
    """What `experiment-operator render` came to."""

    code: int
    text: str
    lines: list[str]
    """On standard error."""

    @property
    def objects(self) -> list[Object]:
        return list(yaml.load_all(self.text, yaml.CSafeLoader))
