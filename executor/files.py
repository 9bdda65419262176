"""Writing files so that nothing is ever lost: beside, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from executor.errors import BadInput


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of ``path`` that takes its place when all went well.

    Raises:
        BadInput: The folder is missing, or the file cannot be written.
    """
    if path.is_dir():
        raise BadInput(f"{path}: cannot be written: is a directory")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from None
    beside = Path(name)
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Writes the text as UTF-8; a reader finds the old file or the new one, never a half.

    Raises:
        BadInput: The file cannot be written.
    """
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
