"""Files that people name on the command line, as YAML documents; `-` is standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from experiments import yaml as documents
from experiments.yaml import Document

STDIN = Path("-")


def read(file: Path, name: str, problems: list[str]) -> Iterator[Document]:
    """Read the documents of a file. What cannot be read becomes `problems`, which call the file `name`."""
    try:
        content = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
    except OSError as error:
        problems.append(f"{name}: {error.strerror}")
    else:
        yield from documents.read(content, name, problems)
