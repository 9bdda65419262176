"""Fitting a distribution to measured durations.

A `FitChoice` has every family with its likelihood, its distance from the data and its tail, and the
family that is chosen. Where no family is good enough, the durations themselves are used (`empirical`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from scipy import optimize, stats

from simulation.scenario.distributions import Distribution
from simulation.scenario.units import Floats

SIGNIFICANCE = 0.05
"""A family is rejected when its p-value is below this."""
TAIL_TOLERANCE = 0.10
"""Maximum relative error of p99 and p99.9, where the data determine these less precisely."""
MEAN_TOLERANCE = 0.05
"""Maximum relative error of the mean, which decides a fleet's capacity."""
TESTED_COUNT = 1000
"""Maximum number of durations in the test: with millions, the smallest difference rejects a family."""
FEWEST_FOR_EMPIRICAL = 20
"""Minimum number of durations of an `empirical` distribution."""
KEPT_COUNT = 2000
"""Maximum number of samples with which an `empirical` distribution is written."""
FEWEST_FOR_P999 = 5000
"""Minimum number of durations with which p99.9 is compared."""
_MONTE_CARLO_COUNT = 199
_TRIED_COUNT = 3
"""Number of families that are tested, in the order of their likelihood."""
_SMALLEST_SHIFT = 0.05
"""Minimum shift, as a fraction of the median, with which shifted families are tried."""

_DISTRIBUTION: TypeAdapter[Any] = TypeAdapter(Distribution)


@dataclass(frozen=True)
class Tail:
    """A high quantile of the data and of a fitted family.

    Attributes:
        q: The level, such as 0.99.
        measured_s: The quantile of the data.
        low_s: The lower end of its 95 % interval, from the ranks of the data (binomial).
        high_s: The upper end of this interval.
        fitted_s: The quantile of the family.
    """

    q: float
    measured_s: float
    low_s: float
    high_s: float
    fitted_s: float

    @property
    def error(self) -> float:
        """The relative error of the family."""
        return self.fitted_s / self.measured_s - 1.0

    @property
    def is_good(self) -> bool:
        """Return whether the family lies within the interval of the data, or within `TAIL_TOLERANCE`."""
        return self.low_s <= self.fitted_s <= self.high_s or abs(self.error) <= TAIL_TOLERANCE


@dataclass(frozen=True)
class Fit:
    """One family, fitted by maximum likelihood.

    Attributes:
        family: The name of the family, such as ``lognormal`` or ``shifted gamma``.
        value: The distribution as plain data of a scenario.
        aic: Akaike's criterion, 2·parameters − 2·ln likelihood; the lowest is the likeliest.
        ks: The largest distance between the two distribution functions (Kolmogorov–Smirnov).
        p_value: The p-value of Anderson–Darling's statistic by parametric bootstrap; None where not
            tested.
        tails: p99, and p99.9 where there are enough durations.
        mean_error: The relative error of the family's mean.
        mean_noise: Two standard errors of the measured mean, relative to this mean.
    """

    family: str
    value: Any
    aic: float
    ks: float
    p_value: float | None
    tails: tuple[Tail, ...]
    mean_error: float = 0.0
    mean_noise: float = 0.0

    @property
    def distribution(self) -> Any:
        """The distribution as a simulation samples it."""
        return _DISTRIBUTION.validate_python(self.value)

    @property
    def is_good(self) -> bool:
        """Return whether the family passes the test, and its tail and mean are close to the data."""
        tested = self.p_value is not None and self.p_value >= SIGNIFICANCE
        has_mean = abs(self.mean_error) <= max(MEAN_TOLERANCE, self.mean_noise)
        return tested and has_mean and all(tail.is_good for tail in self.tails)


@dataclass(frozen=True, eq=False)
class FitChoice:
    """The distribution that is chosen for measured durations.

    Attributes:
        samples_s: The durations, ascending, shape (n,).
        fits: Every family that was tried, the likeliest first.
        chosen: The chosen family; None for the durations themselves.
        reason: The reason of the choice, in a few words.
    """

    samples_s: Floats
    fits: tuple[Fit, ...]
    chosen: Fit | None
    reason: str

    def kept_s(self) -> Floats:
        """Return the samples of an `empirical` distribution, see `thin_samples`."""
        return thin_samples(self.samples_s)

    @property
    def mean_s(self) -> float:
        """The mean of the chosen distribution, in seconds."""
        return float(self.chosen.distribution.mean_s() if self.chosen else self.samples_s.mean())

    def quantile_s(self, q: float) -> float:
        """Return a quantile of the chosen distribution, in seconds."""
        if self.chosen:
            return float(self.chosen.distribution.quantile_s(q))
        return float(np.quantile(self.samples_s, q))


