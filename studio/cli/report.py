"""``rollcast report``: a plan that was carried out, as a page and as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from executor.base.errors import BadInput, Refused
from studio.cli import options as o


def report(
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN", help="The plan file that was carried out.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.html", help="The HTML page to write.")
    ],
    timeline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The executor's record of the rollout (default: PLAN.timeline.json beside the plan).",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write to this file, as JSON, how long steps and drains took, in seconds (default: none).",
        ),
    ] = None,
    quiet: o.Quiet = False,
) -> None:
    """Write forecast and actual on one axis, from the timeline that the executor left."""
    import json

    from executor.base.files import atomic_write_text
    from executor.plan.file import read_plan
    from studio.lab.calibrate import figures_of
    from studio.reports.rollout_report import forecast_of, timeline_report

    o.must_be_writable(plan, output, calibration)
    content = read_plan(plan)
    path = timeline or plan.with_suffix(".timeline.json")
    record = _read(path)
    if record["plan_digest"] != content.digest:
        raise Refused(
            f"{path}: plan digest ({str(record['plan_digest'])[:12]}…) must be that of {plan} "
            f"({content.digest[:12]}…): it is the record of another plan"
        )
    o.get_ready("auto", quiet)
    atomic_write_text(output, timeline_report(content, record, forecast_of(content)))
    print(f"The report is in {output}")
    if calibration is not None:
        atomic_write_text(calibration, json.dumps(figures_of([record]), indent=1) + "\n")
        print(f"Figures of its steps are in {calibration}")


def _read(path: Path) -> dict[str, Any]:
    """Return a timeline.

    Raises:
        BadInput: The file cannot be read, or holds no timeline.
    """
    import json

    from executor.base.text_limits import MOST_PLAN_BYTES, read_limited_text

    try:
        data = json.loads(read_limited_text(path, MOST_PLAN_BYTES))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path}: cannot be read: {reason}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is not JSON: {error}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != "rollcast.timeline/1":
        raise BadInput(f"{path}: schema ({schema}) must be rollcast.timeline/1")
    timeline_data: dict[str, Any] = data
    return timeline_data
