"""What is done in one go: some candidates of one replication, observed until the last has settled.

Enters: a `Work`, which is the same for a whole study, and a `Part` of it. Leaves: a result for each
candidate that was simulated. It may be done in this process, in another, or on another machine; what
travels is small, see `simulation.results.result_bytes`.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from simulation.results.result_bytes import pack
from simulation.results.run_result import EngineName, RunResult
from simulation.run import Run, garbage_collection_off
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.case import Case


@dataclass(frozen=True)
class StoredRun:
    """What is known of a candidate's run that has been simulated before.

    Attributes:
        alone_end_s: When it ends alone.
        ends_s: Until when it has been observed.
    """

    alone_end_s: float
    ends_s: frozenset[float]


@dataclass(frozen=True)
class Part:
    """One replication of some candidates, each told by its place in the study.

    A candidate that is known takes part in the common end. It is simulated again only where it has not
    been observed until then.

    Attributes:
        replication: Its number.
        unknown: Those that have never been simulated.
        known: Those that have, with what is known of each.
    """

    replication: int
    unknown: tuple[int, ...]
    known: tuple[tuple[int, StoredRun], ...] = ()

    def common_end_s(self) -> float | None:
        """Where the part ends, when nothing of it needs to be simulated; else None."""
        end_s = max((one.alone_end_s for _, one in self.known), default=None)
        if self.unknown or any(end_s not in one.ends_s for _, one in self.known):
            return None
        return end_s


@dataclass(frozen=True)
class Work:
    """What all parts of a study share.

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
        """Simulates what is not known; results by candidate, all until the same moment."""
        with garbage_collection_off():
            return self._run(part)

    def _run(self, part: Part) -> dict[int, RunResult]:
        runs = {index: self._opened(index, part.replication) for index in part.unknown}
        ends_s = [run.settle() for run in runs.values()]
        end_s = max([*ends_s, *(one.alone_end_s for _, one in part.known)])
        for index, one in part.known:
            if end_s not in one.ends_s:
                runs[index] = self._opened(index, part.replication)
                runs[index].settle()
        results = {index: run.finish(end_s) for index, run in runs.items()}
        for run in runs.values():
            run.close()
        return results

    def _opened(self, index: int, replication: int) -> Run:
        return Run(
            self.cases[index].scenario,
            self.frame,
            replication,
            self.engine,
            keep_requests=self.keep_requests,
        )


Done = dict[int, RunResult | bytes]
"""Results by candidate: packed, or whole where they carry their requests."""


def simulate_for_another(work: bytes, parts: Sequence[Part]) -> tuple[list[Done], float]:
    """What a process simulates for another, part by part, and how many seconds that took.

    Args:
        work: The study's `Work`, pickled; it is opened once.
        parts: What is to be done of it.
    """
    opened = _opened(work)
    began_at = time.monotonic()
    done = [_sent(opened.run(part)) for part in parts]
    return done, time.monotonic() - began_at


@lru_cache(maxsize=1)
def _opened(work: bytes) -> Work:
    opened: Work = pickle.loads(work)
    return opened


def _sent(results: dict[int, RunResult]) -> Done:
    return {
        index: pack(result) if result.table is None else result for index, result in results.items()
    }
