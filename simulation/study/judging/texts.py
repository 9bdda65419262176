"""The reasons of a verdict as sentences, and the words for what a run breaks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from simulation.estimates.overload import overload_text
from simulation.results.failures import Cause
from simulation.scenario.model import Scenario
from simulation.scenario.rates import clock_label
from simulation.study.judging.objectives import ON_REQUESTS, Breach, Limit, Objective
from simulation.study.judging.rules import Judgement, ObjectiveFacts
from simulation.study.statistics.new_study import MOST_PROPOSED, could_show, propose_new_study


def reason_texts(scenario: Scenario, judgement: Judgement) -> Iterator[str]:
    """Yield what there is to say of a candidate's answer, the reasons of a failure first."""
    runs_count = judgement.runs_count
    for breach, count in judgement.breaches.items():
        compared = next(
            (facts for facts in judgement.objectives if breach.breaks(facts.limit)), None
        )
        yield (
            overload_text(breach.overload)
            if breach.overload
            else f"{breach_text(breach)} in {count} of {runs_count} runs{_typical_text(compared)}"
        )
    for facts in judgement.objectives:
        if facts.is_crossed and facts.verdict.runs_breaking < runs_count / 2:
            yield (
                f"the typical run crosses the limit of {limit_text(facts.limit)}"
                f"{_typical_text(facts)}"
            )
    for facts in judgement.objectives:
        yield from _missed_texts(scenario, facts)
    if judgement.answer == "undecided":
        objectives = scenario.objectives
        yield (
            f"{judgement.runs_meeting} of {runs_count} runs meet every objective, which neither shows nor "
            f"refutes {objectives.in_runs * 100:g} % with {objectives.confidence * 100:g} % confidence; "
            f"{_new_study_text(scenario, judgement)}"
        )
    for facts in judgement.objectives:
        yield from _requests_texts(scenario, judgement, facts)


def _new_study_text(scenario: Scenario, judgement: Judgement) -> str:
    """Return what to do after an undecided answer, as a clause; it never adds runs to the same study."""
    objectives = scenario.objectives
    asked = (objectives.in_runs, objectives.confidence)
    study = propose_new_study(judgement.runs_meeting, judgement.runs_count, *asked, scenario.seed)
    if study is None:
        words = "would probably not" if could_show(MOST_PROPOSED, *asked) else "cannot"
        return f"a new study of up to {MOST_PROPOSED:,} runs {words} show it either"
    stricter = (
        ""
        if study.confidence == objectives.confidence
        else f" --set objectives.confidence={study.confidence * 100:.10g}%"
    )
    return f"a new study may decide it: --seed {study.seed} --replications {study.runs}{stricter}"


def _missed_texts(scenario: Scenario, facts: ObjectiveFacts) -> Iterator[str]:
    """Yield what is missed whatever the rollout does."""
    limit = facts.limit
    if facts.is_missed_anyway and facts.control is not None:
        yield (
            f"{limit_text(limit)} does not hold at {_start_text(scenario)} even without a rollout: "
            f"{figure_text(limit, facts.control)}"
        )
    if facts.is_missed_by_version and facts.new_version is not None:
        yield (
            f"{limit_text(limit)} does not hold on the new version, wherever it runs: "
            f"{figure_text(limit, facts.new_version)}"
        )


def _requests_texts(
    scenario: Scenario, judgement: Judgement, facts: ObjectiveFacts
) -> Iterator[str]:
    """Yield what the number of requests means for an objective on requests."""
    limit, count, beyond = facts.limit, facts.requests_count, facts.verdict.control_runs_beyond
    if limit.objective not in ON_REQUESTS:
        return
    kind = f" of class {limit.class_name}" if limit.class_name else ""
    if facts.runs_unseen:
        yield f"no request{kind} was seen in {facts.runs_unseen} of {judgement.runs_count} runs"
    if count is None:
        return
    if (
        beyond is not None
        and beyond > (1 - scenario.objectives.in_runs) * judgement.runs_count
        and not facts.is_missed_anyway
    ):
        share = beyond / judgement.runs_count
        yield (
            f"without a rollout, too, {_beyond_text(limit, count)} in {100 * share:.3g} % of such intervals"
        )
    if limit.objective is Objective.ERROR_FRACTION and limit.value and 0 < count * limit.value < 1:
        path = f"classes.{limit.class_name}." if limit.class_name else ""
        yield (
            f"{100 * limit.value:g} % of {count:,.0f} requests{kind} is less than one request, a single "
            f"lost request breaks the limit: objectives.{path}failed_requests fits better"
        )


