"""The charts of one rollout over time, as data: strips of lines that share an axis of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.estimates.estimate import Estimate
from simulation.scenario.inputs.objectives import Objectives
from simulation.scenario.units import Floats
from simulation.study.candidate_result import Band, CandidateResult, ControlResult
from studio.views.candidate.control import CONTROL_NAME, control_p99_s
from studio.views.figures_text import NOTHING, count_text, limit_text
from studio.views.replay import Story, judged_width, smooth
from studio.views.sentences import no_estimate_text


@dataclass(frozen=True)
class Line:
    """Values over time.

    Attributes:
        name: The name that is written on the line; empty for none.
        token: The name of the line's colour in the theme.
        time_s: Times of the values, in seconds, shape (points,).
        values: Values in the strip's unit, NaN where there is none, shape (points,).
        is_dashed: True for an estimate.
        is_control: True for the same interval without a rollout; dashed too, but no estimate.
        is_step: True when each value holds until the next one.
    """

    name: str
    token: str
    time_s: Floats
    values: Floats
    is_dashed: bool = False
    is_step: bool = False
    is_control: bool = False


@dataclass(frozen=True)
class Strip:
    """One quantity over time.

    Attributes:
        name: The quantity.
        unit: The unit of the values.
        lines: The lines; a capacity comes before its demand.
        band: A band around a line: its colour's token, times, low and high values.
        is_room: True when the first line is a capacity and the second the demand: the area under the
            capacity is filled, and the stretches where the demand is above it are marked.
        limit: The value that must not be exceeded, and its words.
        nothing: The words in place of lines that are all zero; empty to draw such lines anyway.
    """

    name: str
    unit: str
    lines: tuple[Line, ...]
    band: tuple[str, Floats, Floats, Floats] | None = None
    is_room: bool = False
    limit: tuple[float, str] | None = None
    nothing: str = ""

    @property
    def is_quiet(self) -> bool:
        """Return whether all lines are zero and words stand in their place."""
        return bool(self.nothing) and not any(
            np.nan_to_num(line.values).any() for line in self.lines
        )

    @property
    def top(self) -> float:
        """Return the highest value, the limit's included; 1 without any value above 0."""
        parts = [line.values for line in self.lines]
        if self.band is not None:
            parts.append(self.band[3])
        if self.limit is not None:
            parts.append(np.array([self.limit[0]]))
        values = np.concatenate(parts)
        values = values[np.isfinite(values)]
        return float(values.max()) if len(values) and values.max() > 0 else 1.0

    @property
    def is_over(self) -> NDArray[np.bool_]:
        """Return the points at which the demand is above the capacity, shape (points,).

        For a simulated run, means over a few bins are compared, see `studio.views.replay.judged_width`.
        """
        capacity, asked = self.lines[0], self.lines[1]
        if asked.is_dashed:
            over: NDArray[np.bool_] = asked.values > capacity.values + 1e-9
            return over
        width = judged_width(len(asked.values))
        room: NDArray[np.bool_] = smooth(capacity.values - asked.values, width) < 0
        return room

    def shortfalls(self) -> list[tuple[float, float]]:
        """Return the intervals in which the demand is above the capacity, as begin and end in seconds."""
        if not self.is_room:
            return []
        capacity, over = self.lines[0], self.is_over
        edges = np.flatnonzero(np.diff(np.concatenate([[False], over, [False]])))
        half = float(np.median(np.diff(capacity.time_s))) / 2 if len(over) > 1 else 0.5
        return [
            (float(capacity.time_s[a]) - half, float(capacity.time_s[b - 1]) + half)
            for a, b in edges.reshape(-1, 2)
        ]