def thin_samples(samples_s: Floats) -> Floats:
    """Return at most `KEPT_COUNT` values, each the mean of equally many neighbours in ascending order.

    The overall mean stays exact, and quantiles move by less than one group of neighbours. Only the
    very largest values are hidden in the mean of their group.
    """
    ordered = np.sort(samples_s)
    if len(ordered) <= KEPT_COUNT:
        return ordered
    edges = np.linspace(0, len(ordered), KEPT_COUNT + 1)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    at_edges = np.interp(edges, np.arange(len(total)), total)
    return np.asarray(np.diff(at_edges) / np.diff(edges))


def seconds_text(seconds: float) -> str:
    """Return a duration with four digits for a scenario: ``48.13ms``, ``2.104s``."""
    if seconds < 1:
        return f"{float(f'{seconds * 1000:.4g}'):.15g}ms"
    return f"{float(f'{seconds:.4g}'):.15g}s"


def choose(samples_s: Floats, seed: int = 1) -> FitChoice:
    """Choose the likeliest good family, or the samples themselves where no family is good.

    Args:
        samples_s: Durations in seconds, not negative, at least one of them above 0. A duration of 0
            was too short for the clock and is taken as half the smallest duration above 0.
        seed: The seed of the test's random numbers.
    """
    ordered = np.sort(np.asarray(samples_s, dtype=np.float64))
    ordered = np.where(ordered > 0, ordered, ordered[ordered > 0].min() / 2)
    if ordered[0] == ordered[-1]:
        same = Fit("constant", seconds_text(ordered[0]), -math.inf, 0.0, None, ())
        return FitChoice(ordered, (same,), same, "all are the same")
    rng = np.random.default_rng(seed)
    tested = ordered
    if len(ordered) > TESTED_COUNT:
        tested = np.sort(rng.choice(ordered, TESTED_COUNT, replace=False))
    by_likelihood = sorted(
        (_fit(family, ordered) for family in _families(ordered)), key=lambda pair: pair[0].aic
    )
    fits = []
    for number, (fit, family) in enumerate(by_likelihood):
        p_value = family.p_value(tested, rng) if number < _TRIED_COUNT else None
        fits.append(replace(fit, p_value=p_value))
    best = fits[0]
    good = next((fit for fit in fits if fit.is_good), None)
    if good is not None:
        return FitChoice(ordered, tuple(fits), good, _why_good(good, fits))
    if len(ordered) < FEWEST_FOR_EMPIRICAL:
        reason = f"the likeliest; {len(ordered)} durations are too few to stand for themselves"
        return FitChoice(ordered, tuple(fits), best, reason)
    return FitChoice(ordered, tuple(fits), None, f"no family fits: {_why_not(best)}")


def _why_good(good: Fit, fits: list[Fit]) -> str:
    first = "the likeliest" if good is fits[0] else f"likelier {fits[0].family} does not fit"
    return f"{first}; Anderson–Darling p {good.p_value:.2f}, {_tails_text(good)}"


def _why_not(best: Fit) -> str:
    rejected = "" if best.p_value is None else f" Anderson–Darling p {best.p_value:.3f},"
    return f"the likeliest, {best.family}, has{rejected} {_tails_text(best)}"


def _tails_text(fit: Fit) -> str:
    tails = [f"p{100 * tail.q:g} {tail.error:+.0%}".replace("%", " %") for tail in fit.tails]
    mean = f"mean {fit.mean_error:+.0%}".replace("%", " %")
    return ", ".join([f"KS {fit.ks:.3f}", mean, *tails])


@dataclass(frozen=True)
class _Family:
    """A family with its fitted parameters.

    ``in_logs`` tests the logarithms of the data, where their distribution is the simpler one.
    """

    name: str
    value: Any
    frozen: Any
    parameter_count: int
    tested_as: Any
    known: dict[str, float]
    by_s: float = 0.0
    in_logs: bool = False

    def p_value(self, ordered: Floats, rng: np.random.Generator) -> float:
        """Return the p-value by parametric bootstrap: each sample is fitted anew (scipy).

        The shift is taken as known. Logarithms do not change the statistic, which depends on
        probabilities only.
        """
        data = ordered - self.by_s
        result = stats.goodness_of_fit(
            self.tested_as,
            np.log(data) if self.in_logs else data,
            known_params=self.known,
            statistic="ad",
            n_mc_samples=_MONTE_CARLO_COUNT,
            rng=rng,
        )
        return float(result.pvalue)


