"""``rollcast scenarios``: the shipped ones. ``rollcast new``: a first scenario of a few lines."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from executor.base.errors import BadInput
from executor.base.files import atomic_write_text
from studio.lessons.first_scenario import FIRST_SCENARIO
from studio.resources import shipped_scenarios


def scenarios(
    copy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Copy this scenario to the current folder (default: list all)."
        ),
    ] = None,
) -> None:
    """List the shipped scenarios, or copy one to start from."""
    questions = shipped_scenarios()
    paths = {path.stem: path for path in questions}
    if copy is None:
        width = max(len(name) for name in paths)
        for name, path in paths.items():
            print(f"{name:<{width}}  {questions[path]}")
        return
    if copy not in paths:
        nearest = difflib.get_close_matches(copy, paths, n=1, cutoff=0.0)
        raise BadInput(f"--copy {copy}: no such scenario (nearest: {nearest[0]})")
    target = Path(paths[copy].name)
    if target.exists():
        raise BadInput(f"{target}: exists already, it is not written over")
    atomic_write_text(target, paths[copy].read_text(encoding="utf-8"))
    print(f"{target} is written. Next: rollcast compare {target}")


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
