"""Durations and rates multiplied by a factor."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from simulation.scenario.distributions import (
    Constant,
    Empirical,
    Exponential,
    Gamma,
    Lognormal,
    Shifted,
    Weibull,
)
from simulation.scenario.traffic import ConstantRate, DailyRate, StepsRate, TimestampsRate


def scale_duration(duration: Any, by: float) -> Any:
    """Return a distribution in which every value is multiplied by ``by``."""
    match duration:
        case Constant() | Exponential():
            [field] = type(duration).model_fields
            return duration.model_copy(update={field: getattr(duration, field) * by})
        case Lognormal(lognormal=shape):
            update = {"mean": shape.mean * by, "p99": shape.p99 and shape.p99 * by}
            return duration.model_copy(update={"lognormal": shape.model_copy(update=update)})
        case Gamma(gamma=shape):
            return duration.model_copy(update={"gamma": multiply_field(shape, "mean", by)})
        case Weibull(weibull=shape):
            return duration.model_copy(update={"weibull": multiply_field(shape, "mean", by)})
        case Empirical(empirical=samples):
            return duration.model_copy(
                update={"empirical": tuple(by * sample for sample in samples)}
            )
        case Shifted(shifted=shape):
            update = {"by": shape.by * by, "of": scale_duration(shape.of, by)}
            return duration.model_copy(update={"shifted": shape.model_copy(update=update)})
    raise AssertionError(duration)


def scale_rate(rate: Any, by: float) -> Any:
    """Return a rate of any kind that is multiplied by ``by`` at every time."""
    match rate:
        case ConstantRate():
            return multiply_field(rate, "constant", by)
        case StepsRate(steps=steps):
            return rate.model_copy(update={"steps": tuple((at, rps * by) for at, rps in steps)})
        case DailyRate(daily=shape):
            update = {"low": shape.low * by, "high": shape.high * by}
            return rate.model_copy(update={"daily": shape.model_copy(update=update)})
        case TimestampsRate():
            return rate.multiply(by)
    return multiply_field(rate, "scale", by)


def multiply_field(model: BaseModel, field: str, by: float) -> BaseModel:
    """Return a model with one of its numbers multiplied by ``by``."""
    return model.model_copy(update={field: getattr(model, field) * by})
