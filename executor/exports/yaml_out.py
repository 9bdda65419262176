"""Plain data as YAML that people read: blocks, one value a line.

Enters: dicts, lists and scalars. Leaves: text. Whoever reads YAML (or a person) reads it; a string that
could be taken for anything else is quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"(?:\./)?[A-Za-z_/][A-Za-z0-9_./ -]*[A-Za-z0-9_./]|[A-Za-z_]")
_TAKEN = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"}


def yaml_text(data: Any) -> str:
    """The data as a YAML document."""
    return "\n".join(_lines(data)) + "\n"


def _lines(data: Any) -> Iterator[str]:
    if isinstance(data, dict | list) and not data:
        yield json.dumps(data)
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _under(f"{_scalar(key)}:", value)
    elif isinstance(data, list):
        for value in data:
            first, *rest = _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(data)


def _under(key: str, value: Any) -> Iterator[str]:
    is_short = isinstance(value, list) and all(isinstance(one, int) for one in value)
    if is_short or not isinstance(value, dict | list) or not value:
        yield f"{key} {json.dumps(value) if isinstance(value, dict | list) else _scalar(value)}"
        return
    yield key
    yield from (f"  {line}" for line in _lines(value))


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _TAKEN:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(letter: str) -> str:
    """A letter that cannot be seen, as YAML spells it in double quotes."""
    return f"\\U{ord(letter):08x}"
