"""Write files atomically: into a temporary file in the same folder, which is then renamed.

After a crash the path holds the whole new file or the untouched old one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from executor.base.errors import BadInput


@contextmanager
def write_beside(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield an empty temporary file that replaces ``path`` when the block ends without an error.

    The file's permissions are `mode` less the user's umask. Where ``path`` is a symbolic link, the
    link stays and the file that it points to is replaced.

    Raises:
        BadInput: The folder is missing, the file cannot be written, or ``path`` is no regular
            file (a folder, a device), which a rename would destroy.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise BadInput(f"{path}: cannot be written: is not a regular file")
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror or error}") from None


def atomic_write_text(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a text as UTF-8 so that a reader finds the old file or the new one, never a part.

    With `mode` 0o600 only the owner can read the file.

    Raises:
        BadInput: The file cannot be written.
    """
    with write_beside(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def read_owners_file(path: Path) -> str:
    """Return the text of a file that only its owner can read.

    Raises:
        BadInput: The file cannot be read, or others can read it too.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            if mode & 0o077:
                raise BadInput(f"{path}: mode ({mode:04o}) must be 0600: it holds a secret")
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path}: cannot be read: {reason}") from None
