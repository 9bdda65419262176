"""The changes that would let a rollout meet its objectives, in words."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulation.planning.alternatives.model import LIMITS, ChangeKind
from simulation.scenario.units import format_duration
from studio.views.figures_text import (
    clock_text,
    count_text,
    duration_text,
    instances_text,
    latency_text,
    length_text,
    percent_text,
)
from studio.views.plan_text import plan_options

if TYPE_CHECKING:
    from simulation.planning.alternatives.model import Alternative, Alternatives, Change
    from simulation.scenario.model import Scenario

HEADING = "What would meet every objective"

TABLE_HEADINGS = ("change", "with", "takes", "p99", "meets", "cost", "option")
"""Headings of `alternative_row`; takes and p99 are means over the runs of the confirmation."""

_KIND_TEXTS = {
    ChangeKind.MORE_INSTANCES: "more instances",
    ChangeKind.NARROWER_WINDOW: "a narrower window",
    ChangeKind.WIDER_WINDOW: "a wider window",
    ChangeKind.SURGE: "a surge that keeps the whole fleet in the pool",
    ChangeKind.SHORTER_PAUSE: "a shorter pause",
    ChangeKind.LONGER_DRAIN: "a longer drain",
    ChangeKind.LONGER_PRE_STOP: "a longer pre-stop",
    ChangeKind.EARLIER_START: "an earlier start",
    ChangeKind.LATER_START: "a later start",
    ChangeKind.HIGHER_P99_LIMIT: "a higher limit of p99",
    ChangeKind.HIGHER_ERROR_LIMIT: "a higher limit of errors",
    ChangeKind.LONGER_DURATION_LIMIT: "a longer limit of the duration",
}

_WINDOWS = (ChangeKind.NARROWER_WINDOW, ChangeKind.WIDER_WINDOW)
_STARTS = (ChangeKind.EARLIER_START, ChangeKind.LATER_START)
_DURATIONS = (
    ChangeKind.SHORTER_PAUSE,
    ChangeKind.LONGER_DRAIN,
    ChangeKind.LONGER_PRE_STOP,
    ChangeKind.HIGHER_P99_LIMIT,
    ChangeKind.LONGER_DURATION_LIMIT,
)
"""The kinds whose value is a duration in seconds."""


def change_text(alternative: Alternative) -> str:
    """Return the change: ``26 instances``, ``start at 19:00``, ``p99 limit 9 s``."""
    change, scenario = alternative.change, alternative.case.scenario
    value = change.value
    if isinstance(value, str) or change.kind in _STARTS:
        return f"start at {_start_text(alternative.candidate.start_label)}"
    match change.kind:
        case ChangeKind.MORE_INSTANCES:
            service = change.key.split(".")[1]
            of_service = f" of {service}" if len(scenario.services) > 1 else ""
            return f"{instances_text(int(value))}{of_service}"
        case ChangeKind.SURGE:
            return f"surge {value:g}"
        case ChangeKind.SHORTER_PAUSE:
            return f"pause {length_text(value)}" if value else "no pause"
        case ChangeKind.LONGER_DRAIN:
            return f"drain timeout {length_text(value)}"
        case ChangeKind.LONGER_PRE_STOP:
            return f"pre-stop {length_text(value)}"
        case ChangeKind.HIGHER_P99_LIMIT:
            return f"p99 limit {_limit_text(change.kind, value)}"
        case ChangeKind.HIGHER_ERROR_LIMIT:
            return f"error limit {_limit_text(change.kind, value)}"
        case ChangeKind.LONGER_DURATION_LIMIT:
            return f"duration limit {_limit_text(change.kind, value)}"
        case _:
            return f"window {value:g}"


def way_text(alternative: Alternative) -> str:
    """Return the way to roll with which the change meets; empty where the change is the window.

    With a surge that keeps the whole fleet in the pool, the window has no effect.
    """
    if alternative.change.kind in _WINDOWS:
        return ""
    if alternative.change.kind is ChangeKind.SURGE:
        return "the whole fleet in the pool"
    candidate = alternative.candidate
    batch = ", batch" if candidate.advance == "batch" else ""
    return f"window {candidate.window}{batch}"


def cost_text(alternative: Alternative) -> str:
    """Return what the change costs: ``2 instances for good (8 % more), 13.3 s longer``, ``1 h later``."""
    change, cost = alternative.change, alternative.cost
    before = change.before
    if change.kind in LIMITS:
        assert not isinstance(before, str)
        by = _limit_text(change.kind, cost.limit_by)
        return f"{by} above the limit of {_limit_text(change.kind, before)}"
    parts = []
    if cost.instances_count:
        assert not isinstance(before, str)
        share = percent_text(cost.instances_count / before)
        parts.append(f"{instances_text(cost.instances_count)} for good ({share} more)")
    if cost.surge_count:
        parts.append(f"{instances_text(cost.surge_count)} more during the rollout")
    if cost.later_s:
        word = "later" if cost.later_s > 0 else "earlier"
        parts.append(f"{length_text(abs(cost.later_s))} {word}")
    longer_s = cost.duration_s
    if longer_s is not None and change.kind not in _STARTS and abs(longer_s) >= 1:
        word = "longer" if longer_s > 0 else "less"
        parts.append(f"takes {duration_text(abs(longer_s))} {word}")
    return ", ".join(parts) or "nothing"


def alternative_row(alternative: Alternative, scenario: Scenario) -> tuple[str, ...]:
    """Return the cells of one change, in the order of `TABLE_HEADINGS`; the scenario is the study's."""
    metrics = alternative.confirmed.result.metrics
    return (
        change_text(alternative),
        way_text(alternative),
        duration_text(metrics["rollout_duration_s"].mean),
        latency_text(metrics["rollout_latency_p99_s"].mean),
        runs_text(alternative),
        cost_text(alternative),
        option_text(alternative, scenario),
    )


