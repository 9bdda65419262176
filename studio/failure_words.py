"""What failed or tripped, in words."""

from __future__ import annotations

from simulation.failures import Cause, Failure, Figure
from studio.format import count_text, latency_text, percent_text


def failure_text(failure: Failure, names_service: bool) -> str:
    """Return one failure in words, such as ``web: instance 3: start failed 2 times``.

    Args:
        failure: What happened.
        names_service: Whether to name the service: there are several.
    """
    who = f"{failure.service}: " if names_service and failure.service else ""
    if failure.instance is not None:
        who += f"instance {failure.instance + 1}: "
    return f"{who}{_what(failure)}"


def _what(failure: Failure) -> str:
    observed, limit = failure.observed or 0.0, failure.limit or 0.0
    step = "" if failure.step is None else failure.step.replace("_", " ")
    over = "" if failure.over_s is None else f" over {failure.over_s:g} s"
    match failure.cause:
        case Cause.STEP_FAILED:
            return (
                f"{step} failed {count_text(observed)} times" if observed > 1 else f"{step} failed"
            )
        case Cause.DRAIN_TIMEOUT:
            return f"{step} failed, {count_text(observed)} requests in flight after {failure.over_s:g} s"
        case Cause.GUARD | Cause.CANARY:
            shown = latency_text if failure.figure is Figure.LATENCY_P99_S else percent_text
            name = "p99" if failure.figure is Figure.LATENCY_P99_S else "errors"
            return f"{failure.cause}{over}: {name} {shown(observed)}, limit {shown(limit)}"
        case Cause.NO_MORE_MAY_FOLLOW:
            return (
                f"{count_text(observed)} instances are left, none may be taken out with a minimum "
                f"of {count_text(limit)}"
            )
        case Cause.EXECUTOR:
            return failure.reported
