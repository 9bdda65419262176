"""``rollcast import``: logs, metrics, manifests → a scenario."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from executor.base.errors import BadInput
from studio.cli import options as o


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="The files to read: logs, metrics, manifests; also compressed as .gz.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.yaml",
            help="The scenario file to write; it must not exist.",
        ),
    ],
    service: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The service to import (default: the only one that the files name).",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Also draw how well the chosen distributions fit the measurements (default: none).",
        ),
    ] = None,
    quiet: o.Quiet = False,
) -> None:
    """Write a commented scenario of what files say: what was measured, what is assumed."""
    from simulation.importers.together import draft_scenario

    _must_be_new(output, plot)
    o.must_be_writable(output, output, plot)
    draft = draft_scenario(files, service, output.stem)
    if plot is not None and not draft.choices:
        raise BadInput(f"--plot {plot}: no file says how long requests took, nothing was fitted")
    written = draft.write(output)
    if plot is not None:
        from studio.charts.fit import save_fits

        save_fits(plot, draft.choices)
        written.append(plot)
    if not quiet:
        for note in draft.notes:
            print(f"rollcast: {note}", file=sys.stderr)
    _first, *others = written
    print(f"{output} is written" + (f", with {', '.join(map(str, others))}" if others else ""))
    print(f"Read what it assumes. Next: rollcast compare {output}")


def _must_be_new(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and path.exists():
            raise BadInput(f"{path}: exists already, it is not written over")
