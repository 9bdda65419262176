"""``rollcast new``: a first scenario of a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from executor.base.errors import BadInput
from executor.base.files import atomic_write_text
from studio.lessons.first_scenario import FIRST_SCENARIO


def new(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The scenario file to write; it must not exist.")
    ],
) -> None:
    """Write a first scenario to FILE."""
    if file.exists():
        raise BadInput(f"{file}: exists already, it is not written over")
    atomic_write_text(file, FIRST_SCENARIO.format(name=file))
    print(f"{file} is written. Next: rollcast compare {file}")
