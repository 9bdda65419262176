"""A planted cause is named, and the remedy that is offered meets on seeds that nobody has seen."""

from __future__ import annotations

import pytest

from simulation.results.losses import LossCause, LossPhase
from simulation.study.candidate_result import CandidateResult
from simulation.study.case import cases_of, frame_of_cases
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from simulation.study.why.changes import with_values
from simulation.study.why.diagnosis import Diagnosis, RootCause
from simulation.study.why.explain import diagnose, explain_failures
from tests.simulation.study.why.planted import PLANTED, TWO_MISTAKES, WITHOUT_LOSS, Scenario

HERE = Execution(jobs=1)
NEVER_USED_SEED = 424_242


def simulate(scenario: Scenario, execution: Execution = HERE) -> CandidateResult:
    """Return the result of the scenario's own candidate."""
    cases = cases_of(scenario)
    return compare(scenario, cases, list(run_rows(scenario, cases, execution))).candidates[0]


def diagnosis_of(scenario: Scenario) -> Diagnosis:
    """Return the diagnosis of a scenario whose own candidate fails."""
    result = simulate(scenario)
    assert result.verdict.answer == "fails"
    diagnosis = diagnose(result.case, result.runs, frame_of_cases([result.case]), HERE)
    assert diagnosis is not None
    return diagnosis


def assert_remedy_meets(scenario: Scenario, diagnosis: Diagnosis) -> None:
    assert diagnosis.remedy is not None
    helped = with_values(scenario, diagnosis.remedy.values)
    fresh = helped.model_copy(update={"seed": NEVER_USED_SEED, "replications": 60})
    assert simulate(fresh).verdict.answer == "meets"


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_the_planted_cause_is_named_and_its_remedy_meets(name: str) -> None:
    cause, scenario = PLANTED[name]
    diagnosis = diagnosis_of(scenario)
    assert [explanation.cause for explanation in diagnosis.explanations] == [cause]
    assert diagnosis.missed_anyway == ()
    assert_remedy_meets(scenario, diagnosis)


def test_losses_are_told_by_cause_and_phase() -> None:
    _, scenario = PLANTED["no pre-stop though the balancer learns late"]
    diagnosis = diagnosis_of(scenario)
    [explanation] = diagnosis.explanations
    assert explanation.objectives == ("error_fraction",)
    assert explanation.loss is LossCause.REFUSED_AFTER_STOP
    assert explanation.phase is LossPhase.STOP
    assert explanation.lost_count == diagnosis.lost_count > 1000
    assert explanation.share == 1.0
    assert (diagnosis.runs, diagnosis.runs_breaking) == (20, 20)
    assert diagnosis.remedy is not None
    assert diagnosis.remedy.values == {"rollout.pre_stop": "1.2s"}
    assert diagnosis.remedy.runs_meeting >= 0.9 * diagnosis.remedy.runs
    assert diagnosis.trials[0].cause is RootCause.FLEET
    assert diagnosis.trials[0].runs_meeting == diagnosis.trials[0].runs == 12
    assert diagnosis.to_json()["remedy"]["values"] == {"rollout.pre_stop": "1.2s"}


def test_two_mistakes_are_both_named_and_one_change_helps_against_both() -> None:
    diagnosis = diagnosis_of(TWO_MISTAKES)
    assert [(each.cause, each.objectives) for each in diagnosis.explanations] == [
        (RootCause.MISSING_PRE_STOP, ("error_fraction",)),
        (RootCause.WINDOW, ("latency_p99",)),
    ]
    assert diagnosis.remedy is not None
    assert set(diagnosis.remedy.values) == {"rollout.pre_stop", "rollout.window"}
    assert_remedy_meets(TWO_MISTAKES, diagnosis)


def test_a_scenario_that_meets_has_no_diagnosis() -> None:
    result = simulate(WITHOUT_LOSS)
    assert result.verdict.answer == "undecided"  # 20 of 20 runs are too few for 95 %
    assert diagnose(result.case, result.runs, frame_of_cases([result.case]), HERE) is None


def test_a_comparison_explains_its_failing_candidates_only() -> None:
    _, scenario = PLANTED["the window leaves too few in the pool"]
    cases = cases_of(scenario, windows=[1, 3])
    comparison = compare(scenario, cases, list(run_rows(scenario, cases, HERE)))
    done: list[tuple[int, int]] = []
    explained = explain_failures(comparison, HERE, on_progress=lambda *counts: done.append(counts))
    assert explained.candidates[0].diagnosis is None
    diagnosis = explained.candidates[1].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause is RootCause.WINDOW
    assert done == [(0, 1), (1, 1)]
    assert explained.candidate_json(0)["why"] is None
    assert explained.candidate_json(1)["why"]["explanations"][0]["cause"] == "window"


def test_a_stopped_explanation_leaves_the_results_as_they_are() -> None:
    _, scenario = PLANTED["the window leaves too few in the pool"]
    cases = cases_of(scenario)
    comparison = compare(scenario, cases, list(run_rows(scenario, cases, HERE)))
    stopped = Execution(jobs=1, is_stopped=lambda: True)
    assert explain_failures(comparison, stopped).candidates[0].diagnosis is None
