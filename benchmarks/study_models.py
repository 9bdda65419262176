"""Many simulated studies without an engine: runs are drawn from distributions whose truth is known.

A run meets its objectives with a given probability, or loses a number of requests that is compound
Poisson: a Poisson number of clusters of a fixed size. The answers come from the same functions that
judge real studies. Each table states its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache

import numpy as np
from scipy import special

from simulation.scenario.units import Floats
from simulation.study.confirmation import MOST_CONFIRMATIONS
from simulation.study.statistics.means import interval, single_run_range, t_interval
from simulation.study.statistics.new_study import propose_new_study
from simulation.study.statistics.number_of_runs import misses_of
from simulation.study.statistics.occurrence import occurrence
from simulation.study.statistics.proportions import (
    FIRST_LOOK,
    answer_of,
    confirmation_confidence,
    confirmation_runs,
    fewest_runs,
    next_look,
)

STUDIES = 20_000
SEED = 17

SHARE, CONFIDENCE = 0.95, 0.95
JUST_SHORT = 0.949999
"""Probability that a run meets of a candidate that every "meets" about it is wrong of."""

NUMBERS = (181, 124, 59)
TOO_FEW = (20, 4)
"""Numbers of runs that people ask for and that cannot show that a candidate meets."""

LOOKS = (59, 93, 124, 153, 181)

Draw = Callable[[int], int]
"""Returns how many of a number of runs meet."""

answer = lru_cache(maxsize=None)(answer_of)
look = lru_cache(maxsize=None)(next_look)
proposed = lru_cache(maxsize=None)(propose_new_study)
runs_to_confirm = lru_cache(maxsize=None)(confirmation_runs)


def is_confirmed(screened: tuple[int, int], number: int, most: int, draw: Draw) -> bool:
    """Return whether the n-th confirmation of a candidate holds, as `confirmation.confirm` decides."""
    confidence = confirmation_confidence(CONFIDENCE, number)
    runs = runs_to_confirm(*screened, SHARE, confidence, most=most)
    return draw(runs) >= runs - (misses(runs, confidence) or 0)


@cache
def misses(runs: int, confidence: float) -> int | None:
    """Return how many runs may fail, see `statistics.misses_of`."""
    return misses_of(runs, SHARE, confidence)


def plan(draws: Sequence[Draw]) -> int | None:
    """Return which candidate a search declares feasible; the first is the fastest.

    The looks are those of `simulation.planning.search`.
    """
    most = 5 * fewest_runs(SHARE, CONFIDENCE)
    budget, made = 10 * most, 0
    good = [draw(FIRST_LOOK) for draw in draws]
    for index, draw in enumerate(draws):
        runs = FIRST_LOOK
        while (said := answer(good[index], runs, SHARE, CONFIDENCE)) == "undecided":
            more = min(look(good[index], runs, SHARE, CONFIDENCE, most) - runs, budget)
            if more <= 0:
                break
            budget -= more
            good[index] += draw(more)
            runs += more
        if said == "meets":
            if made == MOST_CONFIRMATIONS:
                return None
            made += 1
            if is_confirmed((good[index], runs), made, most, draw):
                return index
    return None


def compare(draws: Sequence[Draw], runs: int) -> int | None:
    """Return which candidate a comparison names the best; the first is the fastest."""
    made = 0
    for index, draw in enumerate(draws):
        good = draw(runs)
        if answer(good, runs, SHARE, CONFIDENCE) == "meets":
            if made == MOST_CONFIRMATIONS:
                return None
            made += 1
            if is_confirmed((good, runs), made, 5 * max(runs, NUMBERS[-1]), draw):
                return index
    return None


def follow_proposals(draw: Draw, runs: int) -> bool:
    """Return whether a study, or one of those proposed after it, says that its candidate meets."""
    confidence = CONFIDENCE
    while True:
        good = draw(runs)
        said = answer(good, runs, SHARE, confidence)
        if said != "undecided":
            return said == "meets"
        study = proposed(good, runs, SHARE, confidence, 1)
        if study is None:
            return False
        runs, confidence = study.runs, study.confidence


def share_of_studies(study: Callable[[np.random.Generator], bool], seed: int = SEED) -> float:
    """Return the share of `STUDIES` in which something happens."""
    generator = np.random.default_rng(seed)
    return sum(study(generator) for _ in range(STUDIES)) / STUDIES


def drawing(generator: np.random.Generator, meets: float) -> Draw:
    """Return a candidate of which a run meets with this probability."""
    return lambda runs: int(generator.binomial(runs, meets))


def wrong_answers() -> Iterator[tuple[str, float, str, bool]]:
    """Yield how often something is declared feasible that is not: words, share, asked, whether it holds."""

    def several(generator: np.random.Generator) -> list[Draw]:
        return [drawing(generator, JUST_SHORT)] * 5

    most = 0.053
    share = share_of_studies(lambda generator: plan(several(generator)) is not None)
    yield (
        "`plan`, five candidates just short of it: one is declared feasible",
        share,
        "at most 5.3 %",
        share <= most,
    )
    for runs in NUMBERS:
        share = share_of_studies(lambda g, n=runs: compare(several(g), n) is not None)  # type: ignore[misc]
        words = f"`compare`, the same five with {runs} runs each: one is named the best"
        yield words, share, "at most 5.3 %", share <= most
    for runs in (*NUMBERS, *TOO_FEW):
        share = share_of_studies(lambda g, n=runs: follow_proposals(drawing(g, JUST_SHORT), n))  # type: ignore[misc]
        words = (
            f"one such candidate, {runs} runs, and whatever is proposed after each undecided answer"
        )
        yield words, share, "at most 5.3 %", share <= most
    for runs in NUMBERS:
        good = np.random.default_rng(SEED).binomial(runs, JUST_SHORT, STUDIES)
        share = float(np.mean([answer(int(k), runs, SHARE, CONFIDENCE) == "meets" for k in good]))
        yield f"one such candidate, one look at {runs} runs", share, "at most 5.3 %", share <= most
    generator = np.random.default_rng(SEED)
    steps = np.diff((0, *LOOKS))
    totals = np.cumsum(generator.binomial(steps, JUST_SHORT, (STUDIES, len(LOOKS))), axis=1)
    hits = [
        any(
            answer(int(k), n, SHARE, CONFIDENCE) == "meets" for k, n in zip(row, LOOKS, strict=True)
        )
        for row in totals
    ]
    share = float(np.mean(hits))
    yield (
        f"for comparison: looking at {', '.join(map(str, LOOKS))} runs in turn",
        share,
        "what is avoided",
        True,
    )


def right_answers() -> Iterator[tuple[str, float, str, bool]]:
    """Yield how often a window that holds in 99 % of runs is shown to meet."""
    for runs, least in zip(NUMBERS, (0.95, 0.85, 0.5), strict=True):
        good = np.random.default_rng(SEED).binomial(runs, 0.99, STUDIES)
        share = float(np.mean([answer(int(k), runs, SHARE, CONFIDENCE) == "meets" for k in good]))
        words = f"one that holds in 99 % of runs, {runs} runs: shown to meet"
        yield words, share, f"at least {least:.0%}".replace("%", " %"), share >= least


def occurrences() -> Iterator[tuple[str, float, str, bool]]:
    """Yield the lowest coverage of the share of runs with any loss, over true shares of 0.1 to 99 %."""
    for runs in NUMBERS:
        bounds = [occurrence([1.0] * k + [0.0] * (runs - k)) for k in range(runs + 1)]
        low = np.array([0.0 if bound is None else bound.low_fraction for bound in bounds])
        high = np.array([1.0 if bound is None else bound.high_fraction for bound in bounds])
        truths = np.concatenate([[0.001, 0.003], np.arange(0.01, 1.0, 0.01)])
        generator = np.random.default_rng(SEED)
        covered = []
        for truth in truths:
            some = generator.binomial(runs, truth, STUDIES)
            covered.append(float(np.mean((low[some] <= truth) & (truth <= high[some]))))
        share = min(covered)
        words = f"share of runs with any loss, {runs} runs, the worst of {len(truths)} true shares"
        # 20,000 studies measure 95 % with a standard error of 0.15 points.
        yield words, share, "at least 95 %", share >= 0.945


CLUSTERS = ((1, "single losses"), (8, "clusters of 8"), (1000, "clusters of 1,000"))
PER_RUN = (0.01, 0.02, 0.05, 0.2, 1.0)


def means(studies: int = STUDIES) -> Iterator[tuple[str, int, list[tuple[float, float]]]]:
    """Yield for each kind of loss and number of runs the coverage of the mean, new and by Student's t.

    Args:
        studies: Number of studies of each cell.
    """
    for size, words in CLUSTERS:
        for runs in (59, 181):
            cells = []
            for per_run in PER_RUN:
                drawn = size * np.random.default_rng(SEED).poisson(per_run, (studies, runs)).astype(
                    float
                )
                covered = sum(_covers(row, size * per_run) for row in drawn) / studies
                cells.append((covered, _covers_by_t(drawn, size * per_run)))
            yield words, runs, cells


def _covers(row: Floats, truth: float) -> bool:
    figure = interval(list(row), "failed_requests")
    assert figure.low is not None
    return figure.low <= truth <= (np.inf if figure.high is None else figure.high)


def _covers_by_t(drawn: Floats, truth: float) -> float:
    """Return how often Student's interval covers, which all figures had before."""
    runs = drawn.shape[1]
    half = special.stdtrit(runs - 1, 0.975) * drawn.std(axis=1, ddof=1) / np.sqrt(runs)
    return float(np.mean(np.abs(drawn.mean(axis=1) - truth) <= half))


