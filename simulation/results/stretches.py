"""The figures of stretches, counted from the ends of requests with and without a rollout.

A request belongs to the stretch in which it arrived, and is judged by how it ended, also when that was
after the stretch. When the simulation ends, some requests are still in flight. Those that are in flight
with and without a rollout are left out of both figures. A request that is in flight in only one of the
two has not failed there, and its age counts as its latency: otherwise a connection that the rollout cut
would not count, as it would still be open without a rollout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.results.judged import Figures, Stretch
from simulation.results.request_ends import ALL, RequestEnds, StretchEdge, add_latencies
from simulation.results.run_result import OK
from simulation.results.tally import BUCKET, BUCKETS, quantiles_s
from simulation.scenario.units import Integers

_LEVEL = 0.99


@dataclass(frozen=True)
class Stretches:
    """The stretches of one run.

    Attributes:
        edges_s: The ends of the stretches in seconds; the first begins at 0, each other one at the end
            of the one before.
        until_s: The time until which ends of requests count, in seconds.
    """

    edges_s: tuple[float, ...]
    until_s: float


def judge_stretches(
    stretches: Stretches,
    rollout: RequestEnds,
    control: RequestEnds | None = None,
    new_version: RequestEnds | None = None,
) -> tuple[Stretch, ...]:
    """Return the figures of all stretches.

    Args:
        stretches: The stretches of the run with the rollout.
        rollout: The ends of requests with the rollout.
        control: The same without a rollout; None where there is no rollout.
        new_version: The same for a fleet that runs wholly on the new version, None without one.
    """
    begins_s = (0.0, *stretches.edges_s[:-1])
    judged = []
    for begin_s, end_s in zip(begins_s, stretches.edges_s, strict=True):
        span = _Span(begin_s, end_s, stretches.until_s)
        left_out = span.in_flight(rollout)
        if control is not None:
            left_out = np.intersect1d(left_out, span.in_flight(control))
        judged.append(
            Stretch(
                begin_s=begin_s,
                end_s=end_s,
                rollout=span.figures(rollout, left_out),
                control=None if control is None else span.figures(control, left_out),
                new_version=None if new_version is None else span.figures(new_version, left_out),
            )
        )
    return tuple(judged)


@dataclass(frozen=True)
class _Span:
    """One stretch, and the time until which ends of requests count, in seconds."""

    begin_s: float
    end_s: float
    until_s: float

    def in_flight(self, ends: RequestEnds) -> Integers:
        """Return the numbers of the stretch's requests that had not ended when the simulation ended."""
        late = self._ended_after(ends)
        return np.asarray(late["number"][~(late["finish"] <= self.until_s)], np.int64)

    def figures(self, ends: RequestEnds, left_out: Integers) -> dict[str, Figures]:
        """Return the figures of a run by the name of the class, without the requests left out."""
        by_kind = {
            kind: self._figures(ends, kind, left_out) for kind in {*ends.classes.values(), ALL}
        }
        return {name: by_kind[kind] for name, kind in ends.classes.items()}

    def _figures(self, ends: RequestEnds, kind: int | None, left_out: Integers) -> Figures:
        counts = _Counts(ends.has_latency)
        counts.add_edge(ends.edges[self.end_s], kind, 1)
        if self.begin_s > 0:
            counts.add_edge(ends.edges[self.begin_s], kind, -1)
            counts.add_ended(_of_kind(self._of_earlier_stretches(ends), kind), -1)
        late = _of_kind(self._ended_after(ends), kind)
        has_ended = late["finish"] <= self.until_s
        counts.add_ended(late[has_ended], 1)
        in_flight = late[~has_ended]
        counts.add_in_flight(in_flight[~np.isin(in_flight["number"], left_out)], self.until_s)
        return counts.figures()

    def _of_earlier_stretches(self, ends: RequestEnds) -> NDArray[Any]:
        """Return the requests that arrived before this stretch and ended in it."""
        before, after = ends.edges[self.begin_s], ends.edges[self.end_s]
        late = ends.late[before.late_count : after.late_count]
        return late[late["arrival"] < self.begin_s]

    def _ended_after(self, ends: RequestEnds) -> NDArray[Any]:
        """Return the requests that arrived in this stretch and ended after it, if at all."""
        late = ends.late[ends.edges[self.end_s].late_count :]
        return late[(late["arrival"] >= self.begin_s) & (late["arrival"] < self.end_s)]


def _of_kind(late: NDArray[Any], kind: int | None) -> NDArray[Any]:
    return late if kind is None else late[late["kind"] == kind]


class _Counts:
    """Counts of requests that add up to the figures of a stretch."""

    def __init__(self, has_latency: NDArray[np.bool_]) -> None:
        self._has_latency = has_latency
        self._requests = self._failed = self._slow = 0
        self._latency = np.zeros(BUCKETS, BUCKET)

    def add_edge(self, edge: StretchEdge, kind: int | None, times: int) -> None:
        """Add the requests that had ended at an edge, or take them out with ``times`` −1."""
        ended = edge.ended[kind]
        self._requests += times * ended.ended_count
        self._failed += times * ended.failed_count
        self._slow += times * ended.slow_count
        for name in ("count", "ticks"):
            self._latency[name][ended.buckets] += times * ended.latency[name]

    def add_ended(self, late: NDArray[Any], times: int) -> None:
        """Add requests that have ended, or take them out with ``times`` −1."""
        failed, timed = late["outcome"] != OK, self._has_latency[late["kind"]]
        self._requests += times * len(late)
        self._failed += times * int(np.count_nonzero(failed))
        self._slow += times * int(np.count_nonzero(failed & timed))
        good = late[~failed & timed]
        add_latencies(self._latency, good["finish"] - good["arrival"], times)

    def add_in_flight(self, late: NDArray[Any], until_s: float) -> None:
        """Add requests that have not ended, with their age as their latency."""
        self._requests += len(late)
        timed = late[self._has_latency[late["kind"]]]
        add_latencies(self._latency, until_s - timed["arrival"])

    def figures(self) -> Figures:
        """Return the figures of the requests that were added."""
        return Figures(
            requests_count=self._requests,
            failed_count=self._failed,
            latency_p99_s=quantiles_s(self._latency, (_LEVEL,), infinite_count=self._slow)[0],
        )
