"""How rollouts ended, in words: one that was halted, or never simulated, did not just fail to end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from simulation.results.failures import Cause
from simulation.results.run_result import Ending, RunResult
from simulation.study.candidate_result import CandidateResult

_STOPPED = {
    Ending.HALTED: "halted",
    Ending.ROLLED_BACK: "rolled back",
    Ending.HORIZON: "still going on when the simulated time was over",
}


def stop_text(run: RunResult) -> str:
    """Return why a rollout is not done, as the words after ``was``: ``halted``; empty where it is done.

    The run of an endless overload is not simulated, and then nothing was going on.
    """
    if run.stopped_by is not None and run.stopped_by.cause is Cause.ENDLESS_OVERLOAD:
        return "not simulated"
    return "" if is_done(run) else _STOPPED[run.ended]


def is_done(run: RunResult) -> bool:
    """Return whether the rollout itself is done, even if the queue after it has not settled."""
    has_ended = run.metrics["rollout_duration_s"] is not None
    return run.ended is Ending.DONE or (has_ended and run.ended is Ending.HORIZON)


def stops_text(results: Iterable[CandidateResult]) -> str:
    """Return how often a rollout was stopped: ``was halted in 3 of 4 runs, rolled back in 1 of 4``.

    Args:
        results: The candidates whose runs are counted together.

    Returns:
        The words after a subject; empty where every rollout is done.
    """
    counts = Counter(stop_text(run) for result in results for run in result.runs)
    total = counts.total()
    counts.pop("", None)
    if not counts:
        return ""
    (first, stops), *others = counts.items()
    runs = f"was {first} in {stops:,} of {total:,} run{'' if total == 1 else 's'}"
    return ", ".join([runs, *(f"{words} in {more:,} of {total:,}" for words, more in others)])
