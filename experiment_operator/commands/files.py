"""Files that people name on the command line, as YAML documents; `-` is standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from experiments import yaml as documents
from experiments.limits import MAX_BYTES
from experiments.yaml import Document

STDIN = Path("-")


def read(file: Path, name: str, problems: list[str]) -> Iterator[Document]:
    """Read the documents of a file. What cannot be read becomes `problems`, which call the file `name`."""
    try:
        content = _beginning(file)
    except OSError as error:
        problems.append(f"{name}: {error.strerror}")
    else:
        yield from documents.read(content, name, problems)


def _beginning(file: Path) -> bytes:
    """Read no more of it than shows that there is too much: a file may be endless."""
    if file == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)
