"""A scenario as text with a comment over every value.

Enters: values by dotted key, each with its basis. Leaves: YAML in the style of the shipped ones.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from executor.base.yaml_positions import load_value
from simulation.importers.findings import Finding

Tree = dict[str, Finding]
"""Values by dotted key; keys of one mapping stand side by side."""
_WIDTH = 100


def with_comments(head: Sequence[str], plain: Mapping[str, str], root: Tree) -> str:
    """The whole text.

    Args:
        head: Paragraphs of the comment at the top.
        plain: Keys at the top that need no word.
        root: All others.
    """
    lines = [line for text in head for line in _comment(text, 0)]
    lines += [f"{key}: {value}" for key, value in plain.items()]
    open_keys: list[str] = []
    for dotted, told in root.items():
        *parents, last = dotted.split(".")
        shared = 0
        while shared < min(len(parents), len(open_keys)) and parents[shared] == open_keys[shared]:
            shared += 1
        if shared == 0:
            lines.append("")
        for depth in range(shared, len(parents)):
            lines.append(f"{'  ' * depth}{parents[depth]}:")
        open_keys = parents
        indent = 2 * len(parents)
        for text in told.basis.split("\n"):
            lines += _comment(text, indent)
        lines.append(f"{' ' * indent}{last}: {flow(told.value)}")
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: int) -> list[str]:
    """Wrapped; of lines after the first it shows that they go on."""
    if not text:
        return []
    clean = "".join(one if one.isprintable() else "�" for one in text)
    start = " " * indent + "# "
    return textwrap.wrap(
        clean, _WIDTH, initial_indent=start, subsequent_indent=start + "  ", break_on_hyphens=False
    )


def flow(value: Any) -> str:
    """A value in one line, texts in quotes where they would else be something else."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(one) for one in value) + "]"
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value)
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _is_plain(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9][\w./%+-]*", text)) and load_value(text) == text


def safe_key(name: str) -> str:
    """A service's name as a key that ``--set`` can reach: letters, digits, ``-`` and ``_``."""
    key = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "service"
    return key if _is_plain(key) else f"service-{key}"
