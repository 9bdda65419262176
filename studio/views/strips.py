"""What is shown over the time of one rollout, as data: strips of lines that share an axis of time.

Enters: a run's story with all runs of its candidate, or an estimate. Leaves: strips, to be painted;
nothing here knows Qt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.estimates.estimate import Estimate
from simulation.scenario.model import Objectives
from simulation.scenario.units import Floats
from simulation.study.compare import Band, CandidateResult
from studio.views.figures_text import NOTHING, count_text, limit_text
from studio.views.replay import Story, judged_width, smooth
from studio.views.sentences import no_estimate_text


@dataclass(frozen=True)
class Line:
    """Values over time.

    Attributes:
        name: What it is called on the line itself; empty for none.
        token: The name of its colour in the theme.
        time_s: Where the values stand, shape (points,).
        values: In the strip's unit, NaN where there is nothing, shape (points,).
        is_dashed: Whether it is an estimate.
        is_step: Whether it keeps a value until the next.
    """

    name: str
    token: str
    time_s: Floats
    values: Floats
    is_dashed: bool = False
    is_step: bool = False


@dataclass(frozen=True)
class Strip:
    """One quantity over time.

    Attributes:
        name: What it is.
        unit: In what.
        lines: The first is the one that the others are measured by.
        band: What is around a line: its colour's token, times, low and high values.
        is_room: Whether the first line is a capacity and the second what is asked of it: the room
            under the first is filled, and where the second is above it that is marked.
        limit: A value not to be exceeded, and its words.
        nothing: What is said in place of lines that are all zero; empty to draw them anyway.
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
        """Whether there is nothing to see."""
        return bool(self.nothing) and not any(np.nan_to_num(one.values).any() for one in self.lines)

    @property
    def top(self) -> float:
        """The highest value there is, the limit's included; 1 when there is none."""
        parts = [one.values for one in self.lines]
        if self.band is not None:
            parts.append(self.band[3])
        if self.limit is not None:
            parts.append(np.array([self.limit[0]]))
        values = np.concatenate(parts)
        values = values[np.isfinite(values)]
        return float(values.max()) if len(values) and values.max() > 0 else 1.0

    @property
    def is_over(self) -> NDArray[np.bool_]:
        """Where more is asked than there is capacity, shape (points,).

        In a simulated run in means over a few bins, see `studio.views.replay.judged_width`.
        """
        capacity, asked = self.lines[0], self.lines[1]
        if asked.is_dashed:
            over: NDArray[np.bool_] = asked.values > capacity.values + 1e-9
            return over
        width = judged_width(len(asked.values))
        room: NDArray[np.bool_] = smooth(capacity.values - asked.values, width) < 0
        return room

    def shortfalls(self) -> list[tuple[float, float]]:
        """From when to when more is asked than there is capacity, in seconds."""
        if not self.is_room:
            return []
        capacity, over = self.lines[0], self.is_over
        edges = np.flatnonzero(np.diff(np.concatenate([[False], over, [False]])))
        half = float(np.median(np.diff(capacity.time_s))) / 2 if len(over) > 1 else 0.5
        return [
            (float(capacity.time_s[a]) - half, float(capacity.time_s[b - 1]) + half)
            for a, b in edges.reshape(-1, 2)
        ]


def strips_of(story: Story, result: CandidateResult, objectives: Objectives) -> list[Strip]:
    """What one run did, with the 5–95 % band of all runs around its p99."""
    run = story.run
    count = max(1, int(np.ceil(story.until_s / run.bin_s)))
    series = {name: values[:count] for name, values in run.series.items()}
    time_s = (np.arange(len(series["offered_rps"]), dtype=np.float64) + 0.5) * run.bin_s

    def line(name: str, token: str, of: str, scale: float = 1.0) -> Line:
        return Line(name, token, time_s, series[of] * scale)

    band = _shortened(result.band("latency_p99_s"), count)
    limit_s = objectives.latency_p99
    told = [series["latency_p99_s"], band.high, np.array([limit_s or 0.0])]
    unit, scale = _unit_of(np.concatenate(told))
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
            ),
            band=("accent", band.time_s, band.low * scale, band.high * scale),
            limit=None if limit_s is None else (limit_s * scale, f"limit {limit_text(limit_s)}"),
        ),
        Strip(
            "Errors", "requests/s", (line("errors", "failed", "failed_rps"),), nothing="no errors"
        ),
        Strip("Queue", "requests", (waiting,), nothing="nobody waits"),
    ]


def strips_of_estimate(found: Estimate, objectives: Objectives) -> list[Strip]:
    """What closed forms say at once, all of it dashed; empty without a rollout."""
    lines = found.lines
    if lines is None:
        return []
    capacity = Line("capacity", "new_version", lines.time_s, lines.capacity_rps, is_dashed=True)
    traffic = Line("traffic", "accent", lines.time_s, lines.offered_rps, is_dashed=True)
    limit_s, p99 = objectives.latency_p99, found.rollout_latency_p99_s
    value_s = np.nan if p99 is None else p99.value
    unit, scale = _unit_of(np.array([limit_s or 0.0, value_s]))
    flat = np.full(len(lines.time_s), value_s * scale)
    share, errors = found.rollout_error_fraction, np.full(len(lines.time_s), np.nan)
    if share is not None:
        errors = lines.offered_rps * share.value
    backlog = lines.backlog_count
    if found.backlog_max_count is None:
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
            nothing=_nothing(found, "rollout_error_fraction", "no errors"),
        ),
        Strip(
            "Queue",
            "requests",
            (queue,),
            nothing=_nothing(found, "backlog_max_count", "nobody waits"),
        ),
    ]


def _nothing(found: Estimate, figure: str, words: str) -> str:
    """What stands where no line is to be seen: the words for nothing, or why there is no estimate."""
    reason = found.why_none(figure)
    return words if reason is None else no_estimate_text(reason)


def readout(strip: Strip, time_s: float) -> list[tuple[str, str]]:
    """What the lines of a strip say at a moment, each with its colour's token: ``60``, ``47``."""
    told = []
    for one in strip.lines:
        if not len(one.time_s):
            continue
        value = float(one.values[int(np.argmin(np.abs(one.time_s - time_s)))])
        told.append((one.token, NOTHING if np.isnan(value) else count_text(value)))
    return told


def _room(capacity: Line, traffic: Line) -> Strip:
    return Strip("Capacity and traffic", "requests/s", (capacity, traffic), is_room=True)


def _unit_of(values_s: Floats) -> tuple[str, float]:
    """Milliseconds where everything is short."""
    known = values_s[np.isfinite(values_s)]
    return ("ms", 1000.0) if not len(known) or known.max() < 2.0 else ("s", 1.0)


def _shortened(band: Band, count: int) -> Band:
    return Band(*(values[:count] for values in (band.time_s, band.median, band.low, band.high)))
