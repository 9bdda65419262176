"""Measured durations → a distribution: which family fits, how well, and whether any does.

Enters: durations in seconds. Leaves: a `FitChoice`: every family with its likelihood, its distance and
its tail, and which is taken; the durations themselves (`empirical`) where none is good enough.
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
"""A family is rejected when a sample of its own is rarely as far from its fit as the data is."""
TAIL_TOLERANCE = 0.10
"""How far p99 and p99.9 may be off, relative, where the data itself knows them as well."""
MEAN_TOLERANCE = 0.05
"""The same for the mean, on which a fleet's capacity hangs."""
TESTED_COUNT = 1000
"""The test looks at no more durations: with millions every family fails, however small the fault."""
FEWEST_FOR_EMPIRICAL = 20
KEPT_COUNT = 2000
"""How many samples an `empirical` distribution is written with at most."""
FEWEST_FOR_P999 = 5000
_MONTE_CARLO_COUNT = 199
_TRIED_COUNT = 3
"""How many families, in the order of their likelihood, are tested."""
_SMALLEST_SHIFT = 0.05
"""A shift below this share of the median is none."""

_DISTRIBUTION: TypeAdapter[Any] = TypeAdapter(Distribution)


@dataclass(frozen=True)
class Tail:
    """A high quantile, as measured and as a family has it.

    Attributes:
        q: Which one, such as 0.99.
        measured_s: In the sample.
        low_s: The lower end of its 95 % interval, from the ranks of the sample (binomial).
        high_s: The upper end.
        fitted_s: Of the family.
    """

    q: float
    measured_s: float
    low_s: float
    high_s: float
    fitted_s: float

    @property
    def error(self) -> float:
        """How far the family is off, relative to what was measured."""
        return self.fitted_s / self.measured_s - 1.0

    @property
    def is_good(self) -> bool:
        """Whether the family is as near as the data can tell, or near enough."""
        return self.low_s <= self.fitted_s <= self.high_s or abs(self.error) <= TAIL_TOLERANCE


@dataclass(frozen=True)
class Fit:
    """One family, fitted by maximum likelihood.

    Attributes:
        family: Its name, such as ``lognormal`` or ``shifted gamma``.
        value: As a scenario writes it.
        aic: Akaike's criterion, 2·parameters − 2·ln likelihood; the lowest is the likeliest.
        ks: The largest distance between the two distribution functions (Kolmogorov–Smirnov).
        p_value: Of Anderson–Darling's statistic by parametric bootstrap; None where not tested.
        tails: p99, and p99.9 where there are enough durations.
        mean_error: How far its mean is off, relative to the measured one.
        mean_noise: Two standard errors of the measured mean, relative to it.
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
        """As it is sampled in a simulation."""
        return _DISTRIBUTION.validate_python(self.value)

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against it: not the test, not the tail, not the mean."""
        tested = self.p_value is not None and self.p_value >= SIGNIFICANCE
        has_mean = abs(self.mean_error) <= max(MEAN_TOLERANCE, self.mean_noise)
        return tested and has_mean and all(tail.is_good for tail in self.tails)


@dataclass(frozen=True, eq=False)
class FitChoice:
    """What durations are simulated as.

    Attributes:
        samples_s: The durations, ascending, shape (n,).
        fits: Every family that was tried, the likeliest first.
        chosen: Which one is taken; None for the durations themselves.
        reason: Why, in a few words.
    """

    samples_s: Floats
    fits: tuple[Fit, ...]
    chosen: Fit | None
    reason: str

    def kept_s(self) -> Floats:
        """The samples of an `empirical` distribution, see `thin_samples`."""
        return thin_samples(self.samples_s)

    @property
    def mean_s(self) -> float:
        """Of what is taken."""
        return float(self.chosen.distribution.mean_s() if self.chosen else self.samples_s.mean())

    def quantile_s(self, q: float) -> float:
        """Of what is taken."""
        if self.chosen:
            return float(self.chosen.distribution.quantile_s(q))
        return float(np.quantile(self.samples_s, q))


