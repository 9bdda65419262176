"""What so many runs say, with which certainty, and how many more would say it.

Enters: figures of single replications, or how many of them meet the objectives. Leaves: intervals,
bounds, answers, and counts of runs. A run is one replication: requests of one run are correlated,
so no interval is ever taken from pooled requests.
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
"""Where even so many more runs would not settle a question, it is said that none would."""

FIRST_LOOK = 10
"""So many runs a candidate gets before anybody asks what they say."""

FIRST_CONFIRMATION_SPENDS = 0.9
"""Of the error probability that is left, what each confirmation may use up."""


@dataclass(frozen=True)
class Difference:
    """A candidate minus another, paired by replication: mean and its 95 % interval."""

    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class More:
    """How many more runs would settle what is undecided.

    Attributes:
        expected: If they go on as those so far; None where they are so close to the share asked
            for that `MOST_RUNS` would not do.
        to_meet: If all of them meet the objectives: fewer cannot show that the share is reached.
        to_fail: If none of them does: fewer cannot show that it is not.
    """

    expected: int | None
    to_meet: int
    to_fail: int


def t_interval(
    values: Floats, confidence: float = 0.95
) -> tuple[float, float | None, float | None]:
    """Mean and its two-sided interval; no interval from a single value.

    Student's t over independent replications: mean ± t(n − 1)·s/√n (Law, *Simulation Modeling and
    Analysis*, 5th ed., 9.4.1, terminating simulations).

    Args:
        values: One figure a run, shape (n,), n ≥ 1.
        confidence: How often such an interval covers the true mean.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    quantile = special.stdtrit(len(values) - 1, (1 + confidence) / 2)
    half = float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def interval(values: Sequence[float | None]) -> Interval:
    """Mean, its 95 % t interval, and the 5–95 % range, over the runs in which the figure exists."""
    known = np.array([value for value in values if value is not None], dtype=float)
    if not len(known):
        return Interval(mean=None, low=None, high=None, run_low=None, run_high=None)
    mean, low, high = t_interval(known)
    run_low, run_high = (float(q) for q in np.quantile(known, [0.05, 0.95]))
    return Interval(mean=mean, low=low, high=high, run_low=run_low, run_high=run_high)


def paired_difference(ones: Sequence[float | None], others: Sequence[float | None]) -> Difference:
    """The t interval of the differences, run by run, over the runs in which both figures exist.

    Both saw the same requests in each run (common random numbers), so most of what varies between
    runs is in both and cancels: Var(X − Y) = Var X + Var Y − 2·Cov(X, Y) (Law, 11.2).

    Args:
        ones: A figure of one candidate, by replication.
        others: The same figure of the other candidate in the same replications.
    """
    pairs = zip(ones, others, strict=True)
    known = np.array([a - b for a, b in pairs if a is not None and b is not None])
    return Difference(*t_interval(known)) if len(known) else Difference(None, None, None)


def clopper_pearson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """One-sided lower and upper confidence bounds of a proportion.

    Clopper and Pearson (*Biometrika* 26, 1934), by quantiles of the beta distribution: each bound
    is wrong with a probability of at most 1 − confidence, whatever the proportion is. The same as
    `scipy.stats.binomtest(…).proportion_ci(method="exact")`, which takes half a second to load.

    Args:
        successes: Runs that meet the objectives.
        trials: All runs, at least 1; their number must not depend on how they went.
        confidence: Of each bound, between 0 and 1.
    """
    failures = trials - successes
    lower = special.betaincinv(successes, failures + 1, 1 - confidence) if successes else 0.0
    upper = special.betaincinv(successes + 1, failures, confidence) if failures else 1.0
    return float(lower), float(upper)


def answer_of(successes: int, trials: int, share: float, confidence: float) -> Answer:
    """Whether the share is shown to be reached, shown not to be, or neither.

    ``meets`` when even the lower bound reaches the share, ``fails`` when even the upper one does
    not; see `clopper_pearson`.
    """
    lower, upper = clopper_pearson(successes, trials, confidence)
    if lower >= share:
        return "meets"
    return "fails" if upper < share else "undecided"


