"""A rollout in words: how far it is, how it ended, what is watched, and what was said.

Enters: a plan and the executor's timeline of it. Leaves: sentences, and lines with a look each.
Nothing here knows Qt.
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
from studio.rollouts.executor_process import OutputLine
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
"""The figures that are told beside their forecast."""


def ended_line(code: int) -> Line:
    """How an executor ended, by its exit code."""
    return _ENDED.get(code, ("bad", "✗ The executor broke off"))


def question(
    plan: Plan, path: Path, inventory: Inventory, *, resumes: bool = False
) -> tuple[str, str]:
    """What is asked before real machines are touched, and what there is to know of them.

    Args:
        plan: What would be carried out.
        path: The inventory's file.
        inventory: Where it would be.
        resumes: Whether it goes on with what was left.
    """
    hosts = sorted({inventory.host_of(name) for name in inventory.instances})
    named = ", ".join(hosts[:6]) + (f" and {len(hosts) - 6} more" if len(hosts) > 6 else "")
    what = f"Go on with {plan.name}" if resumes else f"Carry {plan.name} out"
    return (
        f"{what} on {instances_text(len(plan.instances))} of {plan.service} on "
        f"{len(hosts)} {'host' if len(hosts) == 1 else 'hosts'}?",
        f"{named}, by {path.name}: from version {inventory.versions.old} to "
        f"{inventory.versions.new}, {plan.window} at once. These machines are real.",
    )


def counts_words(timeline: dict[str, Any] | None) -> str:
    """How many instances are done, and what the others are doing."""
    if timeline is None:
        return "Starting…"
    done = {
        one["instance"]
        for one in timeline["steps"]
        if one["step"] == "return" and one["outcome"] == "done"
    }
    last = {one["instance"]: one["state"] for one in timeline["states"]}
    doing = Counter(state for state in last.values() if state != "serving")
    took = duration_text(max((one["end_s"] for one in timeline["states"]), default=0.0))
    words = [f"{count} {state}" for state, count in doing.items()]
    return " · ".join([f"{len(done)} of {len(last)} done", *words, took])


def of_forecast(plan: Plan) -> str:
    """How long it is thought to take."""
    figure = plan.prediction.metrics.get("rollout_duration_s")
    return (
        "" if figure is None or figure.mean is None else f" of about {duration_text(figure.mean)}"
    )


def guard_lines(plan: Plan, timeline: dict[str, Any] | None) -> list[Line]:
    """What is watched, as it is, and its limit."""
    counted = [
        RequestCounts(one["t_s"], one["requests_count"], one["failed_count"], one["queued_count"])
        for one in (timeline["samples"] if timeline is not None else ())
    ]
    lines: list[Line] = []
    for one in limit_readings(plan, counted):
        text = percent_text if one.is_fraction else count_text
        is_over = one.value is not None and one.value > one.limit
        mark = "·" if one.value is None else "✗" if is_over else "✓"
        look = "soft" if one.value is None else "bad" if is_over else "good"
        lines.append((look, f"{mark} {one.what}: {text(one.value)}, limit {text(one.limit)}"))
    return lines or [("soft", "none")]


def figure_lines(plan: Plan, measured: dict[str, float | None], *, is_over: bool) -> list[Line]:
    """The figures that matter beside what single runs may do; judged once the rollout is over."""
    lines: list[Line] = []
    for name, words in _COMPARED.items():
        figure = plan.prediction.metrics.get(name)
        if figure is None:
            continue
        value, span = measured.get(name), range_text(name, figure)
        if value is None:
            lines.append(("", f"{words}: {span}"))
            continue
        told = f"{words}: {metric_text(name, value)}"
        low, high = figure.run_low, figure.run_high
        if not is_over or low is None or high is None:
            lines.append(("", f"{told} · forecast {span}"))
        elif low <= value <= high:
            lines.append(("good", f"✓ {told}, within {span}"))
        else:
            lines.append(("bad", f"✗ {told}, outside {span}"))
    return lines


def log_line(said: OutputLine) -> str:
    """A line as it is shown: what is wrong has a sign."""
    line = said.line.strip()
    if not said.is_wrong:
        return line
    return f"! {line.removeprefix('warning: ')}" if line.startswith("warning: ") else f"✗ {line}"
