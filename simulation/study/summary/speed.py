"""Comparison of how fast two candidates are, by paired runs."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.study.statistics.means import Difference, paired_difference

AS_FAST = 0.05
"""Maximum relative difference of mean durations of candidates that count as equally fast; among these, failures and p99 decide."""


def slower_by(
    durations_s: Sequence[float | None], other_s: Sequence[float | None]
) -> Difference | None:
    """Return by how much a candidate is slower than another one; None where it counts as equally fast.

    Args:
        durations_s: Duration of the candidate's rollout in each run.
        other_s: Duration of the other candidate's rollout in the same runs.
    """
    difference = paired_difference(durations_s, other_s)
    known_s = [duration_s for duration_s in other_s if duration_s is not None]
    if difference.mean is None or difference.mean <= AS_FAST * sum(known_s) / len(known_s):
        return None
    # The interval of a single run has no ends.
    return difference if difference.low is None or difference.low > 0 else None
