"""The rules of a verdict: how the figures of all runs become an answer.

An objective *fails* when too many runs break it, or when the typical run crosses its limit because of
the rollout. It is *missed anyway* when the runs without a rollout miss it too. Everything here is exact
or conservative: proportions of runs by one-sided Clopper–Pearson bounds, fractions and counts of
requests by the lower end of an interval of a ratio.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from scipy import special

from executor.plan.model import Answer, MissCause, ObjectiveVerdict
from simulation.estimates.overload import OverloadedFleet
from simulation.scenario.inputs.objectives import Objectives
from simulation.scenario.model import Scenario
from simulation.study.judging.figures import Arm, Figure, JudgedRun, Reading
from simulation.study.judging.objectives import ON_REQUESTS, Breach, Limit, Objective, limits_of
from simulation.study.statistics.proportions import answer_of, clopper_pearson


@dataclass(frozen=True)
class ObjectiveFacts:
    """The facts that the runs show of one objective.

    Attributes:
        limit: The objective.
        verdict: The verdict on it.
        rollout: Its figure in the typical run; infinite where that run loses more requests than a p99
            leaves; None where no run has a figure.
        control: The same without a rollout.
        new_version: The same with the fleet wholly on the new version.
        is_crossed: Whether the typical run is beyond the limit, and without a rollout it is not.
        is_missed_anyway: Whether the runs without a rollout miss the objective.
        is_missed_by_version: Whether the new version misses it wherever it runs, the old one not.
        requests_count: Number of requests in the typical stretch; None where it is not known.
        runs_unseen: Number of runs that break nothing, and in which no request was seen that the objective is
            about.
    """

    limit: Limit
    verdict: ObjectiveVerdict
    rollout: float | None
    control: float | None
    new_version: float | None
    is_crossed: bool
    is_missed_anyway: bool
    is_missed_by_version: bool
    requests_count: float | None
    runs_unseen: int


@dataclass(frozen=True)
class Judgement:
    """The facts that the runs of a candidate show of its objectives.

    Attributes:
        answer: The candidate's answer.
        runs_meeting: Number of runs that meet every objective.
        runs_count: Number of all runs.
        breaches: Number of runs by what they break, in the order in which it was seen first.
        objectives: The facts of each objective.
    """

    answer: Answer
    runs_meeting: int
    runs_count: int
    breaches: Counter[Breach]
    objectives: tuple[ObjectiveFacts, ...]


def judge(scenario: Scenario, runs: Sequence[JudgedRun]) -> Judgement:
    """Judge a candidate by all its runs (at least one).

    The answer is ``fails`` if an objective fails, or if too many runs break any of them; else
    ``undecided``, as long as either is possible; else ``misses_anyway``, if an objective is missed without a rollout
    too; else ``meets``.
    """
    objectives = tuple(_judge_objective(scenario, limit, runs) for limit in limits_of(scenario))
    good = sum(run.is_good for run in runs)
    unknown = len(runs) - good - sum(bool(run.breaches) for run in runs)
    answer = _answer_of(good, unknown, len(runs), scenario)
    if any(facts.verdict.answer == "fails" for facts in objectives):
        answer = "fails"
    if answer == "meets" and any(facts.is_missed_anyway for facts in objectives):
        answer = "misses_anyway"
    return Judgement(
        answer=answer,
        runs_meeting=good,
        runs_count=len(runs),
        breaches=Counter(breach for run in runs for breach in run.breaches),
        objectives=objectives,
    )


def _answer_of(good: int, unknown: int, count: int, scenario: Scenario) -> Answer:
    """Return the answer of `answer_of`, where it is the same whatever the unknown runs would show."""
    asked = (scenario.objectives.in_runs, scenario.objectives.confidence)
    at_worst = answer_of(good, count, *asked)
    at_best = answer_of(good + unknown, count, *asked)
    return at_best if at_best == at_worst else "undecided"


def _judge_objective(scenario: Scenario, limit: Limit, runs: Sequence[JudgedRun]) -> ObjectiveFacts:
    objectives = scenario.objectives
    breaches = [breach for run in runs for breach in run.breaches if breach.breaks(limit)]
    readings = [run.readings.get(limit, ()) for run in runs]
    unseen = sum(limit in run.unseen for run in runs)
    rollout, control, new_version = (
        _worst_of_runs(readings, limit, arm) for arm in ("rollout", "control", "new_version")
    )
    missed_anyway = _is_missed(readings, limit, "control", objectives)
    crossed = (
        bool(control)
        and _is_typical(_beyond(limit, rollout), len(rollout), objectives)
        and not _is_typical(_beyond(limit, control), len(control), objectives)
        and not missed_anyway
    )
    missed_by_version = _is_missed(readings, limit, "new_version", objectives)
    if missed_by_version and missed_anyway:
        worse = sum(
            any(reading.is_broken(limit, objectives.margin, "new_version") for reading in of_run)
            for of_run in readings
        )
        missed_by_version = _is_typical(worse, len(new_version), objectives)
    answer = _answer_of(len(runs) - len(breaches) - unseen, unseen, len(runs), scenario)
    if crossed:
        answer = "fails"
    if answer == "meets" and missed_anyway:
        answer = "misses_anyway"
    missed_by: MissCause | None = "fleet" if missed_anyway else None
    if missed_by_version:
        missed_by = "version"
    blamed: MissCause | None = None
    if scenario.rollout is None:
        blamed = "fleet"
    elif control or limit.objective not in ON_REQUESTS:
        blamed = "rollout"
    counts = [
        reading.requests_count
        for of_run in readings
        for reading in of_run
        if reading.requests_count is not None
    ]
    typical = _median(rollout), _median(control)
    return ObjectiveFacts(
        limit=limit,
        verdict=ObjectiveVerdict(
            name=limit.objective.value,
            answer=answer,
            limit=limit.value,
            rollout=_finite(typical[0]),
            control=_finite(typical[1]),
            runs_breaking=len(breaches),
            control_runs_beyond=_beyond(limit, control) if control else None,
            cause=_cause(answer, breaches, missed_by, blamed),
            class_name=limit.class_name,
        ),
        rollout=typical[0],
        control=typical[1],
        new_version=_median(new_version),
        is_crossed=crossed,
        is_missed_anyway=missed_anyway,
        is_missed_by_version=missed_by_version,
        requests_count=median(counts) if counts else None,
        runs_unseen=sum(limit in run.unseen and not run.breaches for run in runs),
    )


def _cause(
    answer: Answer,
    breaches: Sequence[Breach],
    missed_by: MissCause | None,
    blamed: MissCause | None,
) -> MissCause | None:
    """Return the cause of a miss of one objective.

    Args:
        answer: The answer on it.
        breaches: Its breaches.
        missed_by: The cause of a miss that does not depend on the rollout; None without one.
        blamed: The cause of a failure that nothing else explains.
    """
    overload = next((breach.overload for breach in breaches if breach.overload), None)
    if overload is not None:
        return "version" if overload.fleet is OverloadedFleet.NEW else "fleet"
    return blamed if answer == "fails" and missed_by != "version" else missed_by


def _worst_of_runs(readings: Sequence[Sequence[Reading]], limit: Limit, arm: Arm) -> list[float]:
    """Return the worst figure of each run that has one in this arm."""
    worst = min if limit.objective is Objective.LOWEST_IN_POOL else max
    values = ([figure.value for figure in _figures(of_run, arm)] for of_run in readings)
    return [worst(of_run) for of_run in values if of_run]


def _figures(readings: Iterable[Reading], arm: Arm) -> list[Figure]:
    figures = (getattr(reading, arm) for reading in readings)
    return [figure for figure in figures if figure is not None]


def _beyond(limit: Limit, values: Iterable[float]) -> int:
    return sum(limit.is_beyond(value) for value in values)


def _is_typical(count: int, runs_count: int, objectives: Objectives) -> bool:
    """Return whether runs show that this happens in more than half of all rollouts.

    Where more than half of the runs may break an objective anyway, more than that share is typical.
    """
    if count == 0:
        return False
    often = max(0.5, 1 - objectives.in_runs)
    return clopper_pearson(count, runs_count, objectives.confidence)[0] > often


def _is_missed(
    readings: Sequence[Sequence[Reading]], limit: Limit, arm: Arm, objectives: Objectives
) -> bool:
    """Return whether an arm misses the objective by itself.

    A p99 is missed where the typical run is beyond the limit. Fractions and counts are missed where the
    ratio of sums over the runs is: with few requests, single runs are all or nothing.
    """
    values = _worst_of_runs(readings, limit, arm)
    if not _beyond(limit, values):
        return False
    if limit.objective is Objective.LATENCY_P99:
        return _is_typical(_beyond(limit, values), len(values), objectives)
    assert limit.value is not None
    places = _by_place([_figures(of_run, arm) for of_run in readings])
    # The limit holds in every stretch, or it is missed: the stretches share the error probability.
    confidence = 1 - (1 - objectives.confidence) / max(1, len(places))
    return any(
        ratio_lower_bound(without_worst(place, 1 - objectives.in_runs), confidence) > limit.value
        for place in places
    )


def _by_place(figures: Sequence[Sequence[Figure]]) -> list[list[Figure]]:
    """Return the figures of the first stretch over the runs, of the second one, and so on.

    A place that at most half of the runs reach says nothing about the typical rollout.
    """
    longest = max((len(of_run) for of_run in figures), default=0)
    places = [
        [of_run[place] for of_run in figures if len(of_run) > place] for place in range(longest)
    ]
    return [place for place in places if 2 * len(place) > len(figures)]


def without_worst(figures: Sequence[Figure], share: float) -> list[Figure]:
    """Return the figures without the worst share of them, which may hold extreme runs."""
    left_out = math.floor(share * len(figures) + 1e-9)
    return sorted(figures, key=lambda figure: figure.value)[: len(figures) - left_out]


def ratio_lower_bound(figures: Sequence[Figure], confidence: float) -> float:
    """Return a one-sided lower bound of a ratio of sums over runs.

    The ratio is R = Σy/Σx, its standard error √(n/(n−1)·Σ(y − R·x)²)/Σx, the bound that of Student's t
    (Cochran, *Sampling Techniques*, 3rd ed., 6.3 and 6.4). Failures are skewed to the right: then such a
    lower bound is too low rather than too high.

    Args:
        figures: Numerator y and denominator x of each run.
        confidence: The confidence of the bound.
    """
    count, whole = len(figures), math.fsum(figure.denominator for figure in figures)
    if count < 2 or whole == 0:
        return -math.inf
    ratio = math.fsum(figure.numerator for figure in figures) / whole
    squares = math.fsum((figure.numerator - ratio * figure.denominator) ** 2 for figure in figures)
    error = math.sqrt(count / (count - 1) * squares) / whole
    return float(ratio - special.stdtrit(count - 1, confidence) * error)


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
