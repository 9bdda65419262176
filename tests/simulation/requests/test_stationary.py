"""Long-lived connections open at the beginning: known answers, and both engines agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from simulation.requests.stationary import mean_open_count, open_connections
from simulation.results.run_result import CUT, EngineName
from simulation.scenario.model import Scenario
from simulation.study.notes import Note, NoteKind, notes_of
from simulation.study.verdict import verdict
from tests.helpers.agree import difference, ran
from tests.helpers.results import figure
from tests.helpers.scenarios import run_once, runs_of, scenario

HOUR_S = 3600.0
LIVES: dict[str, Any] = {
    "exponential": {"exponential": "1h"},
    "constant": "1h",
    "lognormal": {"mean": "1h", "cv": 1.5},
    "gamma": {"gamma": {"mean": "1h", "cv": 2}},
    "weibull": {"weibull": {"mean": "1h", "shape": 0.6}},
    "empirical": {"empirical": ["10m", "1h", "110m"]},
    "shifted": {"shifted": {"by": "10m", "of": {"exponential": "50m"}}},
}


def sockets(rate: Any = "1/s", life: Any = None, more: Any = None, **parts: Any) -> Scenario:
    """Return a scenario with long-lived connections only, to a fleet of four."""
    kind = {
        "holds_slot": False,
        "service_time": {"app": life or LIVES["exponential"]},
        **(more or {}),
    }
    return scenario(rate=rate, classes={"ws": kind}, **parts)


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_the_number_of_open_connections_is_the_rate_times_the_mean_life(life: Any) -> None:
    one = sockets("1/s", life)
    assert mean_open_count(one) == pytest.approx(HOUR_S, rel=1e-6)
    counts = [open_connections(one, -60.0, 1, k).count for k in range(50)]
    assert np.mean(counts) == pytest.approx(HOUR_S, abs=4 * math.sqrt(HOUR_S / 50))
    assert np.var(counts) == pytest.approx(HOUR_S, rel=0.9)  # Poisson


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_ages_and_remaining_lives_follow_the_residual_life(life: Any) -> None:
    """Both have the mean E[L²]/2E[L], and quartiles as P(L > u) gives them."""
    one = sockets("20/s", life)
    distribution = one.demands()[0][0]
    opened = open_connections(one, 0.0, 1, 0)
    age_s, left_s = -opened.opened_s, opened.opened_s + opened.life_s
    assert (age_s > 0).all()
    assert (left_s >= -1e-6).all()
    quartiles = np.quantile(age_s, [0.25, 0.5, 0.75])
    younger = 1 - distribution.excess_s(quartiles) / HOUR_S
    assert younger == pytest.approx([0.25, 0.5, 0.75], abs=0.012)
    quartiles = np.quantile(left_s, [0.25, 0.5, 0.75])
    assert 1 - distribution.excess_s(quartiles) / HOUR_S == pytest.approx(
        [0.25, 0.5, 0.75], abs=0.012
    )
    whole_s = HOUR_S * (1 + distribution.cv() ** 2)  # of what is met at a random moment
    if distribution.cv() < 1.2:  # else the mean itself is too rough
        assert np.mean(opened.life_s) == pytest.approx(whole_s, rel=0.03)
    assert (np.diff(opened.opened_s) >= 0).all()


def test_the_number_of_open_connections_follows_the_traffic_before() -> None:
    """No connection was opened in the last hour; before that, and before the first step, they were."""
    one = sockets(
        {"steps": [["1h", "2/s"], ["3h", "0/s"]]}, clock={"start": "4h", "warm_up": "10s"}
    )
    left = 2 * HOUR_S * math.exp(-(HOUR_S - 10) / HOUR_S)
    assert mean_open_count(one, -10.0) == pytest.approx(left, rel=1e-6)
    opened = open_connections(one, -10.0, 1, 0)
    assert opened.opened_s.max() < -HOUR_S
    assert opened.opened_s.min() < -3 * HOUR_S


@pytest.mark.parametrize("clock", ["03:00", "12:00", "21:30"])
def test_a_daily_curve_has_the_known_mean_of_open_connections(clock: str) -> None:
    """λ̄/μ + A·(μ·cos ωt + ω·sin ωt)/(μ² + ω²), t since the peak (Eick, Massey and Whitt, 1993)."""
    rate = {"daily": {"low": "1/s", "high": "5/s", "peak": "12:00"}}
    one = sockets(rate, {"exponential": "6h"}, clock={"start": clock})
    mu, omega = 1 / (6 * HOUR_S), 2 * math.pi / 86400
    hours, minutes = map(int, clock.split(":"))
    angle = omega * ((hours - 12) * HOUR_S + minutes * 60)
    wave = (mu * math.cos(angle) + omega * math.sin(angle)) / (mu**2 + omega**2)
    assert mean_open_count(one) == pytest.approx(3 / mu + 2 * wave, rel=2e-3)


def test_no_connection_is_older_than_the_client_timeout() -> None:
    one = sockets("1/s", more={"client_timeout": "10m"})
    assert mean_open_count(one) == pytest.approx(HOUR_S * -math.expm1(-1 / 6), rel=1e-6)
    assert open_connections(one, 0.0, 1, 0).opened_s.min() > -600.0
    assert mean_open_count(sockets("1/s", more={"client_timeout": "0s"})) == 0


@pytest.mark.parametrize(
    ("life", "drain_s"), [(LIVES["constant"], 72.0), (LIVES["lognormal"], 600.0)]
)
@pytest.mark.parametrize("warm_up", ["0s", "auto", "30s"])
def test_a_drain_cuts_the_connections_that_outlive_its_timeout(
    life: Any, drain_s: float, warm_up: str
) -> None:
    """All instances drain at once: λ·∫ P(L > u) du from the timeout on, 3,528 of lives of an hour."""
    one = sockets(
        "1/s",
        life,
        clock={"warm_up": warm_up},
        rollout={"strategy": "recreate", "drain": {"timeout": f"{drain_s:g}s"}},
    )
    expected = float(one.demands()[0][0].excess_s(np.array([drain_s]))[0])
    if drain_s == 72:
        assert expected == 3528
    runs = runs_of(one, 12)
    cut = [figure(run, "cut_connections") for run in runs]
    assert np.mean(cut) == pytest.approx(expected, abs=4 * math.sqrt(expected / 12))
    share = expected / HOUR_S
    fractions = [figure(run, "cut_connections_fraction") for run in runs]
    spread = math.sqrt(share * (1 - share) / HOUR_S / 12)
    assert np.mean(fractions) == pytest.approx(share, abs=4 * spread)


def test_most_sockets_are_cut_without_a_warm_up_of_hours() -> None:
    """360 are open and about 356 are cut, as a warm-up of five hours has it; once it was 57."""
    one = scenario(
        rate="20/s",
        instances=4,
        slots=10,
        service_time={"mean": "100ms", "cv": 1},
        classes={
            "ws": {
                "share": "0.5%",
                "holds_slot": False,
                "service_time": {"app": {"exponential": "1h"}},
            },
            "page": {},
        },
        steps={"deploy": "5s", "start": "5s"},
        rollout={"window": 1, "drain": {"timeout": "30s"}},
        objectives={"error_fraction": "1%"},
    )
    assert mean_open_count(one) == pytest.approx(360)
    runs = runs_of(one, 30)
    cut = [figure(run, "cut_connections") for run in runs]
    assert np.mean(cut) == pytest.approx(356, abs=4 * math.sqrt(356 / 30))
    for run in runs:
        # What was there before the start did not arrive in the interval.
        assert run.requests["arrived"] < 20 * 1.3 * run.end_s
        assert run.requests["cut"] < 30
    assert notes_of(one) == (Note(NoteKind.NO_CUT_OBJECTIVE, ("ws",)),)


def cut_limit(limit: Any, **parts: Any) -> Scenario:
    return sockets(
        "200/m",
        {"exponential": "6m"},
        instances=4,
        rollout={"window": 1, "drain": {"timeout": "5s"}},
        objectives={} if limit is None else {"cut_connections": limit},
        **parts,
    )


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (None, None),
        (1300, None),
        ("100%", None),
        (0, "more than 0 connections cut in 1 of 1 runs"),
        (400, "more than 400 connections cut in 1 of 1 runs"),
        ("5%", "more than 5 % of the open connections cut in 1 of 1 runs"),
    ],
)
def test_a_plan_is_judged_by_the_connections_that_it_cuts(limit: Any, reason: str | None) -> None:
    one = cut_limit(limit)
    run = run_once(one, keep_requests=False)
    assert 1000 < (run.metrics["cut_connections"] or 0) < 1300
    reasons = [text for text in verdict(one, [run]).reasons if "cut" in text]
    assert reasons == ([] if reason is None else [reason])
    kinds = [note.kind for note in notes_of(one)]
    assert kinds == ([NoteKind.NO_CUT_OBJECTIVE] if limit is None else [])


def test_a_connection_that_comes_back_was_cut_all_the_same() -> None:
    """The request ends with another outcome, but each cut of its connection is counted."""
    kind = {
        "holds_slot": False,
        "reconnects": True,
        "service_time": {"app": {"exponential": "10m"}},
    }
    one = scenario(
        rate="1/s", classes={"ws": kind}, rollout={"window": 1, "drain": {"timeout": "2s"}}
    )
    run = run_once(one)
    assert run.metrics["cut_requests"] == 0
    cut, share = run.metrics["cut_connections"], run.metrics["cut_connections_fraction"]
    assert cut is not None
    assert share is not None
    assert cut > 500
    assert 0.9 < share <= 1.0


def test_without_long_lived_connections_there_is_no_figure_of_cut_connections() -> None:
    run = run_once(scenario(rollout={"window": 1}))
    assert run.metrics["cut_connections"] is None
    assert run.metrics["cut_connections_fraction"] is None
    steady = run_once(sockets(clock={"horizon": "10s"}))
    assert steady.metrics["cut_connections"] is None


@pytest.mark.parametrize("arrivals", ["closed", "replay"])
def test_a_run_that_begins_without_connections_has_a_note(arrivals: str) -> None:
    options: dict[str, dict[str, Any]] = {
        "closed": {"arrivals": "closed", "clients": {"count": 3, "think_time": "1s"}},
        "replay": {"arrivals": "replay"},
    }
    more = options[arrivals]
    one = sockets(
        {"timestamps": [float(k) for k in range(60)]},
        {"exponential": "20s"},
        traffic=more,
        rollout={"window": 1},
        clock={"horizon": "10s", "warm_up": "0s", "start": "5s"},
        objectives={"cut_connections": 0},
    )
    assert mean_open_count(one) == 0
    assert open_connections(one, 0.0, 1, 0).count == 0
    note = Note(NoteKind.CONNECTIONS_BEGIN_EMPTY, ("ws",), arrivals=arrivals)
    assert notes_of(one) == (note,)


POLICIES = ("round_robin", "least_connections", "random", "power_of_two", "source_hash", "pull")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("warm_up", ["0s", "3s"])
def test_engines_agree_on_connections_open_at_the_beginning(policy: str, warm_up: str) -> None:
    pulls = policy == "pull"
    one = scenario(
        rate="30/s",
        instances=4,
        slots=1,
        service_time={"mean": "60ms", "cv": 1},
        policy=policy,
        balancer={} if pulls else {"sticky": True, "propagation_delay": "500ms"},
        classes={
            "page": {"share": "70%"},
            "ws": {
                "holds_slot": False,
                "reconnects": True,
                "service_time": {"app": {"mean": "1m", "cv": 2}},
            },
            "poll": {
                "share": "10%",
                "holds_slot": False,
                "client_timeout": "20s",
                "service_time": {"app": {"exponential": "30s"}},
                "retries": {"attempts": 2, "cut": True},
            },
        },
        steps={"return": "500ms"},
        rollout={"window": 1, "drain": {"timeout": "1s"}, "guards": {"error_fraction": "99%"}},
        clock={"horizon": "20s", "warm_up": warm_up},
    )
    assert mean_open_count(one) > 400
    assert difference(one) is None


def test_a_connection_open_at_the_beginning_has_its_age() -> None:
    one = sockets("1/s", clock={"horizon": "20s", "warm_up": "5s"}, rollout={"window": 4})
    for engine in (EngineName.REFERENCE, EngineName.COMPILED):
        run, _ = ran(one, engine)
        table = run._engine.table()
        there = table.arrival_s < -5.0
        assert np.count_nonzero(there) == pytest.approx(HOUR_S, abs=4 * 60)
        opened = table.arrival_s[there]
        assert (table.start_s[there] == opened).all()
        assert (np.bincount(table.instance[there], minlength=4) > 800).all()
        assert (table.outcome[there] != CUT).any()
