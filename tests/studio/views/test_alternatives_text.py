"""Changes that would meet, in words: each kind with its value, its cost, and the option that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulation.planning.alternatives.model import (
    Alternative,
    Alternatives,
    Change,
    ChangeKind,
    Cost,
)
from simulation.study.candidate_result import candidate_result
from simulation.study.case import cases_of
from simulation.study.compare import Confirmed
from studio.views.advice.alternatives_text import (
    alternative_row,
    alternatives_sentence,
    budget_sentence,
    card_lines,
    change_text,
    cost_text,
    more_text,
    option_text,
    values_of,
)
from tests.helpers.scenarios import runs_of, small_shop

K = ChangeKind


def alternative(
    kind: ChangeKind, key: str, value: Any, before: Any, cost: Cost, **parts: Any
) -> Alternative:
    shop = small_shop(**parts)
    [case] = cases_of(shop)
    result = candidate_result(case, tuple(runs_of(shop, 2)))
    confirmed = Confirmed(0, shop, result, 0.95, 0.9, held=True)
    return Alternative(Change(kind, key, value, before, 1.0), case, cost, confirmed)


def found(offered: Sequence[Alternative] = (), **parts: Any) -> Alternatives:
    told = {"tried": (), "not_searched": (), "runs_count": 100, "budget_runs": 2360, **parts}
    return Alternatives(scenario=small_shop(), offered=tuple(offered), **told)


@pytest.mark.parametrize(
    ("kind", "key", "value", "before", "cost", "words", "costs"),
    [
        (K.MORE_INSTANCES, "services.app.instances", 8, 6, Cost(2, 0, 12.0), "8 instances",
         "2 instances for good (33 % more), takes 12.0 s longer"),
        (K.WIDER_WINDOW, "rollout.window", 2, 1, Cost(0, 0, -30.0), "window 2",
         "takes 30.0 s less"),
        (K.SURGE, "rollout.surge", 2, 0, Cost(0, 2, 4.0), "surge 2",
         "2 instances more during the rollout, takes 4.0 s longer"),
        (K.SHORTER_PAUSE, "rollout.pause", 15.0, 20.0, Cost(0, 0, -25.0), "pause 15 s",
         "takes 25.0 s less"),
        (K.SHORTER_PAUSE, "rollout.pause", 0.0, 20.0, Cost(0, 0, -0.5), "no pause",
         "nothing"),
        (K.LONGER_DRAIN, "rollout.drain.timeout", 90.0, 30.0, Cost(0, 0, 61.0), "drain timeout 1.5 min",
         "takes 1 min 01 s longer"),
        (K.LONGER_PRE_STOP, "rollout.pre_stop", 2.5, 0.0, Cost(0, 0, 7.5), "pre-stop 2.5 s",
         "takes 7.5 s longer"),
        (K.EARLIER_START, "clock.start", "00:00:00", "03:30:00", Cost(0, 0, 1.5, -12600.0), "start at 00:00",
         "3.5 h earlier"),
        (K.HIGHER_P99_LIMIT, "objectives.latency_p99", 9.0, 4.0, Cost(0, 0, 0.0, 0.0, 5.0), "p99 limit 9 s",
         "5 s above the limit of 4 s"),
        (K.HIGHER_ERROR_LIMIT, "objectives.error_fraction", 0.005, 0.001, Cost(0, 0, 0.0, 0.0, 0.004),
         "error limit 0.5 %", "0.4 % above the limit of 0.1 %"),
        (K.LONGER_DURATION_LIMIT, "objectives.duration", 300.0, 180.0, Cost(0, 0, 0.0, 0.0, 120.0),
         "duration limit 5 min", "2 min above the limit of 3 min"),
    ],
)  # fmt: skip
def test_each_kind_has_its_words(
    kind: ChangeKind, key: str, value: Any, before: Any, cost: Cost, words: str, costs: str
) -> None:  # fmt: skip
    one = alternative(kind, key, value, before, cost)
    assert (change_text(one), cost_text(one)) == (words, costs)
    row = alternative_row(one, one.case.scenario)
    assert (row[0], row[5], row[6]) == (words, costs, "--window 2")
    assert card_lines(one)[0] == words
    assert card_lines(one)[3] == f"Cost: {costs}"
    assert values_of(one)["rollout.window"] == 2
    assert key in values_of(one)


def test_the_sentence_joins_the_changes_with_the_way_to_roll() -> None:
    more = alternative(K.MORE_INSTANCES, "services.app.instances", 8, 6, Cost(2))
    wider = alternative(K.WIDER_WINDOW, "rollout.window", 2, 1, Cost())
    assert alternatives_sentence(found([more, wider])) == (
        "What would meet every objective: 8 instances, with window 2; or window 2"
    )
    assert more_text([]) == ""
    assert more_text([more, wider]) == "; so would 8 instances, with window 2 or window 2"


def test_a_surge_says_that_the_whole_fleet_stays() -> None:
    surge = alternative(
        K.SURGE,
        "rollout.surge",
        2,
        0,
        Cost(surge_count=2),
        rollout={"window": 1, "surge": 2, "min_healthy": 6},
    )
    assert more_text([surge]) == "; so would surge 2, with the whole fleet in the pool"
    assert values_of(surge) == {
        "rollout.window": 1,
        "rollout.surge": 2,
        "rollout.min_healthy": 6,
    }
    assert option_text(surge, small_shop()) == (
        "--set rollout.drain.timeout=30s --set rollout.min_healthy=6 --set rollout.surge=2 --window 1"
    )


def test_nothing_found_says_what_was_tried() -> None:
    assert alternatives_sentence(found()) == (
        "No single change of this scenario is known to help against what failed"
    )
    tried = found(tried=(K.MORE_INSTANCES, K.LATER_START))
    assert alternatives_sentence(tried) == (
        "No single change is shown to meet every objective; tried: more instances, a later start"
    )
    assert budget_sentence(tried) == ""


def test_kinds_beyond_the_budget_are_named() -> None:
    ended = found(not_searched=(K.LONGER_DRAIN, K.HIGHER_P99_LIMIT))
    assert budget_sentence(ended) == (
        "Not tried: a longer drain, a higher limit of p99; after 100 runs the next ones would have "
        "exceeded the search's budget"
    )
    assert (
        alternatives_sentence(ended)
        == "No single change was found before the search's budget ended"
    )


def test_the_option_sets_all_that_the_candidate_has_of_its_own() -> None:
    one = alternative(
        K.MORE_INSTANCES,
        "services.app.instances",
        8,
        6,
        Cost(2),
        instances=8,
        clock={"start": "03:30"},
        rollout={"window": 3, "drain": {"timeout": "90s"}},
    )
    words = option_text(one, small_shop())
    assert "--set services.app.instances=8" in words
    assert "--set clock.start=03:30" in words
    assert "--set rollout.drain.timeout=90" in words
    assert words.endswith("--window 3")