def _beyond_text(limit: Limit, count: float) -> str:
    requests = f"{count:,.0f} requests" + (
        f" of class {limit.class_name}" if limit.class_name else ""
    )
    value = limit.value or 0.0
    match limit.objective:
        case Objective.LATENCY_P99:
            return f"p99 of {requests} is above {value:g} s"
        case Objective.ERROR_FRACTION:
            return f"more than {100 * value:g} % of {requests} fail"
        case _:
            return f"more than {value:g} of {requests} fail"


def _typical_text(facts: ObjectiveFacts | None) -> str:
    """Return the figures of the typical run with and without a rollout; empty where nothing is compared."""
    if facts is None or facts.rollout is None or facts.control is None:
        return ""
    if facts.limit.objective not in ON_REQUESTS:
        return ""
    return (
        f": typically {figure_text(facts.limit, facts.rollout)}, without a rollout "
        f"{figure_text(facts.limit, facts.control)}"
    )


def limit_text(limit: Limit) -> str:
    """Return an objective on requests with its limit: ``p99 4 s``, ``errors 0.1 %``."""
    of_class = f" of class {limit.class_name}" if limit.class_name else ""
    value = limit.value or 0.0
    match limit.objective:
        case Objective.LATENCY_P99:
            return f"p99{of_class} {value:g} s"
        case Objective.ERROR_FRACTION:
            return f"an error fraction{of_class} of {100 * value:g} %"
        case Objective.FAILED_REQUESTS:
            return f"a maximum of {value:g} failed requests{of_class}"
        case Objective.CUT_CONNECTIONS_FRACTION:
            return f"a maximum of {100 * value:g} % of the open connections cut"
        case _:
            return f"{limit.objective.value} {value:g}"


def figure_text(limit: Limit, figure: float) -> str:
    """Return a figure of an objective on requests, with its unit."""
    match limit.objective:
        case Objective.LATENCY_P99:
            return "more than 1 % lost" if math.isinf(figure) else f"{figure:.3g} s"
        case Objective.ERROR_FRACTION | Objective.CUT_CONNECTIONS_FRACTION:
            return f"{100 * figure:.3g} %"
        case _:
            return f"{figure:g}"


def _start_text(scenario: Scenario) -> str:
    """Return the start of the rollout as a clock shows it, without seconds where they are 0."""
    return clock_label(scenario.start_s(), scenario.rates().first_row).removesuffix(":00")


def breach_text(breach: Breach) -> str:
    """Return the breach in words: ``p99 above 4 s``, ``the rollout did not end well (horizon)``."""
    limit = breach.limit
    of_class = f" of class {breach.class_name}" if breach.class_name else ""
    match breach.objective:
        case Objective.ENDS_WELL:
            if breach.overload:
                return overload_text(breach.overload)
            return f"the rollout did not end well ({_ending_text(breach)})"
        case Objective.ERROR_FRACTION:
            return f"errors{of_class} above {(limit or 0) * 100:g} %"
        case Objective.FAILED_REQUESTS:
            return f"more than {limit:g} requests{of_class} failed"
        case Objective.LATENCY_P99:
            return f"p99{of_class} above {limit:g} s"
        case Objective.DURATION:
            return f"duration above {limit:g} s"
        case Objective.FREEZE:
            return f"runs in the freeze {breach.freeze}"
        case Objective.LOWEST_IN_POOL:
            return f"fewer than {limit:g} in the pool"
        case Objective.MOST_INSTANCES:
            return f"more than {limit:g} instances at once"
        case Objective.FAILED_INSTANCES:
            return f"more than {limit:g} instances failed"
        case Objective.CUT_CONNECTIONS:
            return f"more than {limit:g} connections cut"
        case Objective.CUT_CONNECTIONS_FRACTION:
            return f"more than {(limit or 0) * 100:g} % of the open connections cut"


def _ending_text(breach: Breach) -> str:
    """Return how a run ended, and by what: ``halted by a guard``, ``rolled_back, start failed``."""
    match breach.cause:
        case Cause.GUARD | Cause.CANARY:
            return f"{breach.ended} by a {breach.cause}"
        case Cause.STEP_FAILED | Cause.DRAIN_TIMEOUT if breach.step is not None:
            return f"{breach.ended}, {breach.step.replace('_', ' ')} failed"
        case Cause.BATCH_FAILED:
            return f"{breach.ended}, a whole batch failed"
        case Cause.PROGRESS_DEADLINE:
            return f"{breach.ended}, no progress before the deadline"
        case Cause.HEALTHY_DEADLINE:
            return f"{breach.ended}, an instance was not healthy before its deadline"
        case Cause.NO_MORE_MAY_FOLLOW:
            return f"{breach.ended}, too few instances are left to take another out"
        case _:
            return str(breach.ended)
