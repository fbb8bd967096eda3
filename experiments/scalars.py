"""What a scalar in YAML means to kubectl: the rules of go-yaml v2, and what of its values is left in JSON.

To it, `12:30` and `2026-11-23` are texts, `1e3` is a number and `y` is true. Whole numbers beyond 64 bits become
floating point, as the API server keeps them, and a key is the text that Go makes of it.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import math
import re
import struct
from bisect import bisect_left
from decimal import Decimal
from functools import lru_cache
from typing import Any

BOOL = r"y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF"
NULL = "~|null|Null|NULL|"
_PREFIX = "tag:yaml.org,2002:"
MERGE_TAG = f"{_PREFIX}merge"
_RESOLVED = frozenset({"str", "bool", "int", "float", "null", "timestamp"})
_WORDS: dict[str, Any] = {
    **dict.fromkeys(BOOL.split("|")[:11], True),
    **dict.fromkeys(BOOL.split("|")[11:], False),
    **dict.fromkeys(NULL.split("|"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((sign + word for sign in ("", "+") for word in (".inf", ".Inf", ".INF")), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FIRST = frozenset(["", *"+-0123456789.yYnNtTfFoO~"])
_INTEGER = re.compile(
    "[-+]?(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)|(?P<dec>0|[1-9][0-9]*))"
)
_BASES = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_POINT_FIRST = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{1,2}-[0-9]{1,2})"
    r"(?:(?:[Tt](?P<t>[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2})(?:\.[0-9]+)?(?:Z|[-+][0-9]{2}:[0-9]{2}))"
    r"|(?: (?P<s>[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2})(?:\.[0-9]+)?))?"
)
# Python takes no longer ones, and with fewer than 20 digits after the zeros, none is beyond 64 bits.
_LONGEST_INTEGER = 4000
_LONGEST_REMEMBERED = 64
# From here on, Go writes an integral float with an exponent.
_LARGE = 1e21


class Unsigned(float):
    """A whole number that only fits into 64 bits without a sign: JSON has it, a key cannot be one."""


def resolve(tag: str | None, text: str) -> Any:
    """Return what a scalar is that may be more than a text: a plain one, or one with a tag. Raises ValueError."""
    if tag is None:
        return _plain(text) if len(text) <= _LONGEST_REMEMBERED else _resolve(text)
    name = tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else None
    if name == "binary":
        return _binary(text)
    if name not in _RESOLVED or name == "str":
        return text
    found = _resolve(text)
    if name == "float" and type(found) is int:
        return float(found)
    kind = _name(found)
    if name == "timestamp" and _is_timestamp(text):
        return text
    if kind != name:
        raise ValueError(f"cannot decode !!{kind} `{text[:80]}` as a !!{name}")
    return found


def as_json(value: Any) -> Any:
    """Return a scalar as JSON has it: a whole number is one, however it was written. Raises ValueError."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise ValueError(f"JSON has no number {as_key(value)}")
    # Beyond 53 bits, Go writes the digits that tell it from other numbers, and then zeros.
    return int(Decimal(repr(float(value)))) if value.is_integer() and abs(value) < _LARGE else float(value)


def as_key(value: Any) -> str:
    """Return the text that a key becomes in JSON. Raises ValueError."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and not isinstance(value, Unsigned):
        return _float_key(value)
    what = {"dict": "an object", "list": "a list", "NoneType": "null"}.get(type(value).__name__, "so large a number")
    raise ValueError(f"{what} cannot be a key")


def integer(digits: str) -> int | float:
    """Return a whole number as the API server keeps it. Raises ValueError where it is beyond all numbers."""
    if len(digits) < _LONGEST_INTEGER and -(2**63) <= (number := int(digits)) < 2**63:
        return number
    return number_of_json(digits)


def number_of_json(text: str) -> int | float:
    """Return a number of JSON that is not one of 64 bits. Raises ValueError where it is beyond all numbers."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"a number that is out of range: {text[:80]}")
    result: int | float = as_json(value)
    return result


@lru_cache(maxsize=1024)
def _plain(text: str) -> Any:
    return _resolve(text)


def _resolve(text: str) -> Any:
    if text[:1] not in _FIRST:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        value = float(text) if _POINT_FIRST.fullmatch(text) else math.inf
        return text if math.isinf(value) else value
    return _number(text) if text[0] in "+-0123456789" else text


def _number(text: str) -> Any:
    """Return the number that it is, or else the text."""
    digits = text.replace("_", "")
    if len(digits) <= _LONGEST_INTEGER and (found := _INTEGER.fullmatch(digits)):
        base = str(found.lastgroup)
        value = int(found[base], _BASES[base]) * (-1 if digits[0] == "-" else 1)
        if -(2**63) <= value < 2**63:
            return value
        if value < 2**64 and digits[0] not in "+-":
            return Unsigned(value)
    if _FLOAT.fullmatch(digits) and math.isfinite(number := float(digits)):
        return number
    return text


def _name(value: Any) -> str:
    if isinstance(value, Unsigned):
        return "int"
    return {"bool": "bool", "int": "int", "float": "float", "NoneType": "null"}.get(type(value).__name__, "str")


def _binary(text: str) -> str:
    try:
        data = base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("!!binary value contains invalid base64 data") from None
    return data.decode(errors="replace")


def _is_timestamp(text: str) -> bool:
    if not (found := _TIMESTAMP.fullmatch(text)):
        return False
    year, month, day, *time = map(int, re.findall("[0-9]+", f"{found[1]} {found['t'] or found['s'] or ''}"))
    return (
        1 <= month <= 12
        and 1 <= day <= calendar.monthrange(year or 2000, month)[1]
        and all(number < end for number, end in zip(time, (24, 60, 60), strict=False))
    )


def _float_key(value: float) -> str:
    """As Go's FormatFloat(value, 'g', -1, 32) writes it: the shortest text that tells it from other 32-bit numbers."""
    if math.isnan(value):
        return ".nan"
    try:
        short = _to_float32(value)
    except OverflowError:
        short = math.copysign(math.inf, value)
    if math.isinf(short):
        return ".inf" if short > 0 else "-.inf"
    digits = bisect_left(range(8), True, key=lambda n: _to_float32(float(f"{short:.{n}e}")) == short)
    shortest = f"{short:.{digits}e}"
    exponent = int(shortest.partition("e")[2])
    return f"{float(shortest):.9g}" if -4 <= exponent < 6 else shortest


def _to_float32(value: float) -> float:
    result: float = struct.unpack("f", struct.pack("f", value))[0]
    return result
