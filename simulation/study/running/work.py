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
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from simulation.estimates.overload import EndlessOverload, find_endless_overload
from simulation.results.request_ends import RequestEnds
from simulation.results.result_bytes import pack
from simulation.results.run_result import EngineName, RunResult
from simulation.results.stretches import Stretches, judge_stretches
from simulation.run import Run, garbage_collection_off
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval, expected_run_s
from simulation.study.case import Case
from simulation.study.control import Controls, controls_of
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
        controls: The controls whose results are wanted, each named by its index after those of all
            cases, with the ends of its stored observations.
    """

    replication: int
    unknown: tuple[int, ...]
    known: tuple[tuple[int, StoredRun], ...] = ()
    controls: tuple[tuple[int, frozenset[float]], ...] = ()

    def afresh(self) -> Part:
        """Return the same cases without stored runs, to be simulated."""
        known = (index for index, _ in self.known)
        controls = tuple((index, frozenset[float]()) for index, _ in self.controls)
        unknown = tuple(sorted([*self.unknown, *known]))
        return Part(self.replication, unknown, controls=controls)

    def common_end_s(self) -> float | None:
        """Return the common end when nothing of the part needs to be simulated; else None."""
        end_s = max((run.alone_end_s for _, run in self.known), default=None)
        stored = [*(run.ends_s for _, run in self.known), *(ends_s for _, ends_s in self.controls)]
        if self.unknown or any(end_s not in ends_s for ends_s in stored):
            return None
        return end_s

    def unknown_controls(self, end_s: float) -> list[int]:
        """Return the controls that must be simulated for their results until the common end."""
        return [index for index, ends_s in self.controls if end_s not in ends_s]


@dataclass(frozen=True)
class _Observation:
    """A run of a case, before it is held against its control.

    Attributes:
        result: The result.
        stretches: The stretches on which the run is judged.
        ends: The ends of its requests.
    """

    result: RunResult
    stretches: Stretches
    ends: RequestEnds


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

    @cached_property
    def controls(self) -> Controls:
        """The controls of the cases; control k has the index ``len(cases) + k``."""
        return controls_of(self.cases)

    def _run(self, part: Part) -> dict[int, RunResult]:
        known_end_s = max((stored.alone_end_s for _, stored in part.known), default=-math.inf)
        order = sorted(part.unknown, key=self._expected_ends_s.__getitem__, reverse=True)
        runs = self._observe(order, part.replication, known_end_s)
        end_s = max((_end_s(run) for run in runs.values()), default=known_end_s)
        again = [index for index in order if _end_s(runs[index]) < end_s]
        again += [index for index, stored in part.known if end_s not in stored.ends_s]
        runs |= self._observe(again, part.replication, end_s)
        return self._judge(part, runs, end_s)

    def _judge(
        self, part: Part, runs: dict[int, _Observation | RunResult], end_s: float
    ) -> dict[int, RunResult]:
        """Simulate the controls of these runs; return the runs with their figures, and the controls.

        Args:
            part: The part that was simulated.
            runs: What was observed of each case; a plain result where nothing was simulated.
            end_s: The common end.
        """
        results: dict[int, RunResult] = {}
        held: dict[int, dict[int, _Observation]] = {}
        for index, run in runs.items():
            control = self.controls.of_case[index]
            if isinstance(run, RunResult):
                results[index] = run
            elif control is None:
                stretches = judge_stretches(run.stretches, run.ends)
                results[index] = replace(run.result, stretches=stretches)
            else:
                held.setdefault(control, {})[index] = run
        wanted = {index - len(self.cases) for index in part.unknown_controls(end_s)}
        for number in sorted(wanted | held.keys()):
            observed = held.get(number, {})
            result, judged = self._hold_against(
                number, part.replication, observed, end_s, wants_result=number in wanted
            )
            results |= judged
            if result is not None:
                results[len(self.cases) + number] = result
        return results

    def _hold_against(
        self,
        number: int,
        replication: int,
        runs: dict[int, _Observation],
        end_s: float,
        *,
        wants_result: bool,
    ) -> tuple[RunResult | None, dict[int, RunResult]]:
        """Simulate a control; return its result if wanted, and those of the runs held against it."""
        control = self.controls.each[number]
        overload = self._control_overload(number)
        if overload is not None and not runs:
            return OverloadedRun(overload, self.frame.bin_s).finish(end_s), {}
        fleet = self._observe_control(
            control.scenario, replication, runs, end_s, wants_result=wants_result
        )
        new = None
        if control.new_version is not None and runs:
            new = self._observe_control(control.new_version, replication, runs, end_s)
        judged = {}
        for index, run in runs.items():
            stretches = judge_stretches(
                run.stretches, run.ends, fleet.ends, None if new is None else new.ends
            )
            judged[index] = replace(
                run.result,
                stretches=stretches,
                control_metrics=fleet.metrics[run.result.settled_s],
            )
        return fleet.result, judged

    def _observe_control(
        self,
        scenario: Scenario,
        replication: int,
        runs: dict[int, _Observation],
        end_s: float,
        *,
        wants_result: bool = False,
    ) -> _ControlRun:
        """Simulate a fleet without a rollout until the common end, with the edges of these runs.

        The result takes a fifth of the time of a control, and runs that are held against the control
        do not need it.
        """
        control = Run(scenario, self.frame, replication, self.engine)
        edges = {edge for run in runs.values() for edge in run.stretches.edges_s}
        metrics = control.observe_fleet(
            edges, {run.result.settled_s for run in runs.values()}, end_s
        )
        result = control.finish(end_s) if wants_result else None
        until_s = max((run.stretches.until_s for run in runs.values()), default=end_s)
        ends = control.request_ends(until_s)
        control.close()
        return _ControlRun(result, metrics, ends)

    def _control_overload(self, number: int) -> EndlessOverload | None:
        """Return the overload of a control of which no case is simulated; None where one is."""
        overloads = [
            overload
            for overload, control in zip(self._overloads, self.controls.of_case, strict=True)
            if control == number
        ]
        return None if None in overloads else overloads[0]

    @cached_property
    def _expected_ends_s(self) -> tuple[float, ...]:
        """When the run of each case is expected to end, if every step takes its mean, in seconds."""
        return tuple(expected_run_s(case.scenario)[1] for case in self.cases)

    def _observe(
        self, indices: Sequence[int], replication: int, end_s: float
    ) -> dict[int, _Observation | RunResult]:
        """Simulate cases of one replication; return what was observed of each.

        A run takes some megabytes until it is closed, so only `_MOST_OPEN` cases are open at once.
        The cases come in the order of their expected ends, the latest first. Few of the later ones
        then end after all earlier ones.

        Args:
            indices: The cases.
            replication: Number of the replication.
            end_s: The earliest time until which each case is observed.

        Returns:
            Observations until the last end of the cases before each and beside it; a plain result
            where nothing was simulated.
        """
        results: dict[int, _Observation | RunResult] = {}
        for first in range(0, len(indices), _MOST_OPEN):
            runs = {
                index: self._make_run(index, replication)
                for index in indices[first : first + _MOST_OPEN]
            }
            end_s = max([end_s, *(run.settle() for run in runs.values())])
            for index, run in runs.items():
                results[index] = _observation(run, end_s)
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


@dataclass(frozen=True)
class _ControlRun:
    """A run without a rollout.

    Attributes:
        result: The result until the common end; None where it is not wanted.
        metrics: The metrics until the moments at which the runs held against it settled.
        ends: The ends of its requests.
    """

    result: RunResult | None
    metrics: dict[float, dict[str, float | None]]
    ends: RequestEnds


def _observation(run: Run | OverloadedRun, end_s: float) -> _Observation | RunResult:
    """Return what is observed of a run until the common end, and of the ends of its requests."""
    result = run.finish(end_s)
    if isinstance(run, OverloadedRun):
        return result
    stretches = run.stretches()
    return _Observation(result, stretches, run.request_ends(stretches.until_s))


def _end_s(run: _Observation | RunResult) -> float:
    return run.end_s if isinstance(run, RunResult) else run.result.end_s


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
