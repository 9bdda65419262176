"""Arrivals: Poisson, bursty, replayed and closed; each kind is the same in all candidates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from executor.base.errors import BadInput
from simulation.requests.arrivals import BLOCK, ClosedLoop, Streams, bursty, purpose_stream
from simulation.requests.draws import Draws
from simulation.scenario.distributions import Constant, Exponential
from simulation.scenario.rates import RateTable, constant_rate, daily_rate, steps_rate
from simulation.scenario.traffic import Traffic
from tests.helpers.scenarios import run_once, scenario, steady

TENTH = Constant.model_validate({"constant": "100ms"})


def arrivals(
    rates: RateTable, end_s: float, seed: int = 1, replication: int = 0, **more: Any
) -> Any:
    streams = Streams(rates, [[TENTH]], [1.0], 10, seed=seed, replication=replication, **more)
    times: list[float] = []
    while not times or times[-1] < end_s:
        times += streams.next_block()[0].tolist()
    return np.array([time for time in times if time < end_s])


@pytest.mark.parametrize(
    ("rates", "until_s", "expected"),
    [
        pytest.param(constant_rate(50.0), 400.0, 20_000.0, id="constant"),
        pytest.param(
            steps_rate([(0.0, 100.0), (100.0, 0.0), (200.0, 50.0)]), 400.0, 20_000.0, id="steps"
        ),
        pytest.param(daily_rate(0.0, 0.5, 43_200.0), 86_400.0, 21_600.0, id="daily"),
    ],
)
def test_the_number_of_arrivals_follows_the_rate(
    rates: RateTable, until_s: float, expected: float
) -> None:
    """A Poisson count of mean N has the standard deviation √N; four of these are allowed."""
    window = rates.window(0.0, 0.0, until_s)
    count = len(arrivals(window, until_s))
    assert count == pytest.approx(expected, abs=4 * math.sqrt(expected))


def test_arrivals_are_poisson() -> None:
    """Counts in one second have a variance of their mean; gaps have a cv of 1 (20,000 of them)."""
    times = arrivals(constant_rate(50.0).window(0.0, 0.0, 400.0), 400.0)
    gaps = np.diff(times)
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(1.0, abs=0.04)
    counts = np.histogram(times, np.arange(401))[0]
    assert np.var(counts) / np.mean(counts) == pytest.approx(1.0, abs=0.3)


def test_nothing_arrives_where_the_rate_is_0_and_the_rest_keeps_its_rate() -> None:
    rates = steps_rate([(0.0, 100.0), (100.0, 0.0), (200.0, 50.0)]).window(0.0, 0.0, 300.0)
    counts = np.histogram(arrivals(rates, 300.0), [0, 100, 200, 300])[0]
    assert counts[1] == 0
    assert counts[0] == pytest.approx(10_000, abs=400)
    assert counts[2] == pytest.approx(5_000, abs=300)


def test_draws_do_not_depend_on_how_they_are_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = constant_rate(50.0).window(0.0, 0.0, 400.0)
    whole = arrivals(rates, 300.0)
    monkeypatch.setattr("simulation.requests.arrivals.BLOCK", 37)
    np.testing.assert_array_equal(arrivals(rates, 300.0), whole)
    assert BLOCK != 37


LONG = Exponential.model_validate({"exponential": "2s"})


def test_each_place_on_a_route_has_draws_of_its_own() -> None:
    """A second service on the route does not change the draws of the first; a short route ends in NaN."""

    def blocks(demands: list[list[Any]]) -> Any:
        rates = constant_rate(50.0).window(0.0, 0.0, 100.0)
        streams = Streams(rates, demands, [0.5, 0.5], 10, seed=1, replication=0)
        return streams.next_block()

    _, alone, classes, _ = blocks([[LONG], [LONG]])
    _, chained, same_classes, _ = blocks([[LONG], [LONG, LONG]])
    assert alone.shape == (BLOCK, 1)
    assert chained.shape == (BLOCK, 2)
    np.testing.assert_array_equal(classes, same_classes)
    np.testing.assert_array_equal(alone[:, 0], chained[:, 0])
    np.testing.assert_array_equal(np.isnan(chained[:, 1]), classes == 0)
    second = chained[classes == 1, 1]
    assert abs(np.corrcoef(chained[classes == 1, 0], second)[0, 1]) < 4 / math.sqrt(len(second))
    assert second.mean() == pytest.approx(2.0, abs=4 * 2.0 / math.sqrt(len(second)))


@pytest.mark.parametrize("dispersion", [1.5, 3.0, 10.0])
def test_bursts_have_the_dispersion_they_are_given_and_the_same_mean(dispersion: float) -> None:
    """Counts of 8,000 seconds at 50/s are negative binomial.

    A variance estimated from n has the relative standard deviation √((κ + 2)/n), the excess
    kurtosis κ is about 6/k and k = 50/(D − 1); the total has that of √(D·N). Four of each.
    """
    seconds, rate = 8000, 50.0
    rates = constant_rate(rate).window(0.0, 0.0, seconds)
    times = arrivals(rates, seconds, dispersion=dispersion, until_s=seconds + 200.0)
    counts = np.histogram(times, np.arange(seconds + 1))[0]
    kurtosis = 6 * (dispersion - 1) / rate
    error = math.sqrt((kurtosis + 2) / seconds)
    assert np.var(counts) / np.mean(counts) == pytest.approx(dispersion, rel=4 * error)
    assert len(times) == pytest.approx(
        rate * seconds, abs=4 * math.sqrt(dispersion * rate * seconds)
    )


def test_seconds_of_bursts_do_not_follow_from_each_other() -> None:
    """A correlation over 8,000 seconds has the standard deviation 1/√8,000; four of these are allowed."""
    rates = constant_rate(50.0).window(0.0, 0.0, 8000.0)
    times = arrivals(rates, 8000.0, dispersion=3.0, until_s=8000.0)
    counts = np.histogram(times, np.arange(8001))[0]
    assert abs(np.corrcoef(counts[:-1], counts[1:])[0, 1]) < 4 / math.sqrt(8000)


def test_bursts_are_paired_and_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = steps_rate([(0.0, 20.0), (50.5, 0.0), (60.0, 80.0)]).window(0.0, 5.5, 300.0)

    def drawn(**more: Any) -> Any:
        return arrivals(rates, 200.0, dispersion=3.0, until_s=300.0, **more)

    whole = drawn()
    np.testing.assert_array_equal(drawn(), whole)
    assert len(drawn(replication=1)) != len(whole)
    assert np.histogram(whole, [50.5, 60.0])[0] == 0
    monkeypatch.setattr("simulation.requests.arrivals.BLOCK", 37)
    np.testing.assert_array_equal(drawn(), whole)


def test_bins_of_bursts_are_counted_from_the_start_of_the_rollout() -> None:
    """A warm-up of 2.5 s begins in the middle of a bin; a gap remains a gap."""
    steps = RateTable(np.array([0.0, 4.2, 6.0, math.inf]), np.array([10.0, math.nan, 30.0]))
    rates = steps.window(0.0, 2.5, 100.0)
    made = bursty(rates, 3.0, 9.5, purpose_stream(1, 0, "bursts"))
    expected = [-2.5, -2, -1, 0, 1, 2, 3, 4, 4.2, 5, 6, 7, 8, 9, 9.5]
    np.testing.assert_allclose(made.edges_s, expected)
    assert made.data_ends_s() == rates.data_ends_s() == 4.2
    assert (made.rates_rps[:7] != 10.0).all()


def test_a_dispersion_of_1_is_poisson() -> None:
    rates = constant_rate(50.0).window(0.0, 0.0, 100.0)
    np.testing.assert_array_equal(arrivals(rates, 90.0, dispersion=1.0), arrivals(rates, 90.0))


def test_bursts_over_many_years_are_refused_in_words() -> None:
    one = steady("9000d", rate="1/h", warm_up="0s", traffic={"arrivals": "bursty"})
    with pytest.raises(BadInput, match="bursty: must not be simulated for more than 20,000,000 s"):
        run_once(one)


def test_a_scenario_with_bursts_waits_longer() -> None:
    """At the same load, bursts with a dispersion of 20 make a longer queue than Poisson arrivals."""
    waits = [
        run_once(steady("200s", rate="60/s", traffic=more)).metrics["wait_mean_s"]
        for more in ({}, {"arrivals": "bursty", "dispersion": 20})
    ]
    assert None not in waits
    assert waits[1] > 3 * waits[0]  # type: ignore[operator]


def closed(**clients: Any) -> dict[str, Any]:
    return {
        "arrivals": "closed",
        "clients": {"count": 50, "think_time": {"exponential": "1s"}, **clients},
    }


CLASSES = {"page": {"share": "80%"}, "upload": {"service_time": {"app": "400ms"}}}


def loop(replication: int = 0) -> ClosedLoop:
    one = scenario(rate=None, classes=CLASSES, traffic=closed(), clock={"horizon": "10s"})
    assert isinstance(one.traffic, Traffic)
    return ClosedLoop(one.traffic, one.demands(), Draws(one.seed, replication))


def test_think_times_and_classes_follow_the_scenario() -> None:
    """Of 20,000 draws, the mean of 1 s and the fraction of 20 % are within four standard deviations."""
    one, count = loop(), 20_000
    places = [(client, sequence) for client in range(50) for sequence in range(count // 50)]
    thinks = np.array([one.think_s(*place) for place in places])
    assert thinks.mean() == pytest.approx(1.0, abs=4 / math.sqrt(count))
    requests = [one.request(*place) for place in places]
    uploads = np.array([kind == 1 for _, kind, _ in requests])
    assert uploads.mean() == pytest.approx(0.2, abs=4 * math.sqrt(0.16 / count))
    assert {demands for demands, kind, _ in requests if kind == 1} == {(0.4,)}
    assert {demands for demands, kind, _ in requests if kind == 0} == {(0.05,)}


def test_closed_traffic_is_paired_by_client_and_sequence() -> None:
    one, again, other = loop(), loop(), loop(replication=1)
    backwards = [again.think_s(3, sequence) for sequence in reversed(range(20))]
    assert [one.think_s(3, sequence) for sequence in range(20)] == backwards[::-1]
    assert one.think_s(3, 0) != one.think_s(4, 0) != other.think_s(4, 0)
    assert one.request(3, 7) == again.request(3, 7)


def test_a_client_keeps_its_session() -> None:
    sessions = [{loop().request(client, n)[2] for n in range(5)} for client in range(50)]
    assert all(len(each) == 1 for each in sessions)
    assert len(set.union(*sessions)) > 40


def test_closed_traffic_has_a_nominal_rate() -> None:
    """50 clients think 1 s and are served in 0.8·50 ms + 0.2·400 ms on average."""
    one = scenario(rate=None, classes=CLASSES, traffic=closed())
    assert one.rates().highest_rps() == pytest.approx(50 / 1.12)
