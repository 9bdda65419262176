"""A rollout that is carried out, in words: its progress, its end, its guards and figures.

A line is a look (`studio.views.figures_text.Line`) and the words.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from executor.execute import EXIT_CODES
from executor.fleet.inventory import Inventory
from executor.guards import RequestCounts, limit_readings
from executor.plan.model import Plan
from executor.progress import Ended
from studio.rollouts.executor_process import LineKind, OutputLine
from studio.views.figures_text import (
    Line,
    count_text,
    duration_text,
    instances_text,
    metric_text,
    percent_text,
    range_text,
)

_ENDED = {
    EXIT_CODES[Ended.DONE]: ("good", "✓ Done: every instance has the new version"),
    2: ("bad", "✗ Not carried out"),
    3: ("bad", "✗ Refused, nothing was touched"),
    EXIT_CODES[Ended.HALTED]: ("bad", "✗ Halted"),
    EXIT_CODES[Ended.ROLLED_BACK]: (
        "bad",
        "✗ Rolled back: every instance has the old version again",
    ),
    EXIT_CODES[Ended.INTERRUPTED]: ("bad", "✗ Halted as you asked"),
}
_COMPARED = {
    "rollout_duration_s": "takes",
    "lowest_in_pool_count": "fewest in the pool",
    "rollout_latency_p99_s": "p99",
    "queue_max": "longest queue",
    "failed_requests": "failed requests",
}
"""The metrics that are shown beside their forecast, with their words."""


def ended_line(code: int) -> Line:
    """Return the line that says how an executor ended, from its exit code."""
    return _ENDED.get(code, ("bad", "✗ The executor broke off"))


def question(
    plan: Plan, path: Path, inventory: Inventory, *, resumes: bool = False
) -> tuple[str, str]:
    """Return the question to confirm before real machines are touched, and the details below it.

    Args:
        plan: The plan to carry out.
        path: The inventory's file.
        inventory: The fleet that the plan would be carried out on.
        resumes: True for a rollout that was begun and is resumed.
    """
    hosts = sorted({inventory.host_of(name) for name in inventory.instances})
    named = ", ".join(hosts[:6]) + (f" and {len(hosts) - 6} more" if len(hosts) > 6 else "")
    action = f"Go on with {plan.name}" if resumes else f"Carry {plan.name} out"
    return (
        f"{action} on {instances_text(len(plan.instances))} of {plan.service} on "
        f"{len(hosts)} {'host' if len(hosts) == 1 else 'hosts'}?",
        f"{named}, by {path.name}: from version {inventory.versions.old} to "
        f"{inventory.versions.new}, {plan.window} at once. These machines are real.",
    )


def counts_words(timeline: dict[str, Any] | None) -> str:
    """Return how many instances are done, what the others are doing, and the time since the start."""
    if timeline is None:
        return "Starting…"
    done = {
        step["instance"]
        for step in timeline["steps"]
        if step["step"] == "return" and step["outcome"] == "done"
    }
    last = {entry["instance"]: entry["state"] for entry in timeline["states"]}
    doing = Counter(state for state in last.values() if state != "serving")
    took = duration_text(max((entry["end_s"] for entry in timeline["states"]), default=0.0))
    words = [f"{count} {state}" for state, count in doing.items()]
    return " · ".join([f"{len(done)} of {len(last)} done", *words, took])


def of_forecast(plan: Plan) -> str:
    """Return the rollout's forecast duration as `` of about 4 min``; nothing without a forecast."""
    figure = plan.prediction.metrics.get("rollout_duration_s")
    return (
        "" if figure is None or figure.mean is None else f" of about {duration_text(figure.mean)}"
    )


def guard_lines(plan: Plan, timeline: dict[str, Any] | None) -> list[Line]:
    """Return a line for each guard: its present value and its limit."""
    counted = [
        RequestCounts(
            sample["t_s"],
            sample["requests_count"],
            sample["failed_count"],
            sample["queued_count"],
        )
        for sample in (timeline["samples"] if timeline is not None else ())
    ]
    lines: list[Line] = []
    for reading in limit_readings(plan, counted):
        text = percent_text if reading.is_fraction else count_text
        value, limit = reading.value, reading.limit
        is_over = value is not None and value > limit
        mark = "·" if value is None else "✗" if is_over else "✓"
        look = "soft" if value is None else "bad" if is_over else "good"
        lines.append((look, f"{mark} {reading.what}: {text(value)}, limit {text(limit)}"))
    return lines or [("soft", "none")]


def figure_lines(plan: Plan, measured: dict[str, float | None], *, is_over: bool) -> list[Line]:
    """Return a line for each main figure: measured, beside the forecast's 5–95 % of single runs.

    Once the rollout is over, ✓ or ✗ says whether the figure lies within that range.
    """
    lines: list[Line] = []
    for name, words in _COMPARED.items():
        figure = plan.prediction.metrics.get(name)
        if figure is None:
            continue
        value, span = measured.get(name), range_text(name, figure)
        if value is None:
            lines.append(("", f"{words}: {span}"))
            continue
        figure_words = f"{words}: {metric_text(name, value)}"
        low, high = figure.run_low, figure.run_high
        if not is_over or low is None or high is None:
            lines.append(("", f"{figure_words} · forecast {span}"))
        elif low <= value <= high:
            lines.append(("good", f"✓ {figure_words}, within {span}"))
        else:
            lines.append(("bad", f"✗ {figure_words}, outside {span}"))
    return lines


_LINE_SIGNS = {LineKind.TEXT: "", LineKind.WARNING: "! ", LineKind.ERROR: "✗ "}


def log_line(output: OutputLine) -> str:
    """Return a line of the executor as it is shown: a warning begins with ``!``, an error with ``✗``."""
    return f"{_LINE_SIGNS[output.kind]}{output.line.strip()}"
