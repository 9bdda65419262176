"""Statistics over runs: intervals, confidence bounds, answers, and numbers of runs.

A run is one replication. Requests of one run are correlated, so no interval is ever taken from pooled
requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from executor.base.errors import BadInput
from executor.plan.model import Interval
from simulation.scenario.units import Floats

Answer = Literal["meets", "fails", "undecided"]

MOST_RUNS = 100_000
"""Maximum number of runs that is considered; a question that needs more counts as never settled."""

FIRST_LOOK = 10
"""Number of runs of each candidate before any candidate is judged."""

FIRST_CONFIRMATION_SPENDS = 0.9
"""Fraction of the remaining error probability that each confirmation uses up."""


@dataclass(frozen=True)
class Difference:
    """The difference between two candidates, paired by replication: mean and 95 % interval."""

    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class More:
    """Numbers of further runs that would settle an undecided question.

    Attributes:
        expected: Number when the share of good runs stays as it is so far; None where that share is
            so close to the required one that `MOST_RUNS` are not enough.
        to_meet: Number when all further runs meet the objectives. Fewer cannot show that the
            required share is reached.
        to_fail: Number when no further run does. Fewer cannot show that it is not reached.
    """

    expected: int | None
    to_meet: int
    to_fail: int


def t_interval(
    values: Floats, confidence: float = 0.95
) -> tuple[float, float | None, float | None]:
    """Return the mean and its two-sided interval, which does not exist for a single value.

    Student's t over independent replications: mean ± t(n − 1)·s/√n (Law, *Simulation Modeling and
    Analysis*, 5th ed., 9.4.1, terminating simulations).

    Args:
        values: One figure per run, shape (n,), n ≥ 1.
        confidence: Probability that such an interval covers the true mean.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    quantile = special.stdtrit(len(values) - 1, (1 + confidence) / 2)
    half = float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def interval(values: Sequence[float | None]) -> Interval:
    """Return mean, 95 % t interval and 5–95 % range over the runs in which the figure exists."""
    known = np.array([value for value in values if value is not None], dtype=float)
    if not len(known):
        return Interval(mean=None, low=None, high=None, run_low=None, run_high=None)
    mean, low, high = t_interval(known)
    run_low, run_high = (float(q) for q in np.quantile(known, [0.05, 0.95]))
    return Interval(mean=mean, low=low, high=high, run_low=run_low, run_high=run_high)


def paired_difference(ones: Sequence[float | None], others: Sequence[float | None]) -> Difference:
    """Return the t interval of the differences by run, over the runs in which both figures exist.

    Both candidates see the same requests in each run (common random numbers), so most of the
    variation between runs is in both figures and cancels: Var(X − Y) = Var X + Var Y − 2·Cov(X, Y) (Law, 11.2).

    Args:
        ones: A figure of one candidate, by replication.
        others: The same figure of the other candidate in the same replications.
    """
    pairs = zip(ones, others, strict=True)
    known = np.array([a - b for a, b in pairs if a is not None and b is not None])
    return Difference(*t_interval(known)) if len(known) else Difference(None, None, None)


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


def runs_to_settle(successes: int, trials: int, share: float, confidence: float) -> More:
    """Return how many further runs would settle whether the share is reached.

    Args:
        successes: Runs so far that meet the objectives.
        trials: Runs so far, at least 1, undecided.
        share: The share of runs that must meet them.
        confidence: Required confidence of the answer.
    """
    rate = successes / trials

    def is_settled_by(more: int) -> bool:  # numbers of good runs need not be whole here
        good, bad = successes + rate * more, (1 - rate) * more + trials - successes
        lower = special.betaincinv(good, bad + 1, 1 - confidence) if good else 0.0
        upper = special.betaincinv(good + 1, bad, confidence) if bad else 1.0
        return bool(lower >= share or upper < share)

    to_fail = _first(
        lambda more: clopper_pearson(successes, trials + more, confidence)[1] < share, 1
    )
    assert to_fail is not None
    return More(
        expected=_first(is_settled_by, 1),
        to_meet=fewest_runs(share, confidence, trials - successes) - trials,
        to_fail=to_fail,
    )


def next_look(successes: int, trials: int, share: float, confidence: float, most: int) -> int:
    """Return how many runs a candidate should have when it is judged next, at most ``most``.

    The number doubles each time, so that clear cases are seen early and a candidate is judged a few
    times only. It stops earlier where fewer runs can suffice: at the smallest total that proves
    ``share`` with ``confidence`` if all further runs meet the objectives.
    """
    least = fewest_runs(share, confidence, trials - successes)
    return min(most, max(trials + 1, min(2 * trials, least)))


def confirmation_runs(
    successes: int,
    trials: int,
    share: float,
    confidence: float,
    *,
    power: float = 0.9,
    most: int,
) -> int:
    """Return how many fresh runs a confirmation takes so that it will probably succeed.

    The number is fixed before the first of these runs, because a bound holds only where the number of
    runs does not depend on their results. The rate is taken to be (successes + ½)/(trials + 1), the mean of
    Jeffreys' posterior, which leaves room for failures that have not occurred yet.

    Args:
        successes: Runs of the screening that meet the objectives.
        trials: Runs of the screening.
        share: The share that is to be confirmed.
        confidence: Required confidence.
        power: Required probability of success.
        most: Maximum number of runs; a confirmation that could not succeed with it takes more.
    """
    fails = 1 - (successes + 0.5) / (trials + 1)
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
