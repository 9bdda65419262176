"""What one run leaves behind: frozen plain data, with pandas views.

Charts, command line and plan read only these. All times are seconds on the rollout's clock
(0 = the rollout starts; the warm-up lies before it and is not counted).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulation.results.failures import Failure
from simulation.results.states import StateInterval
from simulation.scenario.units import Floats

if TYPE_CHECKING:
    import pandas as pd


OUTCOMES = ("ok", "rejected", "timed_out", "refused", "cut", "error")
"""How a request may end, in the order of the JSON; what is unfinished is ``in_flight``."""

IN_FLIGHT = len(OUTCOMES)
"""The code of a request that has not ended; the code of an outcome is its place in `OUTCOMES`."""

OK, REJECTED, TIMED_OUT, REFUSED, CUT, ERROR = range(len(OUTCOMES))


class Ending(StrEnum):
    """How the rollout of a run ended, in the order of the JSON."""

    DONE = "done"
    HALTED = "halted"
    ROLLED_BACK = "rolled_back"
    HORIZON = "horizon"
    """The rollout or the queue after it had not settled when the simulated time was over."""


class EngineName(StrEnum):
    """Which engine made a result; both engines give the same results."""

    AUTO = "auto"
    """The compiled engine where its code is ready, the reference engine meanwhile."""
    COMPILED = "compiled"
    REFERENCE = "reference"
    LAB = "lab"
    """No engine: the lab measured the result on real processes."""


ENGINES = (EngineName.AUTO, EngineName.COMPILED, EngineName.REFERENCE)
"""Engines that may be asked for."""


_BOTH_INTERVALS = (
    "latency_mean_s",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
    "wait_mean_s",
    "wait_p99_s",
    "wait_fraction",
    "error_fraction",
    "utilisation_fraction",
    "queue_max",
)

METRICS = (
    *_BOTH_INTERVALS,
    *(f"rollout_{name}" for name in _BOTH_INTERVALS),
    "rollout_duration_s",
    "lowest_in_pool_count",
    "lowest_capacity_fraction",
    "mixed_version_s",
    "exposure_requests",
    "failed_requests",
    "slow_requests",
    "cut_requests",
    "cut_connections",
    "cut_connections_fraction",
    "surge_instance_s",
)
"""Every figure of a run, in the order they are printed."""

SERIES = (
    "offered_rps",
    "served_rps",
    "capacity_rps",
    "in_pool_count",
    "in_flight_count",
    "queue_count",
    "utilisation_fraction",
    "failed_rps",
    "mixed_version_fraction",
    "latency_p50_s",
    "latency_p99_s",
)
"""What is told for each bin of time; NaN where a bin has nothing to tell."""


@dataclass(frozen=True)
class Waits:
    """The rollout's duration along its critical path, by what it was spent on, in seconds.

    Attributes:
        drain_s: Until requests in flight had ended.
        step_s: The other steps, and those of a migration.
        gate_s: `min_ready`, bakes, waiting for a place.
        pause_s: Pauses that the rule asks for.
    """

    drain_s: float
    step_s: float
    gate_s: float
    pause_s: float


@dataclass(frozen=True)
class RequestTable:
    """One row a request that arrived in the common interval (arrays of one length).

    Attributes:
        arrival_s: When it came.
        start_s: When the service of its last attempt began, NaN when it never did.
        finish_s: When its client was done with it, NaN while in flight.
        instance: The instance's number, −1 for none.
        new_version: Whether the new version served it.
        outcome: A code, see `OUTCOMES`: that of the last attempt.
        attempts: How often the client asked.
        request_class: The number of its class.
    """

    arrival_s: Floats
    start_s: Floats
    finish_s: Floats
    instance: NDArray[np.int64]
    new_version: NDArray[np.bool_]
    outcome: NDArray[np.int64]
    attempts: NDArray[np.int64]
    request_class: NDArray[np.int64]

    def frame(self, replication: int, classes: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
        """The rows as ``--requests`` writes them."""
        import pandas as pd  # noqa: PLC0415 - workers, which only simulate, start without it

        labels = np.array([*names, ""], dtype=object)
        served = self.instance >= 0
        versions = np.where(self.new_version, "new", "old").astype(object)
        return pd.DataFrame(
            {
                "replication": replication,
                "request": np.arange(len(self.arrival_s)),
                "class": np.array(classes, dtype=object)[self.request_class],
                "arrival_s": self.arrival_s,
                "start_s": self.start_s,
                "finish_s": self.finish_s,
                "instance": labels[self.instance],
                "version": np.where(served, versions, ""),
                "attempts": self.attempts,
                "outcome": np.array([*OUTCOMES, "in_flight"], dtype=object)[self.outcome],
            }
        )


@dataclass(frozen=True)
class RunResult:
    """One candidate in one replication.

    Attributes:
        settled_s: When the rollout had ended and the queue was back; the horizon when it never was.
        end_s: End of the common interval, the same for all candidates of a replication.
        requests: ``arrived``, every outcome and ``in_flight``; arrived is the sum of the others.
        metrics: Every name of `METRICS`; None where a figure does not exist.
        alone: The same as if this candidate had been simulated alone: its common interval is then
            its own rollout and settling.
        bin_s: Width of the bins of `series`.
        series: Every name of `SERIES`, one value a bin from 0 to ``end_s``.
        states: Which instance was in which state when.
        waits: Where the time went; None when the rollout did not end.
        critical_path: The services whose rollouts determined the end, first to last.
        failures: What failed or tripped, service by service.
        stopped_by: Which of it stopped the release, None when nothing did.
        table: The requests themselves, only when they were asked for.
        engine: Which engine simulated the run, never ``auto``.
    """

    ended: Ending
    settled_s: float
    end_s: float
    requests: dict[str, int]
    metrics: dict[str, float | None]
    alone: dict[str, float | None]
    bin_s: float
    series: dict[str, Floats]
    states: tuple[StateInterval, ...]
    waits: Waits | None = None
    critical_path: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    stopped_by: Failure | None = None
    table: RequestTable | None = None
    engine: EngineName = EngineName.REFERENCE

    def series_frame(self) -> pd.DataFrame:
        """The bins as a table, indexed by the time at which each begins."""
        import pandas as pd  # noqa: PLC0415 - workers, which only simulate, start without it

        count = len(self.series[SERIES[0]])
        index = pd.Index(np.arange(count) * self.bin_s, name="time_s")
        return pd.DataFrame(self.series, index=index)

    def states_frame(self, names: Sequence[str]) -> pd.DataFrame:
        """The intervals of states as a table: instance, state, begin_s, end_s."""
        import pandas as pd  # noqa: PLC0415 - workers, which only simulate, start without it

        rows = [(names[s.instance], s.state.value, s.begin_s, s.end_s) for s in self.states]
        return pd.DataFrame(rows, columns=["instance", "state", "begin_s", "end_s"])
