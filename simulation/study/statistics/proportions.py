"""Shares of runs: confidence bounds, answers, and the numbers of runs that answers need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import special

from executor.base.errors import BadInput

Answer = Literal["meets", "fails", "undecided"]

MOST_RUNS = 100_000
"""Maximum number of runs that is considered; a question that needs more counts as never settled."""

FIRST_LOOK = 10
"""Number of runs of each candidate before any candidate is judged."""

FIRST_CONFIRMATION_SPENDS = 0.9
"""Fraction of the remaining error probability that each confirmation uses up."""


def clopper_pearson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return one-sided lower and upper confidence bounds of a proportion.

    Clopper and Pearson (*Biometrika* 26, 1934), by quantiles of the beta distribution: each bound
    is wrong with a probability of at most 1 − confidence, whatever the proportion is. The result is that
    of `scipy.stats.binomtest(…).proportion_ci(method="exact")`, which takes half a second to load.

    Args:
        successes: Runs that meet the objectives.
        trials: All runs, at least 1; their number must not depend on their results.
        confidence: Confidence of each bound, between 0 and 1.
    """
    failures = trials - successes
    lower = special.betaincinv(successes, failures + 1, 1 - confidence) if successes else 0.0
    upper = special.betaincinv(successes + 1, failures, confidence) if failures else 1.0
    return float(lower), float(upper)


def answer_of(successes: int, trials: int, share: float, confidence: float) -> Answer:
    """Return whether runs show that the share is reached, show that it is not, or neither.

    The answer is ``meets`` when even the lower bound reaches the share, ``fails`` when even the upper
    bound does not; see `clopper_pearson`.
    """
    lower, upper = clopper_pearson(successes, trials, confidence)
    if lower >= share:
        return "meets"
    return "fails" if upper < share else "undecided"


def answer_so_far(
    successes: int, trials: int, planned: int, share: float, confidence: float
) -> Answer:
    """Return the answer of a study of a fixed number of runs once missing runs cannot change it.

    A study that asks `answer_of` after every run, and stops at the first answer, is wrong more often
    than the confidence allows. Here the answer is that after ``planned`` runs. It is given earlier
    only where it is the same whether all missing runs meet the objectives or none does (curtailed
    sampling, Wald, *Sequential Analysis*, 1947), so its error probability is that of a single look.

    Args:
        successes: Runs so far that meet the objectives.
        trials: Runs so far.
        planned: All runs, fixed before the first, at least ``trials`` and 1.
        share: The share of runs that must meet them.
        confidence: Required confidence of the answer.
    """
    if_none = answer_of(successes, planned, share, confidence)
    if_all = answer_of(successes + planned - trials, planned, share, confidence)
    return if_none if if_none == if_all else "undecided"


def fewest_runs(share: float, confidence: float, failures: int = 0) -> int:
    """Return the minimum number of runs that show a share when ``failures`` of them fail.

    Without a failure it is log(1 − confidence)/log(share): 59 for 95 % with 95 % confidence.

    Raises:
        BadInput: `MOST_RUNS` are not enough.
    """
    fewest = _first(
        lambda runs: clopper_pearson(runs - failures, runs, confidence)[0] >= share, failures + 1
    )
    if fewest is None:
        raise BadInput(
            f"objectives.in_runs: {share:.6%} with {confidence:.4%} confidence cannot be shown by "
            f"{MOST_RUNS:,} runs"
        )
    return fewest


def next_look(successes: int, trials: int, share: float, confidence: float, most: int) -> int:
    """Return how many runs a candidate should have when it is judged next, at most ``most``.

    The number doubles each time, so that clear cases are seen early and a candidate is judged a few
    times only. It stops earlier where fewer runs can suffice: at the smallest total that proves
    ``share`` with ``confidence`` if all further runs meet the objectives.
    """
    least = fewest_runs(share, confidence, trials - successes)
    return min(most, max(trials + 1, min(2 * trials, least)))


CONFIRMATION_POWER = 0.9
"""Probability with which a candidate as good as it looked is confirmed."""


def failing_share(successes: int, trials: int) -> float:
    """Return the share of runs that fail, by the mean of Jeffreys' posterior: ½ more of either kind.

    It leaves room for failures that have not occurred yet.
    """
    return 1 - (successes + 0.5) / (trials + 1)


def confirmation_runs(
    successes: int,
    trials: int,
    share: float,
    confidence: float,
    *,
    power: float = CONFIRMATION_POWER,
    most: int,
) -> int:
    """Return how many fresh runs a confirmation takes so that it will probably succeed.

    The number is fixed before the first of these runs, because a bound holds only where the number of
    runs does not depend on their results. The share of failing runs is taken to be `failing_share`.

    Args:
        successes: Runs of the screening that meet the objectives.
        trials: Runs of the screening.
        share: The share that is to be confirmed.
        confidence: Required confidence.
        power: Required probability of success.
        most: Maximum number of runs; a confirmation that could not succeed with it takes more.
    """
    fails = failing_share(successes, trials)
    allowed = 0
    runs = fewest_runs(share, confidence)
    while special.bdtr(allowed, runs, fails) < power:
        more = fewest_runs(share, confidence, allowed + 1)
        if more > most:
            break
        allowed, runs = allowed + 1, more
    return runs


def confirmation_confidence(confidence: float, number: int) -> float:
    """Return the confidence that the n-th confirmation of a search must have, n from 1.

    All confirmations together may be wrong with a probability of 1 − confidence. The first one spends
    nine tenths of this probability, each further one nine tenths of the rest: the sum never exceeds
    the whole, however many confirmations there are (a fixed spending rule; Bonferroni's inequality).
    Earlier runs on other seeds spend nothing: they only choose which candidate is confirmed.
    """
    left = (1 - confidence) * (1 - FIRST_CONFIRMATION_SPENDS) ** (number - 1)
    return 1 - FIRST_CONFIRMATION_SPENDS * left


def fresh_seed(seed: int, number: int) -> int:
    """Return the seed of the n-th confirmation of a search.

    The seed comes from numpy's `SeedSequence` (O'Neill's hash) and not from ``seed + number``, which
    might be the seed of another study.
    """
    state = np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1, np.uint32)
    return int(state[0])


def _first(holds: Callable[[int], bool], start: int) -> int | None:
    """Return the first whole number from ``start`` on for which `holds`, which then holds for all higher ones."""
    high = start
    while not holds(high):
        if high >= MOST_RUNS:
            return None
        high = min(2 * high, MOST_RUNS)
    low = max(start, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high
