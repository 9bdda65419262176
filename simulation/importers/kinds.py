"""The kinds of source files: each file is recognised by its content and read by its kind's reader.

To add a kind, write a module in `readers` with `KIND`, `looks_like` and `read`, and name it in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from executor.base.errors import BadInput
from simulation.importers import unread
from simulation.importers.findings import Findings
from simulation.importers.readers import (
    access_log,
    calibration,
    haproxy_log,
    haproxy_stat,
    load_test,
    manifest,
    nginx_plus,
    prometheus,
    table,
)
from simulation.importers.source import Source, shorten_line


@dataclass(frozen=True)
class SourceKind:
    """A kind of source file.

    Attributes:
        name: The name of the kind, in words.
        looks_like: Returns whether the first lines of a file are of this kind.
        read: Returns the findings from files of this kind; raises `BadInput`.
        together: Whether several files are read as one source, such as a log and its rotated parts.
    """

    name: str
    looks_like: Callable[[Sequence[str]], bool]
    read: Callable[[Sequence[Source]], Findings]
    together: bool


KINDS = (
    SourceKind(calibration.KIND, calibration.looks_like, calibration.read, together=False),
    SourceKind(haproxy_stat.KIND, haproxy_stat.looks_like, haproxy_stat.read, together=False),
    SourceKind(prometheus.KIND, prometheus.looks_like, prometheus.read, together=False),
    SourceKind(nginx_plus.KIND, nginx_plus.looks_like, nginx_plus.read, together=True),
    SourceKind(haproxy_log.KIND, haproxy_log.looks_like, haproxy_log.read, together=True),
    SourceKind(access_log.KIND, access_log.looks_like, access_log.read, together=True),
    SourceKind(manifest.KIND, manifest.looks_like, manifest.read, together=True),
    SourceKind(load_test.KIND, load_test.looks_like, load_test.read, together=False),
    SourceKind(table.KIND, table.looks_like, table.read, together=False),
)
"""The kinds in the order in which they are tried; a plain table is tried last."""


def read_files(paths: Sequence[Path]) -> list[Findings]:
    """Return the findings from files, read by kind.

    Raises:
        BadInput: A file cannot be read, is of no known kind, is given twice, or is damaged.
    """
    grouped: dict[str, list[Source]] = {}
    kinds: dict[str, SourceKind] = {}
    known_paths: list[Path] = []
    for path in paths:
        source = Source.open(path)
        if path.resolve() in known_paths:
            raise BadInput(f"{path}: is given twice")
        known_paths.append(path.resolve())
        kind = kind_of(source)
        key = kind.name if kind.together else f"{kind.name} {path}"
        grouped.setdefault(key, []).append(source)
        kinds[key] = kind
    return [kinds[key].read(sources) for key, sources in grouped.items()]


def kind_of(source: Source) -> SourceKind:
    """Return the first kind that the beginning of a file looks like.

    Raises:
        BadInput: The file is of no known kind.
    """
    head = [line for line in source.head if line.strip()]
    *others, last = KINDS
    for kind in others:
        if kind.looks_like(head):
            return kind
    advice = unread.advise(head, source.shell_word)
    if advice is not None:
        raise BadInput(f"{source.path}: {advice}; docs/importing.md says what is read")
    if last.looks_like(head):
        return last
    tried = ", ".join(kind.name for kind in KINDS)
    raise BadInput(
        f"{source.path}:1: cannot tell what this is, tried {tried}: {shorten_line(head[0])}; "
        "docs/importing.md says what each looks like"
    )
