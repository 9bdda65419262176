"""Estimates hold against the engine: in scenarios drawn at random, and where they were once wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.random_scenarios import HELD_FRACTION, SHOWN, coverage
from simulation.estimates.estimate import closed_forms, estimate
from simulation.estimates.no_estimate import Why
from simulation.estimates.rollout_timeline import estimate_timeline
from simulation.planning.search import search
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from studio.views.sentences import estimate_sentence
from studio.views.strips import strips_of_estimate
from tests.helpers.scenarios import runs_of, scenario

DRAWN = range(240)
"""Seeds of the scenarios; always the same, so that the test is no game of chance."""

FALSE_ALARM = 0.01
"""Probability with which the test fails for a figure whose ranges hold exactly 85 % of runs."""


@pytest.mark.slow
def test_a_shown_range_holds_85_percent_of_single_runs() -> None:
    """One run of each scenario: the runs are independent, so those within the range are binomial."""
    counts = coverage(DRAWN, 1)
    assert counts.scenarios - counts.overloaded > 180
    for name in SHOWN:
        number, held = counts.runs[name], counts.held[name]
        assert number >= 10, name
        assert binom.cdf(held, number, HELD_FRACTION) > FALSE_ALARM, (name, held, number)


def retry_storm() -> Scenario:
    """One request in 34 takes longer than its client waits, in each of its four attempts."""
    return scenario(
        rate="96/s",
        instances=6,
        slots=2,
        service_time={"exponential": "100ms"},
        classes={
            "all": {
                "client_timeout": "353ms",
                "retries": {"attempts": 3, "backoff": "50ms"},
            }
        },
        steps={"deploy": "8s"},
        rollout={"window": 1},
        objectives={"error_fraction": "1%"},
    )


def few_sessions() -> Scenario:
    """Thirty sessions on eight instances: one has seven of them, and twice what it can serve."""
    return scenario(
        rate="100/s",
        instances=8,
        slots=4,
        service_time={"mean": "200ms", "cv": 1},
        policy="source_hash",
        queue="instance",
        traffic={"sessions": 30},
        steps={"deploy": "8s"},
        rollout={"window": 1},
        objectives={"latency_p99": "2s"},
    )


def test_a_storm_of_retries_has_no_number() -> None:
    one = retry_storm()
    found = estimate(one)
    assert found.rollout_error_fraction is None
    why = found.why_none("rollout_error_fraction")
    assert why is not None
    assert why.why is Why.RETRIED_WORK
    seen = [run.metrics["rollout_error_fraction"] or 0.0 for run in runs_of(one, 4)]
    assert min(seen) > 0.9


def test_few_sessions_have_no_number() -> None:
    one = few_sessions()
    found = estimate(one)
    assert found.rollout_latency_p99_s is None
    why = found.why_none("rollout_latency_p99_s")
    assert why is not None
    assert why.why is Why.SESSIONS
    assert np.mean([run.metrics["rollout_latency_p99_s"] for run in runs_of(one, 4)]) > 10


@pytest.mark.parametrize("one", [retry_storm(), few_sessions()], ids=["storm", "sessions"])
def test_what_has_no_number_is_not_left_out_of_a_search(one: Scenario) -> None:
    small = one.model_copy(update={"replications": 3})
    found = search(small, cases_of(small, [1, 2]))
    assert found is not None
    assert "hopeless" not in {looked.outcome for looked in found.looked}
    assert all(looked.result is not None for looked in found.looked)


def test_the_answer_to_a_slider_says_why_there_is_no_number() -> None:
    """Not "should meet", and no empty queue drawn where none was estimated."""
    for one, why in (
        (retry_storm(), "requests that always take longer than their client waits are retried"),
        (few_sessions(), "a source hash spreads sessions unevenly"),
    ):
        found = estimate(one)
        answer, sentence = estimate_sentence(found, one)
        assert answer == ""
        assert sentence.startswith(f"Window 1: no estimate: {why}")
        strips = {strip.name: strip for strip in strips_of_estimate(found, one.objectives)}
        assert strips["Queue"].nothing.startswith(f"no estimate: {why}")
        assert np.isnan(strips["Queue"].lines[0].values).all()


def two_choices(policy: str = "power_of_two", queue: str = "instance") -> Scenario:
    """Queues of the instances' own behind power of two choices, at nine tenths of the capacity."""
    return scenario(
        rate="144/s",
        instances=16,
        slots=1,
        service_time={"exponential": "100ms"},
        policy=policy,
        queue=queue,
        steps={"deploy": "8s"},
        rollout={"window": 1},
    )


def loaded_queues() -> Scenario:
    """An instance that is taken out has a queue of its own, which is cut with what is in service."""
    return scenario(
        rate="155/s",
        instances=8,
        slots=4,
        service_time={"exponential": "200ms"},
        policy="round_robin",
        queue="instance",
        steps={"deploy": "8s"},
        rollout={"window": 2, "drain": {"timeout": "500ms"}},
    )


def slower_for_ever() -> Scenario:
    """The new version serves 256/s of the 300/s that come."""
    return scenario(
        rate="300/s",
        instances=8,
        slots=4,
        service_time="100ms",
        versions={"new": {"service_factor": 1.25}},
        steps={"deploy": "8s"},
        rollout={"window": 1},
    )


def test_power_of_two_with_instance_queues_has_no_number() -> None:
    """Neither one queue of all instances nor sixteen that are chosen by chance wait as long."""
    one = two_choices()
    found = estimate(one)
    why = found.why_none("rollout_latency_p99_s")
    assert (found.rollout_latency_p99_s, why and why.why) == (None, Why.TWO_CHOICES)
    simulated = float(np.mean([run.metrics["rollout_wait_mean_s"] or 0 for run in runs_of(one, 4)]))
    together, apart = (
        closed_forms(two_choices(policy, queue)).rollout_wait_mean_s
        for policy, queue in (("round_robin", "balancer"), ("random", "instance"))
    )
    assert together is not None
    assert apart is not None
    assert 2 * together.value < simulated < apart.value / 2


def test_cuts_behind_loaded_instance_queues_have_no_number() -> None:
    one = loaded_queues()
    found = estimate(one)
    why = found.why_none("cut_requests")
    assert (found.cut_requests, why and why.why) == (None, Why.QUEUED_AT_DRAINS)
    simulated = np.mean([run.metrics["cut_requests"] or 0.0 for run in runs_of(one, 4)])
    timeline = estimate_timeline(one)
    assert timeline is not None
    assert simulated > 30 * timeline.cut  # of those in service alone


def test_a_version_that_is_overloaded_for_ever_has_no_number() -> None:
    one = slower_for_ever()
    found = estimate(one)
    assert found.rollout_latency_p99_s is None
    assert found.rollout_duration_s is None
    assert {reason.why for reason in found.beyond} >= {Why.ENDLESS_OVERLOAD}
    [longer, shorter] = [
        runs_of(
            one.model_copy(update={"clock": one.clock.model_copy(update={"horizon": end_s})}), 1
        )
        for end_s in (600.0, 200.0)
    ]
    p99s = [runs[0].metrics["rollout_latency_p99_s"] or 0.0 for runs in (longer, shorter)]
    assert p99s[0] > 2.5 * p99s[1]  # the longer the simulation, the higher the figure
