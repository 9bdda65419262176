"""Which kind of source a file is, told by its content, and what all of them say.

Enters: paths. Leaves: the `Findings` of each kind. Another kind is one more room here with `KIND`,
`looks_like` and `read`, named in `KINDS`.
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
    """A kind of source.

    Attributes:
        name: In words.
        looks_like: Whether the first lines of a file are of it.
        read: What files of it say; refuses with `BadInput`.
        together: Whether several files are one source, such as a log and its rotated parts.
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
"""In the order in which they are tried: a table is what is none of the others."""


def read_files(paths: Sequence[Path]) -> list[Findings]:
    """What the files say, each kind by its own room.

    Raises:
        BadInput: A file cannot be read, is of no kind that is known, is given twice, or is damaged.
    """
    grouped: dict[str, list[Source]] = {}
    kinds: dict[str, SourceKind] = {}
    seen: list[Path] = []
    for path in paths:
        source = Source.open(path)
        if path.resolve() in seen:
            raise BadInput(f"{path}: is given twice")
        seen.append(path.resolve())
        kind = kind_of(source)
        key = kind.name if kind.together else f"{kind.name} {path}"
        grouped.setdefault(key, []).append(source)
        kinds[key] = kind
    return [kinds[key].read(sources) for key, sources in grouped.items()]


def kind_of(source: Source) -> SourceKind:
    """The first kind whose lines these could be.

    Raises:
        BadInput: It is none of them.
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
