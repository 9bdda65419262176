"""The unit of work: some cases of one replication, observed until the last of them has settled.

A `Part` may be simulated in this process, in another, or on another machine. Results are packed
before they are sent, see `simulation.results.result_bytes`.
"""

from __future__ import annotations

import gc
import math
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from simulation.estimates.overload import EndlessOverload, find_endless_overload
from simulation.results.result_bytes import pack
from simulation.results.run_result import EngineName, RunResult
from simulation.run import Run, garbage_collection_off
from simulation.scenario.simulated_interval import SimulatedInterval, expected_run_s
from simulation.study.case import Case
from simulation.study.running.overloaded import OverloadedRun

_MOST_OPEN = 8
"""Maximum number of runs that are open at once in one process."""


@dataclass(frozen=True)
class StoredRun:
    """A run of a case that is stored.

    Attributes:
        alone_end_s: When the run ends alone.
        ends_s: The ends of the stored observations of this run.
    """

    alone_end_s: float
    ends_s: frozenset[float]


@dataclass(frozen=True)
class Part:
    """One replication of some cases, each named by its index in the study.

    The stored run of a case counts for the common end too. Such a case is simulated again only where
    its run has not been observed until the common end.

    Attributes:
        replication: Number of the replication.
        unknown: Cases without a stored run.
        known: Cases with a stored run.
    """

    replication: int
    unknown: tuple[int, ...]
    known: tuple[tuple[int, StoredRun], ...] = ()

    def afresh(self) -> Part:
        """Return the same cases without stored runs, to be simulated."""
        known = (index for index, _ in self.known)
        return Part(self.replication, tuple(sorted([*self.unknown, *known])))

    def common_end_s(self) -> float | None:
        """Return the common end when nothing of the part needs to be simulated; else None."""
        end_s = max((run.alone_end_s for _, run in self.known), default=None)
        if self.unknown or any(end_s not in run.ends_s for _, run in self.known):
            return None
        return end_s


@dataclass(frozen=True)
class Work:
    """The facts that all parts of a study have in common.

    Attributes:
        cases: All cases of the study.
        frame: The simulated time around the rollout.
        engine: Which engine simulates.
        keep_requests: Whether results carry every request.
    """

    cases: tuple[Case, ...]
    frame: SimulatedInterval
    engine: EngineName = EngineName.AUTO
    keep_requests: bool = False

    def run(self, part: Part) -> dict[int, RunResult]:
        """Simulate what is not stored; return results by case, all observed until the same moment."""
        with garbage_collection_off():
            return self._run(part)

    def _run(self, part: Part) -> dict[int, RunResult]:
        known_end_s = max((stored.alone_end_s for _, stored in part.known), default=-math.inf)
        order = sorted(part.unknown, key=self._expected_ends_s.__getitem__, reverse=True)
        results = self._observe(order, part.replication, known_end_s)
        end_s = max((result.end_s for result in results.values()), default=known_end_s)
        again = [index for index in order if results[index].end_s < end_s]
        again += [index for index, stored in part.known if end_s not in stored.ends_s]
        return results | self._observe(again, part.replication, end_s)

    @cached_property
    def _expected_ends_s(self) -> tuple[float, ...]:
        """When the run of each case is expected to end, if every step takes its mean, in seconds."""
        return tuple(expected_run_s(case.scenario)[1] for case in self.cases)

    def _observe(
        self, indices: Sequence[int], replication: int, end_s: float
    ) -> dict[int, RunResult]:
        """Simulate cases of one replication; return results by case.

        A run takes some megabytes until it is closed, so only `_MOST_OPEN` cases are open at once.
        The cases come in the order of their expected ends, the latest first. Few of the later ones
        then end after all earlier ones.

        Args:
            indices: The cases.
            replication: Number of the replication.
            end_s: The earliest time until which each case is observed.

        Returns:
            Results, each observed until the last end of the cases before it and beside it.
        """
        results: dict[int, RunResult] = {}
        for first in range(0, len(indices), _MOST_OPEN):
            runs = {
                index: self._make_run(index, replication)
                for index in indices[first : first + _MOST_OPEN]
            }
            end_s = max([end_s, *(run.settle() for run in runs.values())])
            for index, run in runs.items():
                results[index] = run.finish(end_s)
                run.close()
            if first + _MOST_OPEN < len(indices):
                del runs, run
                gc.collect()  # a run contains reference cycles
        return results

    @cached_property
    def _overloads(self) -> tuple[EndlessOverload | None, ...]:
        return tuple(find_endless_overload(case.scenario) for case in self.cases)

    def _make_run(self, index: int, replication: int) -> Run | OverloadedRun:
        overload = self._overloads[index]
        if overload is not None:
            return OverloadedRun(overload, self.frame.bin_s, keep_requests=self.keep_requests)
        return Run(
            self.cases[index].scenario,
            self.frame,
            replication,
            self.engine,
            keep_requests=self.keep_requests,
        )


Done = dict[int, RunResult | bytes]
"""Results by case: packed, or as they are where they carry their requests."""


def simulate_for_another(work: bytes, parts: Sequence[Part]) -> tuple[list[Done], float]:
    """Simulate parts for another process; return their results and how many seconds they took.

    Args:
        work: The study's `Work`, pickled; a process unpickles the same bytes once.
        parts: The parts to simulate.
    """
    unpickled = _unpickle(work)
    began_at = time.monotonic()
    done = [_pack_results(unpickled.run(part)) for part in parts]
    return done, time.monotonic() - began_at


@lru_cache(maxsize=1)
def _unpickle(work: bytes) -> Work:
    unpickled: Work = pickle.loads(work)
    return unpickled


def _pack_results(results: dict[int, RunResult]) -> Done:
    return {
        index: pack(result) if result.table is None else result for index, result in results.items()
    }
