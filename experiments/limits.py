"""How much may be read of what people send or name as a file, counted before or while it is read.

A few bytes can stand for gigabytes (aliases), and a few megabytes can hold a million values. Nothing that passes these
limits takes long, or much memory, in whatever comes after reading: validation, plan, answer.
"""

from __future__ import annotations

import re

MAX_BYTES = 3 * 1024 * 1024
"""What the API server takes in one request."""
MAX_DOCUMENTS = 1_000
MAX_VALUES = 200_000
"""Keys count as well. In experiment.json each has a line, or half of one: a ConfigMap has no room for so many."""
MAX_DEPTH = 500

# A string counts as one, and takes all the rest where it does not end. Each character is looked at once.
_JSON_TOKENS = re.compile(r'[\s:,]*+("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\]]|[^\s{}\[\],:"]++|\Z)', re.DOTALL)


class TooMuch(Exception):  # noqa: N818 - an answer, not a programming error
    """`str(error)` says of what, as the end of a sentence that begins with the text's name."""


class Budget:
    """What of the limits a text has used up."""

    def __init__(self) -> None:
        self.values = self.characters = 0

    def spend(self, values: int, characters: int) -> None:
        """Count them. Raises TooMuch."""
        self.values += values
        self.characters += characters
        if self.values > MAX_VALUES:
            raise TooMuch(f"holds more than {MAX_VALUES:,} values, all that its aliases stand for included")
        if self.characters > MAX_BYTES:
            raise TooMuch(f"has more than {MAX_BYTES:,} characters, all that its aliases stand for included")


def check_size(content: bytes | bytearray) -> None:
    """Refuse what no API server takes. Raises TooMuch."""
    if len(content) > MAX_BYTES:
        raise TooMuch(f"has more than {MAX_BYTES:,} bytes, which no API server takes")


def check_documents(count: int) -> None:
    """Refuse more documents than a file is meant to hold. Raises TooMuch."""
    if count > MAX_DOCUMENTS:
        raise TooMuch(f"holds more than {MAX_DOCUMENTS:,} documents")


def check_depth(levels: int, max_depth: int = MAX_DEPTH) -> None:
    """Refuse what is deeper than parsers and writers go. Raises TooMuch."""
    if levels > max_depth:
        raise TooMuch(f"is nested too deeply: more than {max_depth} levels")


def check_json(text: str, *, max_values: int = MAX_VALUES, max_depth: int = MAX_DEPTH) -> None:
    """Refuse JSON that would become too many objects, or too deep ones, before it is parsed. Raises TooMuch.

    What is no JSON passes: it is up to the parser, which gets no further than to the fault.
    """
    values = levels = 0
    for token in _JSON_TOKENS.finditer(text):
        match text[token.start(1) : token.start(1) + 1]:
            case "":
                return
            case "[" | "{":
                levels += 1
                check_depth(levels, max_depth)
            case "]" | "}":
                levels -= 1
                if levels < 0:
                    return
                continue
        values += 1
        if values > max_values:
            raise TooMuch(f"holds more than {max_values:,} values")
