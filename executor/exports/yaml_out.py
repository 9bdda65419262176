"""Write plain data as YAML that is easy to read: blocks, one value a line.

A string that YAML could read as another type is quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

# No dot at the begin but in "./": YAML reads .0 and .inf as numbers.
_PLAIN = re.compile(r"(?:\./)?[A-Za-z_/][A-Za-z0-9_./ -]*[A-Za-z0-9_./]|[A-Za-z_]")
_RESERVED = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"}


def yaml_text(data: Any) -> str:
    """Return the data as a YAML document."""
    return "\n".join(_lines(data)) + "\n"


def _lines(data: Any) -> Iterator[str]:
    if isinstance(data, dict | list) and not data:
        yield json.dumps(data)
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _key_lines(f"{_scalar(key)}:", value)
    elif isinstance(data, list):
        for value in data:
            first, *rest = _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(data)


def _key_lines(key: str, value: Any) -> Iterator[str]:
    is_short = isinstance(value, list) and all(isinstance(item, int) for item in value)
    if is_short or not isinstance(value, dict | list) or not value:
        yield f"{key} {json.dumps(value) if isinstance(value, dict | list) else _scalar(value)}"
        return
    yield key
    yield from (f"  {line}" for line in _lines(value))


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    """Return an unprintable character as YAML's escape in double quotes."""
    return f"\\U{ord(letter):08x}"
