"""The result of one run: frozen plain data, with pandas views.

Charts, the command line and plans read only this data. All times are seconds on the rollout's clock:
the rollout starts at 0, and the warm-up before 0 is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulation.results.failures import Failure
from simulation.results.judged import Stretch
from simulation.results.losses import NO_LOSSES, Losses
from simulation.results.states import StateIntervals
from simulation.scenario.units import Floats

if TYPE_CHECKING:
    import pandas as pd


OUTCOMES = ("ok", "rejected", "timed_out", "refused", "cut", "error")
"""The outcomes of a request, in the order of the JSON; an unfinished request is ``in_flight``."""

IN_FLIGHT = len(OUTCOMES)
"""The code of a request that has not ended; the code of an outcome is its index in `OUTCOMES`."""

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
    "retries",
    "connections_at_start",
    "cut_connections",
    "cut_connections_fraction",
    "reconnects",
    "surge_instance_s",
    "most_instances_count",
    "failed_instances_count",
)
"""The names of all metrics of a run, in the order in which they are printed."""

LOSS_COUNTS = frozenset(
    {
        "failed_requests",
        "slow_requests",
        "cut_requests",
        "retries",
        "cut_connections",
        "reconnects",
        "failed_instances_count",
    }
)
"""Metrics that count what went wrong in a run, which in most runs may be nothing."""

RARE_FRACTIONS = frozenset(
    {
        "error_fraction",
        "rollout_error_fraction",
        "wait_fraction",
        "rollout_wait_fraction",
        "cut_connections_fraction",
    }
)
"""Metrics that are the share of something that may have happened in no run."""

SERIES = (
    "offered_rps",
    "served_rps",
    "capacity_rps",
    "in_pool_count",
    "in_flight_count",
    "queue_count",
    "utilisation_fraction",
    "failed_rps",
    "retried_rps",
    "mixed_version_fraction",
    "latency_p50_s",
    "latency_p99_s",
)
"""The names of all series: one value for each bin of time, NaN where a bin has no value."""


@dataclass(frozen=True)
class Waits:
    """The rollout's duration along its critical path, by what it was spent on, in seconds.

    Attributes:
        drain_s: Waiting for requests in flight to end.
        step_s: The other steps, and the steps of a migration.
        gate_s: `min_ready`, bakes of a canary, and waiting for a place in the window.
        pause_s: Pauses between instances, see `rollout.pause`.
    """

    drain_s: float
    step_s: float
    gate_s: float
    pause_s: float


@dataclass(frozen=True)
class RequestTable:
    """One row for each request that arrived in the common interval (arrays of equal length).

    Attributes:
        arrival_s: When the request arrived.
        start_s: When the service of its last attempt began, NaN when it never did.
        finish_s: When the request ended for its client, NaN while in flight.
        instance: The number of the instance that its last attempt was sent to, −1 for none.
        new_version: Whether a new version served its last attempt.
        outcome: The outcome of its last attempt, a code of `OUTCOMES`.
        attempts: Number of attempts.
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
        """Return the rows as ``--requests`` writes them."""
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
    """The result of one candidate in one replication.

    Attributes:
        settled_s: When the rollout had ended and no more requests waited than before it; the
            horizon when that never happened.
        end_s: End of the common interval, the same for all candidates of a replication.
        requests: ``arrived``, every outcome and ``in_flight``; arrived is the sum of the others.
        metrics: A value for every name of `METRICS`; None where a metric does not exist.
        alone: The metrics as if this candidate had been simulated alone: the common interval is then
            its own rollout and settling.
        bin_s: Width of the bins of `series`.
        series: For every name of `SERIES`, one value for each bin from 0 to ``end_s``.
        states: The intervals that each instance spent in each state.
        waits: The rollout's duration by what it was spent on; None when the rollout did not end.
        critical_path: The services whose rollouts determined the end, first to last.
        failures: All failures, service by service.
        stopped_by: The failure that stopped the release, None when none did.
        losses: The requests that were lost, by cause, phase of the rollout and second; their number
            is the metric ``failed_requests``.
        stretches: What the objectives on requests are judged by, see `simulation.results.judged`.
        control_metrics: The metrics without a rollout, over this candidate's own rollout and settling;
            None where there is no control.
        table: The requests, None unless they were kept.
        engine: The engine that simulated the run, never ``auto``; both give the same result.
    """

    ended: Ending
    settled_s: float
    end_s: float
    requests: dict[str, int]
    metrics: Mapping[str, float | None]
    alone: Mapping[str, float | None]
    bin_s: float
    series: Mapping[str, Floats]
    states: StateIntervals
    waits: Waits | None = None
    critical_path: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    stopped_by: Failure | None = None
    losses: Losses = field(default_factory=lambda: NO_LOSSES)
    stretches: tuple[Stretch, ...] = ()
    control_metrics: Mapping[str, float | None] | None = None
    table: RequestTable | None = None
    engine: EngineName = EngineName.REFERENCE

    def series_frame(self) -> pd.DataFrame:
        """Return the series as a table, indexed by the time at which each bin begins."""
        import pandas as pd  # noqa: PLC0415 - workers, which only simulate, start without it

        count = len(self.series[SERIES[0]])
        index = pd.Index(np.arange(count) * self.bin_s, name="time_s")
        return pd.DataFrame(dict(self.series), index=index)

    def states_frame(self, names: Sequence[str]) -> pd.DataFrame:
        """Return the intervals of states as a table: instance, state, begin_s, end_s."""
        import pandas as pd  # noqa: PLC0415 - workers, which only simulate, start without it

        rows = [(names[s.instance], s.state.value, s.begin_s, s.end_s) for s in self.states]
        return pd.DataFrame(rows, columns=["instance", "state", "begin_s", "end_s"])
