"""Secrets: from the environment, or from files that nobody but their owner may read.

Enters: an inventory, which says where each one is, or the path of a file. Leaves: their values, which
go into no plan, journal or timeline.
"""

from __future__ import annotations

import os

from executor.base.errors import BadInput
from executor.base.files import read_owners_file
from executor.fleet.inventory import Inventory


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
