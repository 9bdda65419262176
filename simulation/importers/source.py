"""A file to import: its beginning, its lines, and a count of its unreadable lines.

The beginning decides the kind of the file. A gzip is recognised by its first bytes and unpacked.
"""

from __future__ import annotations

import gzip
import json
import shlex
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from executor.base.errors import BadInput
from executor.base.text_limits import MOST_UNPACKED_BYTES, refuse_bomb, size_text
from simulation.scenario.units import why

LONGEST_LINE = 16_384
"""Maximum length of a line that is read whole, in bytes; no log has longer lines."""
MOST_DAMAGED = 0.05
"""Maximum fraction of lines that may be unreadable."""
LONGEST_TEXT_LINE = 16 << 20
"""Maximum length of a line, in bytes; a file with a longer one is refused."""
_SAMPLE_BYTES = 262_144
_SHOWN = 60


@dataclass(frozen=True)
class Source:
    """A file to import.

    Attributes:
        path: The path as it was given.
        head: The first lines of the file, unpacked.
    """

    path: Path
    head: tuple[str, ...]

    @property
    def shell_word(self) -> str:
        """The path quoted for a shell, for commands that a message advises."""
        return shlex.quote(str(self.path))

    @classmethod
    def open(cls, path: Path) -> Source:
        """Read the beginning of a file.

        Raises:
            BadInput: The file cannot be read, is empty, or is not text.
        """
        if not path.exists():
            raise BadInput(f"{path}: cannot be read: No such file or directory")
        if not path.is_file():
            raise BadInput(f"{path}: cannot be read: is not a regular file")
        raw = b"".join(_bytes(path, _SAMPLE_BYTES))
        if b"\0" in raw:
            raise BadInput(f"{path}: holds no text: there is a zero byte in its beginning")
        if not raw.strip():
            raise BadInput(f"{path}: is empty")
        text = raw.decode("utf-8-sig", errors="replace")
        if not text.strip():  # text has more kinds of blanks than bytes
            raise BadInput(f"{path}: is empty")
        if text.count("\ufffd") > len(text) / 10:
            raise BadInput(f"{path}: holds no text in UTF-8")
        return cls(path, tuple(line[:LONGEST_LINE] for line in text.splitlines()))

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line that is not empty, with its number; long lines are cut at `LONGEST_LINE`.

        Raises:
            BadInput: The file cannot be read, its gzip is incomplete, or a line is too long.
        """
        number = 0
        rest_of_line = False
        line_bytes = 0
        for raw in _bytes(self.path):
            line_bytes = line_bytes + len(raw) if rest_of_line else len(raw)
            if line_bytes > LONGEST_TEXT_LINE:
                raise BadInput(
                    f"{self.path}:{number}: a line must not exceed {size_text(LONGEST_TEXT_LINE)}"
                )
            if not rest_of_line:
                number += 1
                text = raw.decode("utf-8", errors="replace").strip("\r\n")
                if text.strip():
                    yield number, text
            rest_of_line = not raw.endswith(b"\n")

    def text(self, most_bytes: int = MOST_UNPACKED_BYTES) -> str:
        """Return the whole text; never more than the limit is read.

        Raises:
            BadInput: The file is not UTF-8, is too long, or cannot be read.
        """
        raw = b"".join(_bytes(self.path, most_bytes + 1))
        if len(raw) > most_bytes:
            raise BadInput(f"{self.path}: must not exceed {size_text(most_bytes)} unpacked")
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadInput(f"{self.path}: cannot be read: {error}") from None

    def json(self) -> Any:
        """Return the whole file as JSON data.

        Raises:
            BadInput: The file is not JSON.
        """
        try:
            return json.loads(self.text())
        except json.JSONDecodeError as error:
            raise BadInput(f"{self.path}:{error.lineno}: is not JSON: {error.msg}") from None
        except ValueError as error:  # a whole number of more digits than Python reads
            reason = str(error).partition(":")[0]
            raise BadInput(f"{self.path}: cannot be read: {reason}") from None
        except RecursionError:
            raise BadInput(f"{self.path}: is nested too deeply") from None


def _bytes(path: Path, most: int | None = None) -> Iterator[bytes]:
    """Yield the file in lines, or in parts of `LONGEST_LINE` bytes of a longer line."""
    read_bytes = 0
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            packed_bytes = path.stat().st_size
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=plain) if packed else plain)
            while line := stream.readline(LONGEST_LINE):
                yield line
                read_bytes += len(line)
                if packed:
                    refuse_bomb(path, packed_bytes, read_bytes)
                if most is not None and read_bytes >= most:
                    return
    except EOFError:
        raise BadInput(f"{path}: ends in the middle: its gzip is cut short") from None
    except (OSError, zlib.error) as error:
        raise BadInput(f"{path}: cannot be read: {why(error)}") from None


class LineTally:
    """Counts of the lines that were read, were damaged, or are about something else."""

    def __init__(self, source: Source, what: str) -> None:
        self._source, self._what = source, what
        self.good_count = 0
        self.bad_count = 0
        self.other_count = 0
        self._first_other: tuple[int, str] | None = None
        self._first_bad: tuple[int, str] | None = None

    def bad(self, number: int, text: str) -> None:
        """Count a line that cannot be read."""
        self.bad_count += 1
        self._first_bad = self._first_bad or (number, shorten_line(text))

    def other(self, number: int, text: str) -> None:
        """Count a readable line that is not a request, such as an application's message."""
        self.other_count += 1
        self._first_other = self._first_other or (number, shorten_line(text))

    def other_note(self) -> str | None:
        """Return a note on the lines that are not requests; None where there is none."""
        if self._first_other is None:
            return None
        number, text = self._first_other
        total = self.good_count + self.bad_count + self.other_count
        return (
            f"{self.other_count:,} of {total:,} lines of {self._source.path.name} are no requests "
            f"and are not counted; the first is line {number}: {text}"
        )

    def note(self) -> str | None:
        """Return a note on the damaged lines; None where there is none.

        Raises:
            BadInput: Too many lines are damaged, or no line is good.
        """
        if self._first_bad is None:
            if self.good_count == 0:
                raise BadInput(f"{self._source.path}: holds no {self._what}")
            return None
        total = self.good_count + self.bad_count
        number, text = self._first_bad
        if self.bad_count > MOST_DAMAGED * total:
            raise BadInput(
                f"{self._source.path}:{number}: is no {self._what}: {text}; so are "
                f"{self.bad_count:,} of {total:,} lines, at most {MOST_DAMAGED:.0%} may be"
            )
        return (
            f"{self.bad_count:,} of {total:,} lines of {self._source.path.name} cannot be read and "
            f"are left out; the first is line {number}: {text}"
        )


def shorten_line(text: str) -> str:
    """Return a line for a message: printable, and shortened."""
    shown = "".join(letter if letter.isprintable() else "�" for letter in text.strip())
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