def answer_so_far(
    successes: int, trials: int, planned: int, share: float, confidence: float
) -> Answer:
    """The answer of a study of a fixed number of runs, as soon as the missing ones cannot change it.

    Looking at `answer_of` after every run and stopping at the first that is shown declares falsely more often
    than the confidence allows. Here there is one look, at ``planned`` runs; it is told early only where it
    comes out the same whether all missing runs meet the objectives or none does (curtailed sampling, Wald,
    *Sequential Analysis*, 1947), so its error probability is that of the one look.

    Args:
        successes: Runs so far that meet the objectives.
        trials: Runs so far.
        planned: All runs, fixed before the first, at least ``trials`` and 1.
        share: The share of runs that must meet them.
        confidence: With which this is to be shown.
    """
    if_none = answer_of(successes, planned, share, confidence)
    if_all = answer_of(successes + planned - trials, planned, share, confidence)
    return if_none if if_none == if_all else "undecided"


def fewest_runs(share: float, confidence: float, failures: int = 0) -> int:
    """The fewest runs that show a share when so many of them fail.

    Without a failure it is log(1 − confidence)/log(share): 59 for 95 % with 95 % confidence.

    Raises:
        BadInput: No number of runs that one would wait for does.
    """
    fewest = _first(
        lambda runs: clopper_pearson(runs - failures, runs, confidence)[0] >= share, failures + 1
    )
    if fewest is None:
        raise BadInput(
            f"objectives.in_runs: {share:.6%} with {confidence:.4%} confidence is not to be shown by "
            f"{MOST_RUNS:,} runs"
        )
    return fewest


def runs_to_settle(successes: int, trials: int, share: float, confidence: float) -> More:
    """How many more runs would settle whether the share is reached.

    Args:
        successes: Runs so far that meet the objectives.
        trials: Runs so far, at least 1, undecided.
        share: The share of runs that must meet them.
        confidence: With which this is to be shown.
    """
    rate = successes / trials

    def shown(more: int) -> bool:  # with a part of a run where the rate asks for it
        good, bad = successes + rate * more, (1 - rate) * more + trials - successes
        lower = special.betaincinv(good, bad + 1, 1 - confidence) if good else 0.0
        upper = special.betaincinv(good + 1, bad, confidence) if bad else 1.0
        return bool(lower >= share or upper < share)

    to_fail = _first(
        lambda more: clopper_pearson(successes, trials + more, confidence)[1] < share, 1
    )
    assert to_fail is not None
    return More(
        expected=_first(shown, 1),
        to_meet=fewest_runs(share, confidence, trials - successes) - trials,
        to_fail=to_fail,
    )


def next_look(successes: int, trials: int, share: float, confidence: float, most: int) -> int:
    """How many runs a candidate should have before it is looked at again; ``most`` in the end.

    Twice as many each time, so that what is clear is seen early and looks are few; never more than
    would show the share if all that are added met the objectives.
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
    """How many fresh runs a confirmation takes so that it will probably succeed.

    Fixed before the first of them is made: a bound holds only where the number of runs does not
    depend on how they went. The rate is taken to be (successes + ½)/(trials + 1), the mean of
    Jeffreys' posterior, which leaves room for failures that were not met yet.

    Args:
        successes: Runs of the screening that meet the objectives.
        trials: Runs of the screening.
        share: What is to be confirmed.
        confidence: With which.
        power: The probability with which it should succeed.
        most: No more than this, but always as many as could succeed.
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
    """The confidence that the n-th confirmation of a search must have, n from 1.

    All of them together may be wrong with a probability of 1 − confidence. The first spends nine
    tenths of it, each further one nine tenths of what is left: the sum never exceeds the whole,
    however many are made (a fixed spending rule; Bonferroni's inequality). What was looked at
    before, on other seeds, spends nothing: it only chooses what is confirmed.
    """
    left = (1 - confidence) * (1 - FIRST_CONFIRMATION_SPENDS) ** (number - 1)
    return 1 - FIRST_CONFIRMATION_SPENDS * left


def fresh_seed(seed: int, number: int) -> int:
    """The seed of the n-th confirmation of a search: another stream of random numbers.

    From numpy's `SeedSequence` (O'Neill's hash), so that it is not the neighbour's next seed.
    """
    state = np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1, np.uint32)
    return int(state[0])


def _first(holds: Callable[[int], bool], start: int) -> int | None:
    """The first whole number from ``start`` on for which something holds, and then always does."""
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
