"""The ends of a run's requests, as far as the figures of stretches need them.

A stretch lies between two edges. At an edge a run counts all requests that have ended. It logs those
that were in flight at an edge when they end, so that each request can be counted in the stretch in
which it arrived, by how it ended later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.results.run_result import OK, RequestTable
from simulation.results.tally import BUCKET, BUCKETS, buckets_of, histogram_of, ticks_of
from simulation.scenario.model import Scenario
from simulation.scenario.units import Floats, Integers

LATE = np.dtype(
    [("arrival", "f8"), ("finish", "f8"), ("number", "i8"), ("kind", "i4"), ("outcome", "i4")]
)
"""One request that was in flight at an edge: its times in seconds, ``finish`` NaN while in flight; its
number, which is the same with and without a rollout; the number of its class; its outcome.
"""

ALL: int | None = None
"""In place of the number of a class: requests of all classes."""


def judged_classes(scenario: Scenario) -> dict[str, int | None]:
    """Return the names under which figures are kept, with the number of the class that each counts.

    ``""`` stands for all classes. So does the only class of a scenario that has no other.
    """
    names = list(scenario.traffic.classes)
    return {
        "": ALL,
        **{
            name: ALL if len(names) == 1 else names.index(name)
            for name in scenario.objectives.classes
        },
    }


def classes_counted_apart(scenario: Scenario) -> tuple[int, ...]:
    """Return the numbers of the classes that are counted apart from the others."""
    return tuple(kind for kind in judged_classes(scenario).values() if kind is not None)


@dataclass(frozen=True)
class EndedRequests:
    """The requests that arrived from time 0 on and have ended, of one class or of all.

    Attributes:
        ended_count: Number of these requests.
        failed_count: Number of those that ended with another outcome than `ok`.
        slow_count: Number of those that failed and whose class has a latency: they count as slower
            than every limit.
        buckets: The indices of the buckets of latencies that hold any, shape (used,).
        latency: These buckets, `simulation.results.tally.BUCKET` records, shape (used,).
    """

    ended_count: int
    failed_count: int
    slow_count: int
    buckets: Integers
    latency: NDArray[Any]

    @classmethod
    def of(
        cls, ended_count: int, failed_count: int, slow_count: int, histogram: NDArray[Any]
    ) -> EndedRequests:
        """Return the counts with a histogram of `BUCKETS` records, which is copied."""
        used = np.flatnonzero(histogram["count"])
        return cls(ended_count, failed_count, slow_count, used, histogram[used])

    def histogram(self) -> NDArray[Any]:
        """Return the latencies as a new histogram, shape (BUCKETS,)."""
        whole = np.zeros(BUCKETS, BUCKET)
        whole[self.buckets] = self.latency
        return whole


@dataclass(frozen=True)
class StretchEdge:
    """The requests of a run at an edge.

    Attributes:
        ended: The requests that have ended, by the number of their class; `ALL` for all classes.
        late_count: Number of requests that were logged before the edge.
    """

    ended: Mapping[int | None, EndedRequests]
    late_count: int


@dataclass(frozen=True)
class RequestEnds:
    """The ends of a run's requests.

    Attributes:
        classes: The names under which figures are kept, see `judged_classes`.
        has_latency: For each class, whether its duration is a latency (False for connections).
        edges: The edges by their time, in seconds.
        late: The requests that arrived before the last edge and were in flight at an edge, records of
            `LATE` in the order in which they were logged; those that have not ended come last.
    """

    classes: Mapping[str, int | None]
    has_latency: NDArray[np.bool_]
    edges: Mapping[float, StretchEdge]
    late: NDArray[Any]


def count_ended(
    table: RequestTable, has_latency: NDArray[np.bool_], kinds: Sequence[int | None]
) -> dict[int | None, EndedRequests]:
    """Return the requests of a table that arrived from time 0 on and have ended, by class."""
    own = (table.arrival_s >= 0) & np.isfinite(table.finish_s)
    latency_s, failed = table.finish_s - table.arrival_s, table.outcome != OK
    timed = has_latency[table.request_class]
    counts = {}
    for kind in kinds:
        of_kind = own if kind is None else own & (table.request_class == kind)
        counts[kind] = EndedRequests.of(
            int(np.count_nonzero(of_kind)),
            int(np.count_nonzero(of_kind & failed)),
            int(np.count_nonzero(of_kind & failed & timed)),
            histogram_of(latency_s[of_kind & ~failed & timed]),
        )
    return counts


def add_latencies(histogram: NDArray[Any], latency_s: Floats, times: int = 1) -> None:
    """Add latencies to a histogram, or take them out with ``times`` −1."""
    buckets = buckets_of(latency_s)
    np.add.at(histogram["count"], buckets, times)
    np.add.at(histogram["ticks"], buckets, times * ticks_of(latency_s))
