"""Secrets: from the environment, or from files that nobody but their owner may read.

Enters: an inventory, which says where each one is, or the path of a file. Leaves: their values, which
go into no plan, journal or timeline.
"""

from __future__ import annotations

import os
from pathlib import Path

from executor.errors import BadInput
from executor.inventory import Inventory


def read_secrets(inventory: Inventory) -> dict[str, str]:
    """The secrets' values, for the commands' environment.

    Raises:
        BadInput: One is not there, or its file can be read by others.
    """
    found: dict[str, str] = {}
    for name, secret in inventory.secrets.items():
        if secret.variable is not None:
            if secret.variable not in os.environ:
                raise BadInput(f"secret {name}: variable {secret.variable} must be set")
            found[name] = os.environ[secret.variable]
        elif secret.file is not None:
            found[name] = read_owners_file(secret.file).strip("\n")
    return found


def read_owners_file(path: Path) -> str:
    """The text of a file that nobody but its owner may read.

    Raises:
        BadInput: It cannot be read, or others could read it too.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            if mode & 0o077:
                raise BadInput(f"{path}: mode ({mode:04o}) must be 0600: it holds a secret")
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise BadInput(f"{path}: cannot be read: {said}") from None
