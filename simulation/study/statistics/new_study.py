"""The new study that is proposed after an undecided answer; it never adds runs to the undecided one."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import special

from simulation.study.statistics.number_of_runs import LEAST_RUNS, MISSES, misses_of
from simulation.study.statistics.proportions import (
    CONFIRMATION_POWER,
    clopper_pearson,
    confirmation_runs,
    failing_share,
    fewest_runs,
    fresh_seed,
)

PROPOSED_SHARE = 0.05
"""Share of a study's error probability that the study proposed after its undecided answer may have."""

MOST_PROPOSED = 5000
"""Maximum number of runs that are proposed; a question that needs more has no proposal."""

PROPOSAL_NUMBER = 1000
"""Number of the fresh seed of a proposed study, beyond those of all confirmations."""


@dataclass(frozen=True)
class NewStudy:
    """A new study of a candidate that is undecided, fixed before its first run.

    Attributes:
        seed: Its fresh seed.
        runs: Its number of runs.
        misses: Number of its runs that may break an objective while it still shows that the
            candidate meets.
        confidence: The confidence that it requires.
    """

    seed: int
    runs: int
    misses: int
    confidence: float


def propose_new_study(
    successes: int, trials: int, share: float, confidence: float, seed: int
) -> NewStudy | None:
    """Return the study to propose after an undecided answer; None where none would decide it soon.

    To add runs to a study because it is undecided is to look twice, and to repeat it with the same
    confidence doubles its error probability. The proposed study has a fresh seed, and
    `PROPOSED_SHARE` of the error probability: 99.75 % confidence after 95 %. A study of too few runs
    to show anything, such as 4, cannot have erred: after it the confidence stays. Whoever does what
    each undecided answer proposes errs with at most (1 − confidence)/(1 − `PROPOSED_SHARE`), 5.3 % at
    95 %.

    Where all runs meet, a share cannot be told from them: 4 of 4 are as good as 99 of 99. Then the
    number of runs is that of a study of which nothing is known yet, see `MISSES`. Else it is the
    number that probably suffices.

    Args:
        successes: Runs of the undecided study that meet the objectives.
        trials: Its runs, whose number was fixed before the first.
        share: The share of runs that must meet them.
        confidence: Its required confidence.
        seed: Its seed.
    """
    if could_show(trials, share, confidence):
        confidence = round(1 - PROPOSED_SHARE * (1 - confidence), 12)
    if not could_show(MOST_PROPOSED, share, confidence):
        return None
    fails = failing_share(successes, trials)
    all_meet = successes == trials
    if all_meet:
        runs = _planned_number(share, confidence)
    elif fails < 1 - share:
        runs = confirmation_runs(successes, trials, share, confidence, most=MOST_PROPOSED)
    else:
        return None
    misses = misses_of(runs, share, confidence)
    assert misses is not None
    if not all_meet and special.bdtr(misses, runs, fails) < CONFIRMATION_POWER:
        return None
    return NewStudy(fresh_seed(seed, PROPOSAL_NUMBER), runs, misses, confidence)


def could_show(trials: int, share: float, confidence: float) -> bool:
    """Return whether as many runs show the share where all of them meet the objectives."""
    return clopper_pearson(trials, trials, confidence)[0] >= share


def _planned_number(share: float, confidence: float) -> int:
    """Return the number of runs of a study with as many of `MISSES` as `MOST_PROPOSED` allows."""
    for misses in MISSES:
        runs = max(LEAST_RUNS, fewest_runs(share, confidence, misses))
        if runs <= MOST_PROPOSED:
            break
    return runs
