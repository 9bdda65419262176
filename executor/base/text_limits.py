"""Limits on the size of files and of YAML texts, checked before anything is built of them.

A few lines of YAML can expand to a thousand million values: an alias repeats the value of its anchor,
and anchors may contain aliases. A gzip of one megabyte may unpack to a gigabyte.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from executor.base.errors import BadInput

MOST_YAML_BYTES = 4 << 20
"""Maximum size of a scenario or an inventory. 5,000 instances, each described, take about 1 MiB."""

MOST_PLAN_BYTES = 256 << 20
"""Maximum size of a plan. A plan that replays a log holds the time of every request."""

MOST_YAML_VALUES = 1_000_000
"""Maximum number of values in a YAML text after every alias is expanded."""

MOST_YAML_LEVELS = 100
"""Maximum depth of values within values in YAML."""

MOST_DIGITS = 40
"""Maximum length of a whole number in YAML, in characters. Python refuses above 4,300 digits only."""

MOST_UNPACKED_BYTES = 1 << 30
"""Maximum size of a trace, or of a file to import that is read as a whole, unpacked."""

MOST_PACKED_RATIO = 200
"""Maximum ratio of a gzip's content to its size. Logs and traces have 5 to 50, a bomb has 1,000."""

_FREE_BYTES = 16 << 20
"""Size of content up to which `MOST_PACKED_RATIO` does not apply, in bytes."""

_CHUNK_BYTES = 1 << 20


class TooLarge(MarkedYAMLError):
    """A YAML text that exceeds a limit; `problem` names the limit, `problem_mark` the place."""


def size_text(size_bytes: int) -> str:
    """Return a size in the form of messages, such as ``4 MiB``."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.4g} {unit}"
    return f"{size_bytes} bytes"


def read_limited_bytes(path: Path, most_bytes: int) -> bytes:
    """Return the content of a file; never read more than the limit.

    Raises:
        OSError: The file cannot be read.
        BadInput: The file is larger than ``most_bytes``.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size  # 0 for a pipe or a device
        if size > most_bytes:
            raise BadInput(f"{path}: {size_text(size)}: must not exceed {size_text(most_bytes)}")
        content = bytearray()  # by chunks: `read(n)` reserves n bytes even for a small file
        while len(content) <= most_bytes and (chunk := file.read(_CHUNK_BYTES)):
            content += chunk
    if len(content) > most_bytes:
        raise BadInput(f"{path}: must not exceed {size_text(most_bytes)}")
    return bytes(content)


def read_limited_text(path: Path, most_bytes: int) -> str:
    """Return the text of a UTF-8 file, with line ends as `Path.read_text` has them.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: The file holds no UTF-8.
        BadInput: The file is larger than ``most_bytes``.
    """
    text = read_limited_bytes(path, most_bytes).decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_unpacked(path: Path, most_bytes: int = MOST_UNPACKED_BYTES) -> bytes:
    """Return the content of a file, unpacked where its name ends in ``.gz``.

    Raises:
        OSError: The file cannot be read.
        EOFError: The gzip is cut short.
        zlib.error: The gzip is damaged.
        BadInput: The content is larger than ``most_bytes``, or much larger than its gzip.
    """
    if path.suffix != ".gz":
        return read_limited_bytes(path, most_bytes)
    packed_bytes = path.stat().st_size
    content = bytearray()
    with gzip.open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            content += chunk
            refuse_bomb(path, packed_bytes, len(content))
            if len(content) > most_bytes:
                raise BadInput(f"{path}: must not exceed {size_text(most_bytes)} unpacked")
    return bytes(content)


def refuse_bomb(path: Path, packed_bytes: int, unpacked_bytes: int) -> None:
    """Refuse a gzip whose content is larger than `MOST_PACKED_RATIO` times its size.

    Raises:
        BadInput: The content is larger.
    """
    if unpacked_bytes > max(_FREE_BYTES, MOST_PACKED_RATIO * packed_bytes):
        raise BadInput(
            f"{path}: {size_text(packed_bytes)}: must not unpack to more than "
            f"{MOST_PACKED_RATIO} times its size"
        )


def refuse_too_large(root: Node) -> None:
    """Refuse a document with too many values, too deep nesting, or too long a number.

    Counting takes time in proportion to the text, not to the expanded document: an alias is the same
    node as its anchor, so each anchor is counted once and its count is added for each alias.

    Raises:
        TooLarge: The document exceeds a limit.
    """
    counts: dict[int, int] = {}
    depths: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, are_children_counted = stack.pop()
        key = id(node)
        if key in counts:
            continue
        children = _children(node)
        if not children:
            _refuse_long_number(node)
            counts[key], depths[key] = 1, 1
        elif are_children_counted:
            open_nodes.discard(key)
            counts[key] = 1 + sum(counts[id(child)] for child in children)
            depths[key] = 1 + max(depths[id(child)] for child in children)
            if counts[key] > MOST_YAML_VALUES:
                _refuse(node, f"comes to more than {MOST_YAML_VALUES:,} values, aliases filled in")
            if depths[key] > MOST_YAML_LEVELS:
                _refuse(node, f"is nested too deeply: must not exceed {MOST_YAML_LEVELS} levels")
        else:
            open_nodes.add(key)
            stack.append((node, True))
            for child in children:
                if id(child) in open_nodes:
                    _refuse(child, "must not hold itself")
                stack.append((child, False))


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, CollectionNode) else []


def _refuse(node: Any, problem: str) -> None:
    anchor = f"&{node.anchor}: " if node.anchor else ""
    raise TooLarge(problem=f"{anchor}{problem}", problem_mark=node.start_mark)


def _refuse_long_number(node: Any) -> None:
    if isinstance(node, ScalarNode) and str(node.tag).endswith(":int"):
        digits = len(node.value)
        if digits > MOST_DIGITS:
            problem = (
                f"{node.value[:20]}…: a number of {digits:,} digits must not exceed {MOST_DIGITS}"
            )
            raise TooLarge(problem=problem, problem_mark=node.start_mark)
