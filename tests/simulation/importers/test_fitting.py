"""Samples of a family are fitted by that family, and a family that does not fit is not chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from simulation.importers.fitting import KEPT_COUNT, choose, seconds_text, thin_samples
from simulation.scenario.distributions import Distribution

DISTRIBUTION = TypeAdapter(Distribution)


def drawn(value: object, count: int, seed: int = 3) -> np.ndarray:
    one = DISTRIBUTION.validate_python(value)
    return np.asarray(one.sample_s(np.random.default_rng(seed), count))


@pytest.mark.parametrize(
    ("value", "family"),
    [
        ({"exponential": "50ms"}, "exponential"),
        ({"mean": "50ms", "cv": 1}, "lognormal"),
        ({"mean": "50ms", "cv": 3}, "lognormal"),
        ({"gamma": {"mean": "2s", "cv": 0.5}}, "gamma"),
        ({"weibull": {"mean": "50ms", "shape": 0.7}}, "weibull"),
        ({"shifted": {"by": "20ms", "of": {"exponential": "10ms"}}}, "shifted exponential"),
    ],
)
def test_a_family_is_found_again(value: object, family: str) -> None:
    truth = DISTRIBUTION.validate_python(value)
    choice = choose(drawn(value, 20_000))
    assert choice.chosen is not None
    assert choice.chosen.family == family
    found = choice.chosen.distribution
    assert found.mean_s() == pytest.approx(truth.mean_s(), rel=0.03)
    assert found.quantile_s(0.99) == pytest.approx(truth.quantile_s(0.99), rel=0.05)
    assert choice.chosen.ks < 0.01
    assert [tail.q for tail in choice.chosen.tails] == [0.99, 0.999]


def test_durations_that_no_family_fits_are_used_as_they_are() -> None:
    two_kinds = np.concatenate(
        [drawn({"exponential": "10ms"}, 9000), drawn({"exponential": "1s"}, 1000)]
    )
    choice = choose(two_kinds)
    assert choice.chosen is None
    assert choice.reason.startswith("no family fits: the likeliest, ")
    assert choice.mean_s == pytest.approx(two_kinds.mean())
    assert len(choice.kept_s()) == KEPT_COUNT
    assert choice.kept_s().mean() == pytest.approx(two_kinds.mean(), rel=1e-9)
    assert np.quantile(choice.kept_s(), 0.99) == pytest.approx(
        np.quantile(two_kinds, 0.99), rel=0.02
    )


def test_equal_durations_are_a_constant() -> None:
    choice = choose(np.full(30, 0.25))
    assert choice.chosen is not None
    assert choice.chosen.value == "250ms"


def test_durations_of_zero_are_half_the_shortest() -> None:
    assert choose(np.array([0.0, 0.002, 0.004])).samples_s.tolist() == [0.001, 0.002, 0.004]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0481349, "48.13ms"), (2.10449, "2.104s"), (358.0, "358s"), (0.5, "500ms"), (1, "1s")],
)
def test_durations_have_four_digits(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5000))
@settings(max_examples=25, deadline=None)
def test_thinning_keeps_the_mean(samples: list[float]) -> None:
    kept = thin_samples(np.array(samples))
    assert len(kept) == min(len(samples), KEPT_COUNT)
    assert kept.mean() == pytest.approx(np.mean(samples), rel=1e-6)
