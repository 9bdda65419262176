"""Read secrets from the environment, or from files that only their owner can read.

The values go into no plan, journal or timeline.
"""

from __future__ import annotations

import os

from executor.base.errors import BadInput
from executor.base.files import read_owners_file
from executor.fleet.inventory import Inventory


def read_secrets(inventory: Inventory) -> dict[str, str]:
    """Return the values of an inventory's secrets, by the name of their variable.

    Raises:
        BadInput: A secret is missing, or others can read its file.
    """
    values: dict[str, str] = {}
    for name, secret in inventory.secrets.items():
        if secret.variable is not None:
            if secret.variable not in os.environ:
                raise BadInput(f"secret {name}: variable {secret.variable} must be set")
            values[name] = os.environ[secret.variable]
        elif secret.file is not None:
            values[name] = read_owners_file(secret.file).strip("\n")
    return values