def strips_of(
    story: Story,
    result: CandidateResult,
    objectives: Objectives,
    control: ControlResult | None = None,
) -> list[Strip]:
    """Return the strips of one run, with the 5–95 % band of all runs around its p99.

    Args:
        story: The run.
        result: The candidate that the run belongs to.
        objectives: The limits.
        control: The candidate's control, whose p99 in the same replication is drawn too; None without one.
    """
    run = story.run
    count = max(1, int(np.ceil(story.until_s / run.bin_s)))
    series = {name: values[:count] for name, values in run.series.items()}
    time_s = (np.arange(len(series["offered_rps"]), dtype=np.float64) + 0.5) * run.bin_s

    def line(name: str, token: str, of: str, scale: float = 1.0) -> Line:
        return Line(name, token, time_s, series[of] * scale)

    band = _shortened(result.band("latency_p99_s"), count)
    limit_s = objectives.latency_p99
    shown = [series["latency_p99_s"], band.high, np.array([limit_s or 0.0])]
    without = np.zeros(0)
    if control is not None:
        without = control_p99_s(result, control, run)[: len(time_s)]
    unit, scale = _unit_of(np.concatenate([*shown, without]))
    control_line = Line(
        CONTROL_NAME, "text", time_s[: len(without)], without * scale, is_control=True
    )
    waiting = line("queue", "draining", "queue_count")
    return [
        _room(
            line("capacity", "new_version", "capacity_rps"),
            line("traffic", "accent", "offered_rps"),
        ),
        Strip(
            "Latency",
            unit,
            (
                line("p99", "accent", "latency_p99_s", scale),
                line("p50", "soft", "latency_p50_s", scale),
                *([control_line] if len(without) else []),
            ),
            band=("accent", band.time_s, band.low * scale, band.high * scale),
            limit=None if limit_s is None else (limit_s * scale, f"limit {limit_text(limit_s)}"),
        ),
        Strip(
            "Errors", "requests/s", (line("errors", "failed", "failed_rps"),), nothing="no errors"
        ),
        Strip("Queue", "requests", (waiting,), nothing="nobody waits"),
    ]


def strips_of_estimate(estimate: Estimate, objectives: Objectives) -> list[Strip]:
    """Return the strips of an estimate, with dashed lines; none without a rollout."""
    lines = estimate.lines
    if lines is None:
        return []
    capacity = Line("capacity", "new_version", lines.time_s, lines.capacity_rps, is_dashed=True)
    traffic = Line("traffic", "accent", lines.time_s, lines.offered_rps, is_dashed=True)
    limit_s, p99 = objectives.latency_p99, estimate.rollout_latency_p99_s
    value_s = np.nan if p99 is None else p99.value
    unit, scale = _unit_of(np.array([limit_s or 0.0, value_s]))
    flat = np.full(len(lines.time_s), value_s * scale)
    share, errors = estimate.rollout_error_fraction, np.full(len(lines.time_s), np.nan)
    if share is not None:
        errors = lines.offered_rps * share.value
    backlog = lines.backlog_count
    if estimate.backlog_max_count is None:
        backlog = np.full(len(lines.time_s), np.nan)
    queue = Line("queue", "draining", lines.time_s, backlog, is_dashed=True)
    return [
        _room(capacity, traffic),
        Strip(
            "Latency",
            unit,
            (Line("p99 of the rollout", "accent", lines.time_s, flat, is_dashed=True),),
            limit=None if limit_s is None else (limit_s * scale, f"limit {limit_text(limit_s)}"),
        ),
        Strip(
            "Errors",
            "requests/s",
            (Line("errors, mean", "failed", lines.time_s, errors, is_dashed=True),),
            nothing=_nothing(estimate, "rollout_error_fraction", "no errors"),
        ),
        Strip(
            "Queue",
            "requests",
            (queue,),
            nothing=_nothing(estimate, "backlog_max_count", "nobody waits"),
        ),
    ]


def _nothing(estimate: Estimate, figure: str, words: str) -> str:
    """Return the words in place of a line: ``words``, or the reason why there is no estimate."""
    reason = estimate.why_none(figure)
    return words if reason is None else no_estimate_text(reason)


def readout(strip: Strip, time_s: float) -> list[tuple[str, str]]:
    """Return the values of a strip's lines at a moment, each with its colour's token: ``60``, ``47``."""
    values = []
    for line in strip.lines:
        if not len(line.time_s):
            continue
        value = float(line.values[int(np.argmin(np.abs(line.time_s - time_s)))])
        values.append((line.token, NOTHING if np.isnan(value) else count_text(value)))
    return values


def _room(capacity: Line, traffic: Line) -> Strip:
    return Strip("Capacity and traffic", "requests/s", (capacity, traffic), is_room=True)


def _unit_of(values_s: Floats) -> tuple[str, float]:
    """Return the unit for latencies and its scale: milliseconds where all are below 2 s."""
    known = values_s[np.isfinite(values_s)]
    return ("ms", 1000.0) if not len(known) or known.max() < 2.0 else ("s", 1.0)


def _shortened(band: Band, count: int) -> Band:
    return Band(*(values[:count] for values in (band.time_s, band.median, band.low, band.high)))