def single_runs(studies: int = STUDIES) -> Iterator[tuple[str, float, str, bool]]:
    """Yield how often one more run lies between `run_low` and `run_high`."""
    for runs in (20, 60, 181):
        values = np.random.default_rng(SEED).lognormal(0.0, 1.0, (studies, runs + 1))
        held = old = 0
        for row in values:
            low, high = single_run_range(row[:-1])
            held += low <= row[-1] <= high
            below, above = np.quantile(row[:-1], [0.05, 0.95])
            old += below <= row[-1] <= above
        words = f"one more run between `run_low` and `run_high`, {runs} runs (plain percentiles: {old / studies:.1%})"
        yield words.replace("%)", " %)"), held / studies, "90 %", abs(held / studies - 0.9) <= 0.01


def other_means(studies: int = STUDIES) -> Iterator[tuple[str, float, str, bool]]:
    """Yield the coverage of means of a duration and of a fraction."""
    generator = np.random.default_rng(SEED)
    durations = generator.lognormal(0.0, 0.3, (studies, 59))
    truth = float(np.exp(0.045))
    bounds = [t_interval(row) for row in durations]
    share = sum((low or 0) <= truth <= (high or 0) for _mean, low, high in bounds) / studies
    yield "mean of a duration (lognormal, σ 0.3), 59 runs", share, "93–97 %", 0.93 <= share <= 0.97
    for runs in (59, 181):
        fractions = generator.beta(0.3, 30.0, (studies, runs))
        figures = [interval(list(row), "error_fraction") for row in fractions]
        truth = 0.3 / 30.3
        share = sum((f.low or 0) <= truth <= (f.high or 1) for f in figures) / studies
        yield (
            f"mean of a skewed fraction (beta 0.3, 30), {runs} runs",
            share,
            "at least 92 %",
            share >= 0.92,
        )
