"""Verdicts: whether a candidate meets its objectives in enough runs, with a stated confidence.

An objective that a run breaks is a `Breach`. Sentences are made of breaches here and parsed nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from executor.plan.model import Step, Verdict
from simulation.estimates.overload import find_endless_overload, overload_text
from simulation.results.failures import Cause
from simulation.results.run_result import Ending, RunResult
from simulation.scenario.freeze import find_freeze
from simulation.scenario.model import Scenario
from simulation.study.statistics.proportions import (
    MOST_PROPOSED,
    NewStudy,
    answer_of,
    clopper_pearson,
    propose_new_study,
)


def verdict(scenario: Scenario, runs: Sequence[RunResult]) -> Verdict:
    """Return whether the objectives are met in the share ``in_runs`` of runs, with ``confidence``.

    The answer comes from one-sided Clopper–Pearson bounds of the share of runs that meet every
    objective: ``meets`` when even the lower bound reaches ``in_runs``, ``fails`` when even the upper
    bound does not.
    """
    objectives = scenario.objectives
    broken = [broken_objectives(scenario, run) for run in runs]
    good = sum(not breaches for breaches in broken)
    asked = (objectives.in_runs, objectives.confidence)
    answer = answer_of(good, len(runs), *asked)
    counts = Counter(breach for breaches in broken for breach in breaches)
    reasons = [
        breach.overload or f"{breach_text(breach)} in {count} of {len(runs)} runs"
        for breach, count in counts.items()
    ]
    if answer == "undecided":
        reasons.append(
            f"{good} of {len(runs)} runs meet every objective, which neither shows nor refutes "
            f"{objectives.in_runs * 100:g} % with {objectives.confidence * 100:g} % confidence; "
            f"{_new_study_text(propose_new_study(good, len(runs), *asked, scenario.seed))}"
        )
    lower, _upper = clopper_pearson(good, len(runs), objectives.confidence)
    return Verdict(
        answer=answer, runs_meeting=good, runs=len(runs), lower_bound=lower, reasons=reasons
    )


def _new_study_text(study: NewStudy | None) -> str:
    """Return what to do after an undecided answer, as a clause; it never adds runs to the same study."""
    if study is None:
        return f"a new study of up to {MOST_PROPOSED:,} runs would probably not show it either"
    return (
        f"a new study may decide it: --seed {study.seed} --replications {study.runs} "
        f"--set objectives.confidence={study.confidence * 100:.10g}%"
    )


class Objective(StrEnum):
    """An objective that a run may break."""

    ENDS_WELL = "ends_well"
    ERROR_FRACTION = "error_fraction"
    LATENCY_P99 = "latency_p99"
    DURATION = "duration"
    FREEZE = "freeze"
    LOWEST_IN_POOL = "lowest_in_pool"
    CUT_CONNECTIONS = "cut_connections"
    CUT_CONNECTIONS_FRACTION = "cut_connections_fraction"
    MOST_INSTANCES = "most_instances"
    FAILED_INSTANCES = "failed_instances"


@dataclass(frozen=True)
class Breach:
    """An objective that a run breaks, without the run's own figure, so that equal breaches add up.

    Attributes:
        objective: The objective.
        limit: Its limit, in the unit of the objective; None where it has none.
        ended: How the rollout ended, where it did not end well; else None.
        cause: The cause of a stop; None where the rollout was not stopped.
        step: The step that failed, where that was the cause.
        freeze: The freeze in which the rollout ran, as the file has it.
        overload: The endless overload because of which nothing was simulated, in words.
    """

    objective: Objective
    limit: float | None = None
    ended: Ending | None = None
    cause: Cause | None = None
    step: Step | None = None
    freeze: str = ""
    overload: str = ""


def broken_objectives(scenario: Scenario, run: RunResult) -> list[Breach]:
    """Return the objectives that a run breaks, by its figures over the rollout."""
    return list(_breaches(scenario, run))


def _breaches(scenario: Scenario, run: RunResult) -> Iterator[Breach]:
    objectives = scenario.objectives
    if run.ended != Ending.DONE:
        by = run.stopped_by
        cause = None if by is None else by.cause
        overload = find_endless_overload(scenario) if cause is Cause.ENDLESS_OVERLOAD else None
        yield Breach(
            Objective.ENDS_WELL,
            ended=run.ended,
            cause=cause,
            step=None if by is None else by.step,
            overload="" if overload is None else overload_text(overload),
        )
    steady = run.metrics["lowest_in_pool_count"] is None
    prefix = "" if steady else "rollout_"
    limits = (
        (Objective.ERROR_FRACTION, f"{prefix}error_fraction", objectives.error_fraction),
        (Objective.LATENCY_P99, f"{prefix}latency_p99_s", objectives.latency_p99),
        (Objective.DURATION, "rollout_duration_s", objectives.duration),
        (Objective.MOST_INSTANCES, "most_instances_count", objectives.most_instances),
        (Objective.FAILED_INSTANCES, "failed_instances_count", objectives.failed_instances),
    )
    for objective, name, limit in limits:
        # Where nothing was served or nothing arrived, there is no figure to break the limit.
        value = run.metrics[name]
        if limit is not None and value is not None and value > limit:
            yield Breach(objective, limit)
    duration_s = run.metrics["rollout_duration_s"]
    met = None if duration_s is None else find_freeze(scenario, duration_s)
    if met is not None:
        yield Breach(Objective.FREEZE, freeze=met)
    lowest = run.metrics["lowest_in_pool_count"]
    fewest = objectives.lowest_in_pool
    if fewest is not None and lowest is not None and lowest < fewest:
        yield Breach(Objective.LOWEST_IN_POOL, fewest)
    if (cut := objectives.cut_limit()) is not None:
        name, limit = cut
        value = run.metrics[name]
        if value is not None and value > limit:
            yield Breach(Objective(name), limit)


def breach_text(breach: Breach) -> str:
    """Return the breach in words: ``p99 above 4 s``, ``the rollout did not end well (horizon)``."""
    limit = breach.limit
    match breach.objective:
        case Objective.ENDS_WELL:
            return breach.overload or f"the rollout did not end well ({_ending_text(breach)})"
        case Objective.ERROR_FRACTION:
            return f"errors above {(limit or 0) * 100:g} %"
        case Objective.LATENCY_P99:
            return f"p99 above {limit:g} s"
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