def thin_samples(samples_s: Floats) -> Floats:
    """At most `KEPT_COUNT` values for all: each the mean of as many neighbours in ascending order.

    The mean of all is kept exactly, quantiles to within a neighbourhood; what a mean of the highest
    few hides is the very largest.
    """
    ordered = np.sort(samples_s)
    if len(ordered) <= KEPT_COUNT:
        return ordered
    edges = np.linspace(0, len(ordered), KEPT_COUNT + 1)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    at_edges = np.interp(edges, np.arange(len(total)), total)
    return np.asarray(np.diff(at_edges) / np.diff(edges))


def seconds_text(seconds: float) -> str:
    """A duration for a scenario, to four digits: ``48.13ms``, ``2.104s``."""
    if seconds < 1:
        return f"{float(f'{seconds * 1000:.4g}'):.15g}ms"
    return f"{float(f'{seconds:.4g}'):.15g}s"


def choose(samples_s: Floats, seed: int = 1) -> FitChoice:
    """The likeliest family that neither the test nor the tail speaks against, else the samples.

    Args:
        samples_s: Durations in seconds, not negative, at least one of them above 0. One that is 0
            is taken as half the smallest that is not: a clock has told it too short.
        seed: Of the test's random numbers.
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
    fits = sorted((_measured(one, ordered) for one in _families(ordered)), key=lambda f: f[0].aic)
    told = []
    for number, (fit, family) in enumerate(fits):
        p_value = family.p_value(tested, rng) if number < _TRIED_COUNT else None
        told.append(replace(fit, p_value=p_value))
    best = told[0]
    good = next((fit for fit in told if fit.is_good), None)
    if good is not None:
        return FitChoice(ordered, tuple(told), good, _why_good(good, told))
    if len(ordered) < FEWEST_FOR_EMPIRICAL:
        reason = f"the likeliest; {len(ordered)} durations are too few to stand for themselves"
        return FitChoice(ordered, tuple(told), best, reason)
    return FitChoice(ordered, tuple(told), None, f"no family fits: {_why_not(best)}")


def _why_good(good: Fit, told: list[Fit]) -> str:
    first = "the likeliest" if good is told[0] else f"likelier {told[0].family} does not fit"
    return f"{first}; Anderson–Darling p {good.p_value:.2f}, {_tails_text(good)}"


def _why_not(best: Fit) -> str:
    rejected = "" if best.p_value is None else f" Anderson–Darling p {best.p_value:.3f},"
    return f"the likeliest, {best.family}, has{rejected} {_tails_text(best)}"


def _tails_text(fit: Fit) -> str:
    told = [f"p{100 * one.q:g} {one.error:+.0%}".replace("%", " %") for one in fit.tails]
    mean = f"mean {fit.mean_error:+.0%}".replace("%", " %")
    return ", ".join([f"KS {fit.ks:.3f}", mean, *told])


@dataclass(frozen=True)
class _Family:
    """A family with its parameters; its logarithm tests it where that is the simpler form."""

    name: str
    value: Any
    frozen: Any
    parameter_count: int
    tested_as: Any
    known: dict[str, float]
    by_s: float = 0.0
    in_logs: bool = False

    def p_value(self, ordered: Floats, rng: np.random.Generator) -> float:
        """Parametric bootstrap: the parameters are fitted anew to every sample (scipy).

        The shift is taken as known. Logarithms do not change the statistic, which looks at
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
    """Each family as likely as it can be made, and each again beyond a shift where there is one."""
    yield from _unshifted(ordered)
    by = ordered[0] - (ordered.mean() - ordered[0]) / len(ordered)
    if by > _SMALLEST_SHIFT * float(np.median(ordered)):
        for one in _unshifted(ordered - by):
            yield _Family(
                f"shifted {one.name}",
                {"shifted": {"by": seconds_text(by), "of": one.value}},
                one.frozen,
                one.parameter_count + 1,
                one.tested_as,
                one.known,
                float(by),
                one.in_logs,
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
    """The likeliest shape k: Σxᵏ·ln x / Σxᵏ − 1/k = mean of ln x."""
    logs = logs - logs.max()
    mean = float(logs.mean())

    def balance(k: float) -> float:
        powers = np.exp(k * logs)
        return float((powers * logs).sum() / powers.sum()) - 1 / k - mean

    return float(optimize.brentq(balance, 1e-3, 1e3))


def _digits(number: float) -> float:
    return float(f"{number:.4g}")


def _measured(family: _Family, ordered: Floats) -> tuple[Fit, _Family]:
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
    """A quantile's 95 % interval lies between two ranks, whatever the distribution (binomial)."""
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
