"""Distributions of durations and demands: how long a step takes, how much work a request is.

A distribution is parsed from one value of a scenario file: ``20s``, ``{mean: 20s, cv: 0.3}``,
``{gamma: {…}}``. It has samples, a mean, a coefficient of variation (`cv`), quantiles, the probability
of a longer duration (`survival`, P(S > t)) and the mean excess (`excess_s`,
E[(S − t)⁺] = ∫ₜ^∞ P(S > u) du). Its dump parses to the same distribution. Samples use one random
stream in order, so the k-th sample does not depend on how many follow it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated, Any

import numpy as np
from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from executor.base.errors import BadInput
from executor.base.text_limits import read_limited_text
from simulation.scenario.units import (
    DURATION_SCHEMA,
    DurationS,
    FileModel,
    Floats,
    base_directory,
    parse_duration_s,
    why,
)

MOST_SAMPLES_BYTES = 16 << 20
"""Maximum size of a file of measured durations: about a million of them."""


@cache
def _special() -> Any:
    """Return `scipy.special`, imported on first use: the import takes longer than opening a window."""
    from scipy import special  # noqa: PLC0415 - see above

    return special


class _Spread(FileModel):
    """The mean and the spread of a duration.

    Attributes:
        mean: The mean.
        cv: The coefficient of variation: standard deviation over mean.
    """

    mean: DurationS
    cv: float = Field(ge=0, allow_inf_nan=False)


class LognormalShape(FileModel):
    """A lognormal distribution by its mean and either its spread or its 99th percentile.

    Attributes:
        mean: The mean.
        cv: The coefficient of variation: standard deviation over mean. Either cv or p99.
        p99: The 99th percentile: 99 of 100 durations are shorter. Either cv or p99.
    """

    mean: DurationS = Field(gt=0)
    cv: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    p99: DurationS | None = None

    @model_validator(mode="after")
    def _one_of_cv_and_p99(self) -> LognormalShape:
        if (self.cv is None) == (self.p99 is None):
            raise ValueError("a lognormal takes either cv or p99 beside its mean")
        if self.p99 is not None:
            self.sigma()
        return self

    def sigma(self) -> float:
        """Return the standard deviation of the logarithm.

        From the cv: sigma² = ln(1 + cv²). From p99: ln(p99/mean) = z·sigma − sigma²/2, the smaller
        root (the larger root belongs to a very heavy tail, most of which lies beyond the p99).

        Raises:
            ValueError: No lognormal with this mean has this 99th percentile.
        """
        if self.cv is not None:
            return math.sqrt(math.log1p(self.cv**2))
        assert self.p99 is not None
        if self.p99 < self.mean:
            raise ValueError("p99 must not be below the mean")
        z = float(_special().ndtri(0.99))
        discriminant = z * z - 2 * math.log(self.p99 / self.mean)
        if discriminant < 0:
            raise ValueError(
                f"no lognormal has a p99 above {math.exp(z * z / 2):.1f} times its mean"
            )
        return z - math.sqrt(discriminant)


def _deviations(time_s: Floats, mu: float, sigma: float) -> Floats:
    """Return how many standard deviations of the logarithm each time lies below the median."""
    with np.errstate(divide="ignore"):
        log_time = np.log(np.maximum(time_s, 0.0))
    if sigma == 0:
        return np.where(log_time < mu, np.inf, -np.inf)
    return (mu - log_time) / sigma


class Constant(FileModel):
    """Always the same duration.

    Attributes:
        constant: The duration.
    """

    constant: DurationS

    def mean_s(self) -> float:
        return self.constant

    def quantile_s(self, q: float) -> float:
        return self.constant

    def cv(self) -> float:
        return 0.0

    def survival(self, time_s: Floats) -> Floats:
        return np.where(time_s < self.constant, 1.0, 0.0)

    def excess_s(self, time_s: Floats) -> Floats:
        return np.maximum(self.constant - time_s, 0.0)

    def sample_s(self, rng: np.random.Generator, count: int) -> Floats:
        return np.full(count, self.constant)


class Exponential(FileModel):
    """An exponential (memoryless) distribution.

    Attributes:
        exponential: The mean.
    """

    exponential: DurationS

    def mean_s(self) -> float:
        return self.exponential

    def quantile_s(self, q: float) -> float:
        return -self.exponential * math.log1p(-q)

    def cv(self) -> float:
        return 1.0 if self.exponential > 0 else 0.0

    def survival(self, time_s: Floats) -> Floats:
        if self.exponential == 0:
            return np.where(time_s < 0, 1.0, 0.0)
        longer: Floats = np.exp(-np.maximum(time_s, 0.0) / self.exponential)
        return longer

    def excess_s(self, time_s: Floats) -> Floats:
        return self.exponential * self.survival(time_s) + np.maximum(-time_s, 0.0)

    def sample_s(self, rng: np.random.Generator, count: int) -> Floats:
        return self.exponential * rng.standard_exponential(count)


class Lognormal(FileModel):
    """A lognormal distribution, the usual shape of service times.

    Short forms: ``{mean: 50ms, cv: 1}`` or ``{mean: 50ms, p99: 230ms}``.

    Attributes:
        lognormal: The mean, and either cv or p99.
    """

    lognormal: LognormalShape

    def _mu_sigma(self) -> tuple[float, float]:
        sigma = self.lognormal.sigma()
        return math.log(self.lognormal.mean) - sigma * sigma / 2, sigma

    def mean_s(self) -> float:
        return self.lognormal.mean

    def quantile_s(self, q: float) -> float:
        mu, sigma = self._mu_sigma()
        return math.exp(mu + sigma * float(_special().ndtri(q)))

    def cv(self) -> float:
        return math.sqrt(math.expm1(self.lognormal.sigma() ** 2))

    def survival(self, time_s: Floats) -> Floats:
        mu, sigma = self._mu_sigma()
        share: Floats = _special().ndtr(_deviations(time_s, mu, sigma))
        return share

    def excess_s(self, time_s: Floats) -> Floats:
        mu, sigma = self._mu_sigma()
        z = _deviations(time_s, mu, sigma)
        excess_s: Floats = self.lognormal.mean * _special().ndtr(
            z + sigma
        ) - time_s * _special().ndtr(z)
        return excess_s

    def sample_s(self, rng: np.random.Generator, count: int) -> Floats:
        mu, sigma = self._mu_sigma()
        values = rng.standard_normal(count)
        values *= sigma
        values += mu
        return np.exp(values, out=values)


class Gamma(FileModel):
    """A gamma distribution by its mean and coefficient of variation (shape = 1/cv²).

    Attributes:
        gamma: The mean and the coefficient of variation.
    """

    gamma: _Spread

    @model_validator(mode="after")
    def _cv_positive(self) -> Gamma:
        if self.gamma.cv == 0:
            raise ValueError("cv must be above 0 (a constant says the same)")
        return self

    def mean_s(self) -> float:
        return self.gamma.mean

    def quantile_s(self, q: float) -> float:
        shape = self.gamma.cv**-2
        return float(_special().gammaincinv(shape, q)) * self.gamma.mean / shape

    def cv(self) -> float:
        return self.gamma.cv if self.gamma.mean > 0 else 0.0

    def survival(self, time_s: Floats) -> Floats:
        if self.gamma.mean == 0:
            return np.where(time_s < 0, 1.0, 0.0)
        longer = _special().gammaincc(self.gamma.cv**-2, self._scaled(time_s))
        return np.asarray(longer, dtype=np.float64)

    def excess_s(self, time_s: Floats) -> Floats:
        if self.gamma.mean == 0:
            return np.maximum(-time_s, 0.0)
        longer = _special().gammaincc(self.gamma.cv**-2 + 1, self._scaled(time_s))
        excess_s: Floats = self.gamma.mean * longer - time_s * self.survival(time_s)
        return excess_s

    def _scaled(self, time_s: Floats) -> Floats:
        return np.maximum(time_s, 0.0) * (self.gamma.cv**-2 / self.gamma.mean)

    def sample_s(self, rng: np.random.Generator, count: int) -> Floats:
        shape = self.gamma.cv**-2
        return rng.standard_gamma(shape, count) * (self.gamma.mean / shape)


class WeibullShape(FileModel):
    """A Weibull distribution by its mean and shape.

    Attributes:
        mean: The mean.
        shape: The shape parameter; below 1 the tail is heavy, 1 is exponential.
    """

    mean: DurationS
    shape: float = Field(gt=0, allow_inf_nan=False)


class Weibull(FileModel):
    """A Weibull distribution by its mean and shape.

    Attributes:
        weibull: The mean and the shape.
    """

    weibull: WeibullShape

    def _scale_s(self) -> float:
        return self.weibull.mean / math.gamma(1 + 1 / self.weibull.shape)

    def mean_s(self) -> float:
        return self.weibull.mean

    def quantile_s(self, q: float) -> float:
        return self._scale_s() * math.pow(-math.log1p(-q), 1 / self.weibull.shape)

    def cv(self) -> float:
        if self.weibull.mean == 0:
            return 0.0
        once, twice = (_special().gammaln(1 + k / self.weibull.shape) for k in (1, 2))
        return math.sqrt(math.expm1(min(700.0, float(twice - 2 * once))))

    def survival(self, time_s: Floats) -> Floats:
        if self.weibull.mean == 0:
            return np.where(time_s < 0, 1.0, 0.0)
        longer: Floats = np.exp(-self._scaled(time_s))
        return longer

    def excess_s(self, time_s: Floats) -> Floats:
        if self.weibull.mean == 0:
            return np.maximum(-time_s, 0.0)
        longer = _special().gammaincc(1 + 1 / self.weibull.shape, self._scaled(time_s))
        excess_s: Floats = self.weibull.mean * longer - time_s * self.survival(time_s)
        return excess_s

    def _scaled(self, time_s: Floats) -> Floats:
        return np.power(np.maximum(time_s, 0.0) / self._scale_s(), self.weibull.shape)

    def sample_s(self, rng: np.random.Generator, count: int) -> Floats:
        return self._scale_s() * rng.weibull(self.weibull.shape, count)


class Empirical(FileModel):
    """Measured durations, of which each draw picks one at random.

    A dump contains the values themselves, so it does not need the file.

    Attributes:
        empirical: A file with one duration per line (seconds such as 0.25, or 30ms), or a list of
            durations.
    """

    empirical: Annotated[
        tuple[DurationS, ...],
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "description": "a file with one duration per line"},
                    {"type": "array", "items": DURATION_SCHEMA, "minItems": 1},
                ]
            }
        ),
    ] = Field(min_length=1)

    @field_validator("empirical", mode="before")
    @classmethod
    def _read_file(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        path = base_directory(info) / value
        try:
            words = read_limited_text(path, MOST_SAMPLES_BYTES).split()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read the samples in {path}: {why(error)}") from None
        except BadInput as error:
            raise ValueError(f"cannot read the samples in {error}") from None
        try:
            return [word if word[-1].isalpha() else f"{float(word)!r}s" for word in words]
        except ValueError:
            raise ValueError(f"{path} must hold one duration a line") from None

    def mean_s(self) -> float:
        return float(np.mean(self.empirical))

    def quantile_s(self, q: float) -> float:
        return float(np.quantile(self.empirical, q))

    def cv(self) -> float:
        mean_s = self.mean_s()
        return float(np.std(self.empirical)) / mean_s if mean_s > 0 else 0.0

    def survival(self, time_s: Floats) -> Floats:
        values = np.sort(self.empirical)
        return 1.0 - np.searchsorted(values, time_s, side="right") / len(values)

    def excess_s(self, time_s: Floats) -> Floats:
        values = np.sort(self.empirical)
        sums = np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
        at = np.searchsorted(values, time_s, side="right")
        return (sums[at] - (len(values) - at) * time_s) / len(values)

    def sample_s(self, rng: np.random.Generator, count: int) -> Floats:
        values = np.asarray(self.empirical)
        return values[(rng.random(count) * len(values)).astype(np.int64)]


class ShiftedShape(FileModel):
    """A minimum and what is added to it.

    Attributes:
        by: The minimum.
        of: The distribution of the time that is added to the minimum.
    """

    by: DurationS
    of: Distribution


class Shifted(FileModel):
    """A distribution with a minimum: a constant plus another distribution.

    Attributes:
        shifted: The minimum and the distribution that is added to it.
    """

    shifted: ShiftedShape

    def mean_s(self) -> float:
        return self.shifted.by + self.shifted.of.mean_s()

    def quantile_s(self, q: float) -> float:
        return self.shifted.by + self.shifted.of.quantile_s(q)

    def cv(self) -> float:
        mean_s = self.mean_s()
        return self.shifted.of.cv() * self.shifted.of.mean_s() / mean_s if mean_s > 0 else 0.0

    def survival(self, time_s: Floats) -> Floats:
        return self.shifted.of.survival(time_s - self.shifted.by)

    def excess_s(self, time_s: Floats) -> Floats:
        return self.shifted.of.excess_s(time_s - self.shifted.by)

    def sample_s(self, rng: np.random.Generator, count: int) -> Floats:
        return self.shifted.by + self.shifted.of.sample_s(rng, count)


KINDS: dict[str, type[FileModel]] = {
    "constant": Constant,
    "exponential": Exponential,
    "lognormal": Lognormal,
    "gamma": Gamma,
    "weibull": Weibull,
    "empirical": Empirical,
    "shifted": Shifted,
}


def _kind(value: Any) -> str:
    """Return the kind of a value, or one of the short forms: a plain duration, ``{mean, cv | p99}``."""
    if isinstance(value, FileModel):
        return next(iter(type(value).model_fields))
    if isinstance(value, dict):
        named = [key for key in value if key in KINDS]
        if named:
            return str(named[0])
        if LognormalShape.model_fields.keys() & value.keys():
            return "short lognormal"
    return "short constant"


def _expand_constant(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError(f"must be a duration, or one of {', '.join(KINDS)}")
    return {"constant": f"{parse_duration_s(value)!r}s"}


def _expand_lognormal(value: Any) -> Any:
    return {"lognormal": value}


Distribution = Annotated[
    Annotated[Constant, Tag("constant")]
    | Annotated[Exponential, Tag("exponential")]
    | Annotated[Lognormal, Tag("lognormal")]
    | Annotated[Gamma, Tag("gamma")]
    | Annotated[Weibull, Tag("weibull")]
    | Annotated[Empirical, Tag("empirical")]
    | Annotated[Shifted, Tag("shifted")]
    | Annotated[
        Constant,
        BeforeValidator(_expand_constant),
        WithJsonSchema(DURATION_SCHEMA),
        Tag("short constant"),
    ]
    | Annotated[
        Lognormal,
        BeforeValidator(_expand_lognormal),
        WithJsonSchema(LognormalShape.model_json_schema()),
        Tag("short lognormal"),
    ],
    Discriminator(_kind),
]
"""A distribution of any kind, or a short form: ``20s`` is a constant, ``{mean: 20s, cv: 1}`` a lognormal."""

ShiftedShape.model_rebuild()
Shifted.model_rebuild()
