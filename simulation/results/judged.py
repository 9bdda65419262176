"""The figures by which the objectives on requests are judged: of stretches of time, with and without a rollout."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """The requests that arrived in one stretch, by how they ended; those in flight at the end are left out.

    Attributes:
        requests_count: Number of these requests.
        failed_count: Number of those that ended with another outcome than `ok`.
        latency_p99_s: The 99th percentile of the latency, where failed requests count as slower than
            every limit: infinite where it falls among them. None without a request that has a latency.
    """

    requests_count: int
    failed_count: int
    latency_p99_s: float | None

    @property
    def error_fraction(self) -> float | None:
        """The fraction of requests that failed; None without a request."""
        return self.failed_count / self.requests_count if self.requests_count else None


@dataclass(frozen=True)
class Stretch:
    """One stretch on which objectives are judged: the rollout and its settling, or one of `objectives.over`.

    Attributes:
        begin_s: Its begin, on the rollout's clock.
        end_s: Its end.
        rollout: The figures with the rollout, by class of requests; ``""`` stands for all classes.
        control: The same without a rollout, on the same draws; None in a scenario without a rollout.
        new_version: The same for a fleet that runs wholly on the new version; None where both versions
            are as fast and fail as rarely.
    """

    begin_s: float
    end_s: float
    rollout: dict[str, Figures]
    control: dict[str, Figures] | None = None
    new_version: dict[str, Figures] | None = None
