"""The YAML text of a drafted scenario, with the basis of every value as a comment above it."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from executor.base.yaml_positions import load_value
from simulation.importers.findings import Finding

Tree = dict[str, Finding]
"""Findings by dotted key; the keys of one mapping are adjacent."""
_WIDTH = 100


def with_comments(head: Sequence[str], plain: Mapping[str, str], root: Tree) -> str:
    """Return the whole text of a scenario.

    Args:
        head: The paragraphs of the comment at the top.
        plain: Keys at the top without a comment.
        root: All other keys.
    """
    lines = [line for text in head for line in _comment(text, 0)]
    lines += [f"{key}: {value}" for key, value in plain.items()]
    open_keys: list[str] = []
    for dotted, finding in root.items():
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
        for text in finding.basis.split("\n"):
            lines += _comment(text, indent)
        lines.append(f"{' ' * indent}{last}: {flow(finding.value)}")
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: int) -> list[str]:
    """Return a wrapped comment; its continuation lines are indented."""
    if not text:
        return []
    clean = "".join(letter if letter.isprintable() else "�" for letter in text)
    start = " " * indent + "# "
    return textwrap.wrap(
        clean, _WIDTH, initial_indent=start, subsequent_indent=start + "  ", break_on_hyphens=False
    )


def flow(value: Any) -> str:
    """Return a value as YAML in one line, with quotes around texts that YAML would read otherwise."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(child) for child in value) + "]"
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value)
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _is_plain(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9][\w./%+-]*", text)) and load_value(text) == text


def safe_key(name: str) -> str:
    """Return a service's name as a key that ``--set`` can use: letters, digits, ``-`` and ``_``."""
    key = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "service"
    return key if _is_plain(key) else f"service-{key}"
