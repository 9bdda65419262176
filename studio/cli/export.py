"""``rollcast export``: a plan as the file of another tool, with what is lost in translation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_OF_PODS = ("kubernetes", "argo-rollouts")


def export(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan file.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The tool: kubernetes, argo-rollouts, ansible, azure-pipelines or rollcast.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="The folder to write to, made when it is missing (default: the current folder).",
        ),
    ] = Path(),
    image: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Kubernetes, Argo: the new image (default: none, the file changes settings only).",
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
    force: Annotated[
        bool,
        typer.Option("--force", help="Overwrite a file that exists (default: refuse)."),
    ] = False,
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
    if output.exists() and not output.is_dir():
        raise BadInput(f"-o {output}: must be a folder")
    content = read_plan(plan)
    for broken in broken_rules(content, datetime.now(UTC)):
        raise Refused(f"{plan}: {broken}")
    path = output / file_name(content, target)
    if path.exists() and path.samefile(plan):
        raise BadInput(f"-o {output}: {path} is the plan itself, which must not be overwritten")
    if path.exists() and not force:
        raise BadInput(f"{path}: exists already; --force overwrites it")
    exported = target.render(content, options)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"-o {output}: cannot be made: {error.strerror}") from None
    atomic_write_text(path, exported.text, mode=0o600)
    print(f"{path} is written. Use it with: {target.command(content, str(path), options)}")
    if exported.lost:
        print("Lost in translation:")
        print("\n".join(f"  {loss}" for loss in exported.lost))
