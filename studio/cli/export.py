"""``rollcast export``: a plan as the file of another tool, with what is lost in translation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_OF_PODS = ("kubernetes", "argo-rollouts")


def export(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="kubernetes, argo-rollouts, ansible, azure-pipelines or rollcast."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="DIR", help="The folder of the file (default: here)."
        ),
    ] = Path(),
    image: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Kubernetes, Argo: the new image; without it the file changes settings only.",
        ),
    ] = None,
    container: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Kubernetes, Argo: the container (default: the manifest's)."
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            metavar="NS", help="Kubernetes, Argo: the namespace (default: the manifest's)."
        ),
    ] = None,
) -> None:
    """Write a plan as another tool's file, and say what is lost in translation."""
    from datetime import UTC, datetime

    from executor.base.errors import BadInput, Refused
    from executor.base.files import atomic_write_text
    from executor.exports.base import NO_OPTIONS, ReleaseOptions, file_name
    from executor.exports.targets import target_of
    from executor.plan.file import read_plan
    from executor.plan.rules import broken_rules

    target = target_of(to)
    options = ReleaseOptions(image=image, container=container, namespace=namespace)
    if options != NO_OPTIONS and to not in _OF_PODS:
        raise BadInput(f"--image, --container and --namespace go with --to {' or '.join(_OF_PODS)}")
    if not output.is_dir():
        raise BadInput(f"-o {output}: must be a folder that exists")
    read = read_plan(plan)
    for broken in broken_rules(read, datetime.now(UTC)):
        raise Refused(f"{plan}: {broken}")
    path = output / file_name(read, target)
    if path.exists() and path.samefile(plan):
        raise BadInput(f"-o {output}: {path} is the plan itself, which must not be overwritten")
    exported = target.render(read, options)
    atomic_write_text(path, exported.text, mode=0o600)
    print(f"{path} is written. Use it with: {target.command(read, str(path), options)}")
    if exported.lost:
        print("Lost in translation:")
        print("\n".join(f"  {one}" for one in exported.lost))