def runs_text(alternative: Alternative) -> str:
    """Return in how many runs of the confirmation the objectives are met: ``127 of 127``."""
    verdict = alternative.confirmed.result.verdict
    return f"{verdict.runs_meeting} of {verdict.runs}"


def alternatives_sentence(alternatives: Alternatives) -> str:
    """Return the changes: ``26 instances, with window 2; or start at 19:00, with window 2``.

    Where no change was found, the sentence says which kinds were searched.
    """
    if not alternatives.offered:
        if alternatives.not_searched:
            return "No single change was found before the search's budget ended"
        if not alternatives.tried:
            return "No single change of this scenario is known to help against what failed"
        kinds = [_KIND_TEXTS[kind] for kind in alternatives.tried]
        return f"No single change is shown to meet every objective; tried: {', '.join(kinds)}"
    texts = [_change_with_way(alternative) for alternative in alternatives.offered]
    return f"{HEADING}: {'; or '.join(texts)}"


def budget_sentence(alternatives: Alternatives) -> str:
    """Return which kinds of changes the budget did not reach; empty where it reached all."""
    if not alternatives.not_searched:
        return ""
    kinds = ", ".join(_KIND_TEXTS[kind] for kind in alternatives.not_searched)
    return (
        f"Not tried: {kinds}; after {count_text(alternatives.runs_count)} runs the next ones would "
        "have exceeded the search's budget"
    )


def confirmation_sentence(alternatives: Alternatives) -> str:
    """Return what stands behind the changes, for below their table."""
    objectives = alternatives.scenario.objectives
    return (
        f"Each change alone meets every objective in at least {percent_text(objectives.in_runs)} of "
        f"runs with {percent_text(objectives.confidence)} confidence, confirmed on a fresh seed; takes and p99 are means over these runs"
    )


def option_text(alternative: Alternative, scenario: Scenario) -> str:
    """Return the options of ``rollcast plan`` that make the change: ``--set … --window 2``.

    They also set what else the candidate has of its own, such as its start; empty where options cannot.

    Args:
        alternative: The change.
        scenario: The study's scenario.
    """
    return shlex.join(plan_options(scenario, alternative.case.scenario) or [])


def value_text(change: Change) -> str:
    """Return the new value as a scenario file has it: ``26``, ``30s``, ``19:00:00``."""
    value = change.value
    if isinstance(value, str):
        return value
    if change.kind in _DURATIONS or change.kind in _STARTS:
        return format_duration(value)
    return json.dumps(value)


def _change_with_way(alternative: Alternative) -> str:
    way = way_text(alternative)
    return f"{change_text(alternative)}, with {way}" if way else change_text(alternative)


def _limit_text(kind: ChangeKind, value: float) -> str:
    if kind is ChangeKind.HIGHER_ERROR_LIMIT:
        return percent_text(value)
    return duration_text(value).removesuffix(" 00 s") if value >= 60 else f"{value:.6g} s"


def _start_text(start_label: str) -> str:
    """Return a start without its seconds where they are 0: ``18:00`` for ``18:00:00``."""
    has_seconds = start_label.count(":") > 1
    return start_label.removesuffix(":00") if has_seconds else start_label


def card_lines(alternative: Alternative) -> tuple[str, str, str, str]:
    """Return the texts of a card: the change, the way to roll, what it gives, and what it costs."""
    metrics = alternative.confirmed.result.metrics
    duration = clock_text(metrics["rollout_duration_s"].mean)
    p99 = latency_text(metrics["rollout_latency_p99_s"].mean)
    return (
        change_text(alternative),
        way_text(alternative),
        f"✓ {duration}, p99 {p99}, {runs_text(alternative)} runs",
        f"Cost: {cost_text(alternative)}",
    )


def more_text(others: Sequence[Alternative]) -> str:
    """Return the changes beyond the cards: ``; so would p99 limit 9 s``; empty without any."""
    names = " or ".join(_change_with_way(alternative) for alternative in others)
    return f"; so would {names}" if names else ""


def values_of(alternative: Alternative) -> dict[str, object]:
    """Return the keys of the scenario that the change sets, with their values as a file has them."""
    change, candidate = alternative.change, alternative.candidate
    values: dict[str, object] = {"rollout.window": candidate.written}
    if change.kind not in _WINDOWS:
        is_text = isinstance(change.value, str) or change.kind in (*_DURATIONS, *_STARTS)
        values[change.key] = value_text(change) if is_text else change.value
    if change.kind is ChangeKind.SURGE:
        values["rollout.min_healthy"] = alternative.case.scenario.min_healthy_count(
            alternative.case.scenario.service_name
        )
    return values