def _families(ordered: Floats) -> Iterator[_Family]:
    """Yield each family, fitted by maximum likelihood, and each again with a shift if there is one."""
    yield from _unshifted(ordered)
    by = ordered[0] - (ordered.mean() - ordered[0]) / len(ordered)
    if by > _SMALLEST_SHIFT * float(np.median(ordered)):
        for family in _unshifted(ordered - by):
            yield _Family(
                f"shifted {family.name}",
                {"shifted": {"by": seconds_text(by), "of": family.value}},
                family.frozen,
                family.parameter_count + 1,
                family.tested_as,
                family.known,
                float(by),
                family.in_logs,
            )


def _unshifted(x: Floats) -> Iterator[_Family]:
    mean, logs = float(x.mean()), np.log(x)
    yield _Family(
        "exponential",
        {"exponential": seconds_text(mean)},
        stats.expon(scale=mean),
        1,
        stats.expon,
        {"loc": 0.0},
    )
    mu, sigma = float(logs.mean()), float(logs.std())
    lognormal_mean = math.exp(mu + sigma**2 / 2)
    yield _Family(
        "lognormal",
        {"mean": seconds_text(lognormal_mean), "cv": _digits(math.sqrt(math.expm1(sigma**2)))},
        stats.lognorm(sigma, scale=math.exp(mu)),
        2,
        stats.norm,
        {},
        in_logs=True,
    )
    shape, _loc, scale = stats.gamma.fit(x, floc=0)
    yield _Family(
        "gamma",
        {"gamma": {"mean": seconds_text(shape * scale), "cv": _digits(shape**-0.5)}},
        stats.gamma(shape, scale=scale),
        2,
        stats.gamma,
        {"loc": 0.0},
    )
    shape = _weibull_shape(logs)
    scale = float(np.exp(logs.max()) * np.mean(np.exp(shape * (logs - logs.max()))) ** (1 / shape))
    weibull_mean = scale * math.gamma(1 + 1 / shape)
    yield _Family(
        "weibull",
        {"weibull": {"mean": seconds_text(weibull_mean), "shape": _digits(shape)}},
        stats.weibull_min(shape, scale=scale),
        2,
        stats.gumbel_l,
        {},
        in_logs=True,
    )


def _weibull_shape(logs: Floats) -> float:
    """Return the likeliest shape k: Σxᵏ·ln x / Σxᵏ − 1/k = mean of ln x."""
    logs = logs - logs.max()
    mean = float(logs.mean())

    def balance(k: float) -> float:
        powers = np.exp(k * logs)
        return float((powers * logs).sum() / powers.sum()) - 1 / k - mean

    return float(optimize.brentq(balance, 1e-3, 1e3))


def _digits(number: float) -> float:
    return float(f"{number:.4g}")


def _fit(family: _Family, ordered: Floats) -> tuple[Fit, _Family]:
    data = ordered - family.by_s
    aic = 2 * family.parameter_count - 2 * float(family.frozen.logpdf(data).sum())
    ks = float(stats.ks_1samp(data, family.frozen.cdf, method="asymp").statistic)
    quantiles = (0.99, 0.999) if len(ordered) >= FEWEST_FOR_P999 else (0.99,)
    tails = tuple(_tail(q, ordered, family) for q in quantiles)
    mean_s = float(ordered.mean())
    fit = Fit(
        family.name,
        family.value,
        aic,
        ks,
        None,
        tails,
        mean_error=(float(family.frozen.mean()) + family.by_s) / mean_s - 1.0,
        mean_noise=2 * float(ordered.std()) / math.sqrt(len(ordered)) / mean_s,
    )
    return fit, family


def _tail(q: float, ordered: Floats, family: _Family) -> Tail:
    """Return a quantile with its 95 % interval, which lies between two ranks of the data (binomial)."""
    count = len(ordered)
    low, high = np.asarray(stats.binom.ppf([0.025, 0.975], count, q)).astype(int)
    fitted = float(family.frozen.ppf(q)) + family.by_s
    return Tail(
        q,
        float(np.quantile(ordered, q)),
        float(ordered[max(0, low - 1)]),
        float(ordered[high]) if high < count else math.inf,
        fitted,
    )
