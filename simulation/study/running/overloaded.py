"""A run that is not simulated, because its queue would grow for ever."""

from __future__ import annotations

import numpy as np

from simulation.estimates.overload import EndlessOverload
from simulation.results.failures import Cause, Failure
from simulation.results.run_result import (
    METRICS,
    OUTCOMES,
    SERIES,
    Ending,
    RequestTable,
    RunResult,
)
from simulation.results.states import StateIntervals


class OverloadedRun:
    """A run of an endless overload, in place of `simulation.run.Run`: nothing of it is simulated."""

    def __init__(
        self, overload: EndlessOverload, bin_s: float, *, keep_requests: bool = False
    ) -> None:
        """Make the run.

        Args:
            overload: The load that the fleet can never carry.
            bin_s: Width of the bins of time, in seconds.
            keep_requests: Whether the result carries a table of requests, which is empty.
        """
        self._overload, self._bin_s, self._keep_requests = overload, bin_s, keep_requests

    def settle(self) -> float:
        """Return the end of the interval that this run needs: the start."""
        return 0.0

    def finish(self, end_s: float) -> RunResult:
        """Return a result without a request, in which no figure exists.

        Args:
            end_s: End of the common interval, in seconds.
        """
        overload = self._overload
        bins = max(1, int(end_s / self._bin_s))
        nothing: dict[str, float | None] = dict.fromkeys(METRICS)
        return RunResult(
            ended=Ending.HORIZON,
            settled_s=0.0,
            end_s=end_s,
            requests=dict.fromkeys(("arrived", *OUTCOMES, "in_flight"), 0),
            metrics=nothing,
            alone=nothing,
            bin_s=self._bin_s,
            series={
                name: np.full(bins, np.nan if name.startswith("latency") else 0.0)
                for name in SERIES
            },
            states=StateIntervals.of(()),
            stopped_by=Failure(
                Cause.ENDLESS_OVERLOAD,
                service=overload.service,
                observed=overload.offered_rps,
                limit=overload.capacity_rps,
            ),
            table=_no_requests() if self._keep_requests else None,
        )

    def close(self) -> None:
        """Free nothing: the run holds nothing."""


def _no_requests() -> RequestTable:
    times, counts = np.zeros(0), np.zeros(0, dtype=np.int64)
    return RequestTable(
        times, times, times, counts, np.zeros(0, dtype=np.bool_), counts, counts, counts
    )
