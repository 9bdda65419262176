"""The quick answer to an edit: which runs it is the mean of, and where there is none."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from simulation.estimates.estimate import estimate
from simulation.study.quick_answer import answer_by_runs
from simulation.study.running.work import Work
from simulation.study.statistics.means import single_run_range
from tests.helpers.scenarios import runs_of, scenario, small_shop

PLENTY_S = 3600.0


def test_its_figures_are_those_of_the_studys_first_runs() -> None:
    one = small_shop(replications=5)
    answer = answer_by_runs(one, PLENTY_S)
    assert answer is not None
    runs = runs_of(one, 5)
    assert answer.runs == 5
    for name in ("rollout_duration_s", "rollout_latency_p99_s", "rollout_error_fraction"):
        values = [run.metrics[name] or 0.0 for run in runs]
        figure = getattr(answer, name)
        assert figure.value == pytest.approx(np.mean(values))
        assert (figure.low, figure.high) == pytest.approx(single_run_range(np.array(values)))
    assert answer.beyond == ()
    assert answer.lines is not None
    shortest = min(len(run.series["queue_count"]) for run in runs)
    assert len(answer.lines.time_s) == shortest
    assert answer.lines.offered_rps[0] == pytest.approx(
        np.mean([run.series["offered_rps"][0] for run in runs])
    )
    assert answer.phases == estimate(one).phases


def test_a_short_time_holds_fewer_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that every look moves by 10 ms: a run takes 10 ms, eight of them fit in 80 ms."""
    now_s = [0.0]

    def tick() -> float:
        now_s[0] += 0.005
        return now_s[0]

    monkeypatch.setattr(time, "monotonic", tick)
    answer = answer_by_runs(small_shop(replications=50), 0.08)
    assert answer is not None
    assert 5 <= answer.runs <= 8


def test_a_newer_edit_ends_it_after_one_run() -> None:
    answer = answer_by_runs(small_shop(replications=50), PLENTY_S, lambda: True)
    assert answer is not None
    assert answer.runs == 1


@pytest.mark.parametrize(
    "keys",
    [
        {"rate": "20000/s", "instances": 400, "slots": 4},
        {"rate": "1/s", "instances": 5000},
        {"rate": "10000/s"},
    ],
    ids=["many requests", "many instances", "endless overload"],
)
def test_no_run_is_begun_that_cannot_fit(
    keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a run has begun")

    monkeypatch.setattr(Work, "run", refuse)
    assert answer_by_runs(small_shop(**keys), 0.08) is None


def test_a_figure_that_no_run_has_is_none() -> None:
    """Every start fails, so the rollout is halted and its duration does not exist."""
    one = scenario(
        rate="40/s",
        steps={"deploy": "1s"},
        versions={"new": {"start_fails": "100%"}},
        rollout={"window": 1},
        replications=2,
    )
    answer = answer_by_runs(one, PLENTY_S)
    assert answer is not None
    assert answer.rollout_duration_s is None
    assert answer.rollout_error_fraction is not None
