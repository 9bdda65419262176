"""Each cause and each remedy in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.results.losses import LossCause, LossPhase
from simulation.study.why.diagnosis import (
    ENDS_WELL,
    Diagnosis,
    Explanation,
    Remedy,
    RootCause,
    TriedChange,
)
from studio.views.why.diagnosis_text import (
    remedy_sentence,
    trial_rows,
    values_text,
    why_lines,
    why_sentence,
)
from tests.simulation.study.why.planted import PLANTED, TWO_MISTAKES

REMEDY = Remedy({"rollout.pre_stop": "1s"}, 96, 95, 7)

CAUSES = {
    "no pre-stop though the balancer learns late": (
        "the balancer learns 1 s late of a take-out and pre-stop is 0 s"
    ),
    "least connections draws traffic to a stopped instance": (
        "an instance that refuses everything looks idle, so least connections sends it more than its share"
    ),
    "drains end before long requests do": (
        "requests in flight take longer than the drain's timeout of 1 s"
    ),
    "an abrupt stop": "the stop is abrupt and cuts what is in flight",
    "a grace period that is over at the stop": (
        "the grace period of 2 s, counted from the take-out, ends before the requests in flight do"
    ),
    "the window takes too much away": (
        "a window of 5 of 8 instances takes too much out of the pool"
    ),
    "the fleet is overloaded by itself": "the fleet misses this without a rollout, too",
    "cold instances": (
        "an instance that has just started takes up to 5 times as long for a request"
    ),
    "a slower new version": (
        "the new version takes 1.65 times as long for a request as the old one"
    ),
    "wrong answers of the new version": (
        "the new version answers 2 % of its requests with an error"
    ),
    "retries pile up": (
        "clients send a failed request again, up to 4 times, and these retries overload the pool"
    ),
    "the queue's timeout is too short": (
        "requests may wait 20 ms, and a longer wait would be enough"
    ),
    "the client's timeout is too short": (
        "clients leave after 240 ms, and a longer wait would be enough"
    ),
    "the queue's limit is too low": (
        "only 10 requests may wait, and a longer queue would be enough"
    ),
    "the deadline for progress passes": (
        "an instance takes longer than the progress deadline of 5 s"
    ),
    "the deadline for healthy instances passes": (
        "an instance takes longer than the healthy deadline of 4 s"
    ),
    "starts fail": "up to 10 % of the steps verify or start fail",
    "the contract step comes too early": (
        "the contract step comes before the rollout, and the old version needs what it removes"
    ),
    "too many instances at once": "the surge of 4 adds too many instances",
    "one instance after the other takes too long": (
        "only 1 of 8 instances may be under way at once"
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_each_cause_is_told_with_the_values_that_make_it(name: str) -> None:
    cause, scenario = PLANTED[name]
    diagnosis = Diagnosis((Explanation(cause, (ENDS_WELL,)),), runs=20, runs_breaking=19)
    assert why_sentence(scenario, diagnosis) == (
        f"the rollout does not end well in 19 of 20 runs: {CAUSES[name]}"
    )


def test_every_cause_has_words() -> None:
    _, scenario = PLANTED["the window takes too much away"]
    general = {RootCause.CRASHES, RootCause.GUARD, RootCause.FREEZE, RootCause.UNKNOWN}
    told = {PLANTED[name][0] for name in CAUSES}
    assert told | general == set(RootCause)
    sentences = {
        why_sentence(scenario, Diagnosis((Explanation(cause, (ENDS_WELL,)),), 20, 19))
        for cause in general
    }
    assert len(sentences) == len(general)


def test_losses_come_before_the_cause() -> None:
    _, scenario = PLANTED["no pre-stop though the balancer learns late"]
    explanation = Explanation(
        RootCause.MISSING_PRE_STOP,
        ("error_fraction",),
        71,
        71 / 72,
        LossCause.REFUSED_AFTER_STOP,
        LossPhase.STOP,
        14,
    )
    diagnosis = Diagnosis((explanation,), 20, 20, lost_count=72, remedy=REMEDY)
    assert why_lines(scenario, diagnosis) == [
        "71 of 72 lost requests were refused after their instance had stopped, most of them in the "
        "step stop (errors above 0.1 % in 20 of 20 runs): the balancer learns 1 s late of a take-out "
        "and pre-stop is 0 s",
        "`rollout.pre_stop: 1s` would avoid this: 95 of 96 runs on a fresh seed meet every objective",
    ]


def test_several_causes_and_what_the_fleet_misses_anyway() -> None:
    diagnosis = Diagnosis(
        (
            Explanation(RootCause.MISSING_PRE_STOP, ("error_fraction",)),
            Explanation(RootCause.WINDOW, ("lowest_in_pool",)),
        ),
        20,
        20,
        missed_anyway=("latency_p99",),
        remedy=REMEDY,
    )
    limits = TWO_MISTAKES.objectives.model_copy(update={"lowest_in_pool": 4})
    scenario = TWO_MISTAKES.model_copy(update={"objectives": limits})
    assert why_sentence(scenario, diagnosis) == (
        "errors above 0.1 %: the balancer learns 1 s late of a take-out and pre-stop is 0 s; fewer "
        "than 4 in the pool: a window of 7 of 8 instances takes too much out of the pool; without a "
        "rollout, too: p99 above 1 s"
    )
    assert remedy_sentence(diagnosis).endswith("runs on a fresh seed meet every other objective")


def test_a_remedy_of_the_version_is_no_setting_of_the_rollout() -> None:
    diagnosis = Diagnosis((Explanation(RootCause.ERRORS_OF_NEW_VERSION, (ENDS_WELL,)),), 20, 20)
    assert remedy_sentence(diagnosis) == "No change that was tried avoids this"
    better = {"services.app.versions.new.error_fraction": 0.0004}
    remedied = replace(diagnosis, remedy=Remedy(better, 96, 96, 7))
    assert remedy_sentence(remedied) == (
        "No setting of the rollout avoids this; `services.app.versions.new.error_fraction: 0.0004` "
        "would avoid this: 96 of 96 runs on a fresh seed meet every objective"
    )


def test_values_are_written_as_in_a_file() -> None:
    values = {
        "rollout.migration.contract_before_rollout": False,
        "services.app.balancer.connect_retries": {"attempts": 1, "redispatch": True},
    }
    assert values_text(values) == (
        "rollout.migration.contract_before_rollout: false; "
        "services.app.balancer.connect_retries: {attempts: 1, redispatch: true}"
    )


def test_trials_are_rows() -> None:
    trials = (
        TriedChange(RootCause.FLEET, {}, 12, 12),
        TriedChange(RootCause.WINDOW, {"rollout.window": 1}, 3, 0),
        TriedChange(RootCause.GUARD, {"rollout.guards": "none"}, 0, 0),
    )
    assert trial_rows(trials) == [
        ("no rollout", "12 of 12"),
        ("rollout.window: 1", "0 of 3"),
        ("rollout.guards: none", "refused"),
    ]
