"""Plans: the sealed plan of a candidate, and its simulation again.

A plan embeds a scenario that needs no other file, so anyone can simulate it again and get the plan's
prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from executor.base.canonical_json import digest_of
from executor.base.errors import BadInput, Refused
from executor.base.yaml_positions import broken_text
from executor.dialects.kubernetes import resolve
from executor.plan.file import seal
from executor.plan.model import (
    PLAN_2,
    STEPS,
    AsWritten,
    EndCounts,
    Evidence,
    Plan,
    PlanDrain,
    PlanGuards,
    PlanStop,
    Prediction,
    Step,
    Verdict,
)
from executor.plan.rules import broken_rules as broken_plan_rules
from simulation.control.order import rolling_order, waves_of
from simulation.planning.planned_start import planned_start, planned_traffic
from simulation.requests.stationary import long_lived
from simulation.run import traffic_around
from simulation.scenario.freeze import second_of_day
from simulation.scenario.inputs.days import WEEKDAYS, DrawnDays
from simulation.scenario.inputs.uncertainty import NORMAL_999, at_quantile
from simulation.scenario.model import Scenario, ScenarioWorkload
from simulation.scenario.rates import DAY_S
from simulation.scenario.rollout import Rollout
from simulation.scenario.rules import broken_rules
from simulation.scenario.simulated_interval import SimulatedInterval, frame_of
from simulation.scenario.traffic import TimestampsRate, TraceRate
from simulation.study.candidate_result import CandidateResult
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.execution import DEFAULT_EXECUTION, Execution
from simulation.study.rows import run_rows

WEEK_S = 7 * 86400.0
"""Default validity of a plan, in seconds."""

NOT_SIMULATED = "nothing is simulated of it yet"
"""The reason in the verdict of a plan that was not simulated."""

SHORTEST_DEADLINE_S = 10.0
"""Minimum deadline of a step, in seconds: on a real host even a step of 0 s takes time."""


def self_contained(scenario: Scenario) -> Scenario:
    """Return the scenario of one case without any other file.

    A trace of which days are drawn becomes these days, as far as a simulation of this case may need
    them, so that every replication draws the same numbers again. Any other trace becomes rate steps, over the time that a simulation of this case may need. Their times are
    seconds after midnight of the day of the start (or of the day before), so that a freeze is met at
    the same time of day. Timestamps that only give the rate become steps too. Timestamps to be
    replayed stay timestamps; without a freeze they are seconds from the start, which keeps every
    digit.
    """
    rate = scenario.traffic.rate
    if not isinstance(rate, TraceRate | TimestampsRate):
        return scenario
    frame = frame_of([scenario])
    data = scenario.as_data()
    days = scenario.drawn_days()
    if days is not None:
        return _with_days(scenario, days, frame)
    start_s = second_of_day(scenario)
    if start_s < frame.warm_up_s:
        start_s += DAY_S
    if isinstance(rate, TimestampsRate) and scenario.traffic.arrivals == "replay":
        if scenario.rollout is None or not scenario.rollout.freeze:
            start_s = 0.0
        times_s = rate.times_s(scenario.start_s(), frame.warm_up_s)
        count = int(np.searchsorted(times_s, frame.horizon_s, side="right")) + 1
        data["traffic"]["rate"] = {"timestamps": (times_s[:count] + start_s).tolist()}
    else:
        steps = traffic_around(scenario, frame).as_steps()
        data["traffic"]["rate"] = {
            "steps": [[f"{time + start_s!r}s", f"{rps!r}/s"] for time, rps in steps]
        }
        data["traffic"].pop("growth", None)  # the rates have it
    data.setdefault("clock", {}).update(start=f"{start_s!r}s", warm_up=f"{frame.warm_up_s!r}s")
    return Scenario.model_validate(data)


def _with_days(scenario: Scenario, days: DrawnDays, frame: SimulatedInterval) -> Scenario:
    """Return the scenario with its days as steps, on the clock of `days.day_of`."""
    start_s = scenario.start_s()
    # Connections that are open at the start were opened at earlier rates, up to the whole day before.
    begin_s = 0.0 if long_lived(scenario) else start_s - frame.warm_up_s
    data = scenario.as_data()
    data["traffic"]["rate"] = {
        "days": [
            [
                [f"{time!r}s", f"{rps!r}/s"]
                for time, rps in day.steps_within(begin_s, start_s + frame.horizon_s)
            ]
            for day in days.days
        ],
        "weekday": WEEKDAYS[days.weekday],
        "spread": days.spread,
        "known": days.known_count,
    }
    data["clock"].update(
        start=f"{start_s!r}s", warm_up=f"{frame.warm_up_s!r}s", zone=scenario.zone_name()
    )
    return Scenario.model_validate(data)


def make_plan(
    scenario: Scenario,
    result: CandidateResult,
    valid_for_s: float = WEEK_S,
    evidence: Evidence | None = None,
    *,
    written: Scenario | None = None,
    accepted: Collection[str] = (),
) -> Plan:
    """Return a candidate as a checked and sealed plan.

    Args:
        scenario: The simulated scenario, with the seed of its runs.
        result: The candidate's result, over as many runs as the scenario says.
        valid_for_s: How long the plan is valid, in seconds.
        evidence: The search that chose the candidate, if one did.
        written: The scenario as its file says it, where the simulated one is a candidate of it; the
            plan writes window and surge as this scenario does. None for the simulated scenario.
        accepted: Keys of the objectives that may be missed without a rollout too.

    Raises:
        Refused: The candidate does not meet the objectives; the message says why.
    """
    verdict = result.verdict
    missed = [key for key in verdict.missed_anyway() if key not in accepted]
    if verdict.answer not in ("meets", "misses_anyway") or missed:
        raise Refused(
            f"window {result.candidate.window} is no plan, its verdict is "
            f"{verdict.answer.replace('_', ' ')}: {'; '.join(verdict.reasons)}"
        )
    wanted_count = scenario.replications or result.planned_count
    if len(result.runs) < wanted_count:
        raise Refused(
            f"window {result.candidate.window} is no plan yet: {len(result.runs)} of "
            f"{wanted_count} runs are there, run the comparison to its end"
        )
    plan = draft_plan(scenario, result, valid_for_s, evidence, written=written, accepted=accepted)
    for broken in broken_plan_rules(plan):
        raise Refused(f"{plan.name} is no plan: {broken}")
    return plan


def draft_plan(
    scenario: Scenario,
    result: CandidateResult,
    valid_for_s: float = WEEK_S,
    evidence: Evidence | None = None,
    *,
    written: Scenario | None = None,
    accepted: Collection[str] = (),
) -> Plan:
    """Return a candidate as a plan that may break rules of plans, for a preview.

    The arguments are those of `make_plan`.

    Raises:
        Refused: A plan cannot express the release.
    """
    if scenario.rollout is None:
        raise BadInput(f"{scenario.name}: rollout: is missing, there is nothing to plan")
    chosen = self_contained(result.scenario)
    predicted = Prediction(
        metrics=result.alone, ended=EndCounts(**result.ended), verdict=result.verdict
    )
    plan = _plan_of(
        chosen, predicted, len(result.runs), valid_for_s, evidence, written=written or scenario
    )
    missed = tuple(key for key in result.verdict.missed_anyway() if key in accepted)
    return seal(plan.model_copy(update={"accepted_missing": missed})) if missed else plan


def outline_plan(scenario: Scenario) -> Plan:
    """Return the plan of a scenario that was not simulated, for a preview.

    Its prediction is empty, so it is never valid. It still refers to other files of the scenario.

    Raises:
        Refused: A plan cannot express the release.
    """
    if scenario.rollout is None:
        raise BadInput(f"{scenario.name}: rollout: is missing, there is nothing to plan")
    verdict = Verdict(
        answer="undecided", runs_meeting=0, runs=1, lower_bound=0.0, reasons=(NOT_SIMULATED,)
    )
    empty = Prediction(
        metrics={}, ended=EndCounts(done=0, halted=0, rolled_back=0, horizon=0), verdict=verdict
    )
    return _plan_of(scenario, empty, 1, WEEK_S, None, written=scenario)


def _plan_of(
    chosen: Scenario,
    predicted: Prediction,
    replications: int,
    valid_for_s: float,
    evidence: Evidence | None,
    *,
    written: Scenario,
) -> Plan:
    """Return a sealed plan.

    Args:
        chosen: The scenario of the candidate, free of other files.
        predicted: The prediction from its simulation.
        replications: Number of runs of this simulation.
        valid_for_s: How long the plan is valid, in seconds.
        evidence: The search that chose the candidate, if one did.
        written: The scenario as its file says it; the plan writes window and surge as it does.

    Raises:
        Refused: A plan cannot express the release.
    """
    name = planned_service(chosen)
    rule, service = chosen.rule(name), chosen.services[name]
    assert rule is not None
    instance_names = service.instance_names(name)
    names = tuple(instance_names[instance] for instance in rolling_order(chosen, name))
    window = chosen.window_count(name)
    embedded = chosen.as_data()
    carried_out_by = _carrier(rule, service.workload)
    unable = [*not_carried_out(rule, carried_out_by)]
    if unable:
        raise Refused(f"{chosen.name} is no plan: {'; '.join(unable)}")
    now = datetime.now(UTC)
    plan_2_fields: dict[str, Any] = {}
    start = planned_start(chosen, now)
    if start is not None:
        duration = predicted.metrics.get("rollout_duration_s")
        plan_2_fields = {"schema": PLAN_2, "start": start}
        if duration is not None and duration.run_high is not None:
            plan_2_fields["traffic"] = planned_traffic(
                chosen, name, replications, duration.run_high
            )
    if carried_out_by != "rollcast":
        plan_2_fields |= {
            "schema": PLAN_2,
            "carried_out_by": carried_out_by,
            "replacement": "beside" if rule.replaces_beside else "in_place",
            "surge": chosen.surge_count(name) if rule.replaces_beside else 0,
            "as_written": _as_written(written, chosen, name),
            "workload": service.workload and service.workload.model_dump(),
            "progress_deadline_s": rule.progress_deadline_s,
        }
    return seal(
        Plan(
            name=chosen.name,
            created_at=now.isoformat(timespec="seconds"),
            valid_for_s=valid_for_s,
            tool_version=version("rollcast"),
            scenario=embedded,
            scenario_digest=digest_of(embedded),
            seed=chosen.seed,
            replications=replications,
            service=name,
            instances=names,
            strategy="canary" if rule.strategy == "canary" else "rolling",
            advance=rule.advance,
            window=window,
            min_in_pool=chosen.min_healthy_count(name),
            pause_s=rule.pause,
            min_ready_s=rule.min_ready,
            drain=PlanDrain(timeout_s=rule.drain.timeout, on_timeout=rule.drain.on_timeout),
            stop=PlanStop(mode=rule.stop.mode, pre_stop_s=rule.pre_stop, grace_s=rule.stop.grace),
            propagation_delay_s=service.balancer.propagation_delay,
            guards=_guards(rule),
            waves=waves_of(rule, window, names),
            step_deadlines_s=step_deadlines_s(chosen),
            on_failure=rule.on_failure,
            retries=rule.retries,
            max_failures=chosen.max_failures_count(name),
            prediction=predicted,
            evidence=evidence,
            **plan_2_fields,
        )
    )


def not_carried_out(rule: Rollout, carried_out_by: str = "rollcast") -> Iterator[str]:
    """Yield each key that a plan cannot carry, or its tool cannot carry out, with the rule."""
    if rule.healthy_deadline is not None:
        yield (
            f"rollout.healthy_deadline ({rule.healthy_deadline:g} s) must be none: a plan has a "
            "deadline for each step instead"
        )
    if rule.stops_after_failed_batch:
        yield "rollout.stop_when_batch_failed (true) must be false: it is not carried out"
    if carried_out_by != "rollcast":
        return
    if rule.on_failure == "budget":
        yield (
            "rollout.on_failure (budget) must be halt, continue or rollback: Rollcast's executor "
            "never goes on with a failed instance in its place"
        )
    if rule.progress_deadline is not None:
        yield (
            f"rollout.progress_deadline ({rule.progress_deadline:g} s) must be none: Rollcast's "
            "executor has a deadline for each step"
        )


def _carrier(rule: Rollout, workload: ScenarioWorkload | None) -> str:
    """Return the tool whose rules the simulated rollout follows: this tool carries the plan out."""
    kind = None if workload is None else workload.kind
    if rule.replaces_beside:
        return "argo-rollouts" if rule.strategy == "canary" or kind == "Rollout" else "kubernetes"
    return "kubernetes" if kind == "StatefulSet" else "rollcast"


def _as_written(written: Scenario, chosen: Scenario, service: str) -> AsWritten:
    """Return window and surge as the file writes them, where they resolve to the chosen counts."""
    rule, written_rule = chosen.rule(service), written.rule(service)
    assert rule is not None and written_rule is not None
    count = chosen.services[service].instance_count
    surge = chosen.surge_count(service)
    least = max(count - chosen.window_count(service), chosen.min_healthy_count(service))
    unavailable = count - least
    try:
        resolved = resolve(written_rule.surge, written_rule.window, count)
    except BadInput:
        resolved = (surge, unavailable)
    return AsWritten(
        window=written_rule.window if resolved[1] == unavailable else unavailable,
        surge=written_rule.surge if resolved[0] == surge else surge,
    )


def planned_service(scenario: Scenario) -> str:
    """Return the one service that a plan is for.

    Raises:
        Refused: A plan cannot express the release.
    """
    rolled = scenario.rolled_services()
    if len(rolled) > 1:
        raise Refused(
            f"{scenario.name} is no plan: it releases {len(rolled)} services ({', '.join(rolled)}) "
            f"and a plan is for one; name it with --set 'rollout.order=[{rolled[0]}]'"
        )
    rule = scenario.rule(rolled[0])
    assert rule is not None
    if rule.strategy not in {"rolling", "canary"}:
        raise Refused(f"{scenario.name} is no plan: strategy {rule.strategy} is not carried out")
    return rolled[0]


def _guards(rule: Rollout) -> PlanGuards | None:
    if rule.guards is None:
        return None
    return PlanGuards(
        error_fraction=rule.guards.error_fraction,
        latency_p99_s=rule.guards.latency_p99,
        over_s=rule.guards.over,
    )


def step_deadlines_s(scenario: Scenario) -> dict[Step, float]:
    """Return the deadline of each step: three times its p99.9, at least `SHORTEST_DEADLINE_S`.

    The deadline of `take_out` includes the drain or `pre_stop`, whichever is longer; that of `stop`
    includes the grace period. A drain with `on_timeout: wait` counts as three times the p99.9 of a
    request. Shared work counts as when all instances that may be under way have it at once, and the
    factors of uncertain inputs take their p99.9.
    """
    name = planned_service(scenario)
    service, rule = at_quantile(scenario, NORMAL_999).services[name], scenario.rule(name)
    assert rule is not None
    usual, shared_s = dict(service.steps.in_order()), dict(service.steps.shared.in_order())
    at_once = scenario.most_under_way(name)
    deadlines = {
        step: max(
            SHORTEST_DEADLINE_S,
            3 * (float(usual[step].quantile_s(0.999)) + at_once * shared_s[step]),
        )
        for step in STEPS
    }
    drain_s = rule.drain.timeout
    if rule.drain.on_timeout == "wait":
        drain_s = 3 * float(service.service_time.quantile_s(0.999))
    deadlines[Step.TAKE_OUT] += max(drain_s, rule.pre_stop)
    if rule.stop.mode == "graceful":
        deadlines[Step.STOP] += rule.stop.grace
    return deadlines


def resimulate(plan: Plan, execution: Execution = DEFAULT_EXECUTION) -> list[str]:
    """Simulate the embedded scenario again; return where the prediction differs, one line each.

    Figures agree when they differ by less than a billionth, because processors round `exp` and `log`
    in different ways.

    Raises:
        BadInput: This version cannot simulate the embedded scenario.
    """
    try:
        scenario = Scenario.model_validate(plan.scenario)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise BadInput(f"the embedded scenario is not one of this version: {first}") from None
    scenario = scenario.model_copy(update={"seed": plan.seed, "replications": plan.replications})
    for key, value, rule in broken_rules(scenario):
        raise BadInput(f"the embedded scenario: {broken_text(key, value, rule)}")
    cases = cases_of(scenario)
    result = compare(scenario, cases, list(run_rows(scenario, cases, execution)))
    return _differences(plan.prediction, result.candidates[0])


def _differences(prediction: Prediction, result: CandidateResult) -> list[str]:
    lines = []
    for name, predicted in prediction.metrics.items():
        now = result.metrics[name]
        for figure in type(predicted).model_fields:
            was, is_now = getattr(predicted, figure), getattr(now, figure)
            if not _is_close(was, is_now):
                lines.append(f"{name} {figure}: the plan says {was}, simulated {is_now}")
    ended = EndCounts(**result.ended)
    if prediction.ended != ended:
        lines.append(f"ended: the plan says {prediction.ended}, simulated {ended}")
    if prediction.verdict.answer != result.verdict.answer:
        lines.append(
            f"verdict: the plan says {prediction.verdict.answer}, simulated {result.verdict.answer}"
        )
    return lines


def _is_close(value: float | None, other: float | None) -> bool:
    if value is None or other is None:
        return value is other
    return abs(value - other) <= 1e-9 * max(1.0, abs(value), abs(other))
