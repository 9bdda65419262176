"""Check the rules across a plan's fields: a plan that breaks one would stall, break or mislead.

Each check is a pair: what it promises, in plain words, and the problems that break it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime

from executor.base.canonical_json import digest_of
from executor.base.errors import Refused
from executor.plan.model import STEPS, Plan, Step, Wave
from executor.plan.waves import waves_for


def broken_rules(plan: Plan, now: datetime | None = None) -> list[str]:
    """Return the problems of all checks, each as the value and the rule.

    Args:
        plan: A plan that fits its schema.
        now: The present time, with a time zone; without it the plan's validity is not checked.
    """
    return [problem for _, problems in checks(plan, now) for problem in problems]


def checks(plan: Plan, now: datetime | None = None) -> list[tuple[str, list[str]]]:
    """Return every check of a plan, with the problems that break it.

    Args:
        plan: A plan that fits its schema.
        now: The present time, with a time zone; without it the plan's validity is not checked.
    """
    results = [(promise, list(problems_of(plan))) for promise, problems_of in _RULES]
    if now is not None:
        until = f"{plan.valid_until():%Y-%m-%d %H:%M %Z}"
        late = [f"validity ({until}) must not have run out"] if now > plan.valid_until() else []
        results.append((f"it may be carried out until {until}", late))
    return results


def refuse_other_tools(plan: Plan) -> None:
    """Refuse a plan that Rollcast's own executor does not carry out.

    Raises:
        Refused: Another tool carries it out; the message names the tool and the export.
    """
    if not plan.is_by_rollcast:
        raise Refused(
            f"{plan.name} is carried out by {plan.carried_out_by}, not by Rollcast's executor: "
            f"rollcast export PLAN --to {plan.carried_out_by}"
        )


def _window_fits(plan: Plan) -> Iterator[str]:
    fleet, least = len(plan.instances), plan.min_in_pool
    if plan.replacement == "beside":
        if fleet - plan.least_available + plan.surge < 1:
            yield (
                f"minimum in the pool ({least}) must be below the fleet ({fleet}) where nothing "
                "surges, or no instance could ever be replaced"
            )
        return
    if fleet <= least:
        yield (
            f"minimum in the pool ({least}) must be below the fleet ({fleet}), "
            "or no instance could ever be taken out"
        )
    elif plan.window > fleet - least:
        yield (
            f"window ({plan.window}) must not exceed the fleet ({fleet}) less the minimum in the "
            f"pool ({least})"
        )


def _broken_carrier(plan: Plan) -> Iterator[str]:
    if plan.is_by_rollcast and plan.replacement == "beside":
        yield (
            "carried out by (rollcast) must be a tool where replacement is beside: Rollcast's own "
            "executor replaces each instance in its place"
        )
    if plan.is_by_rollcast and plan.on_failure == "budget":
        yield (
            "on failure (budget) must be halt, continue or rollback: Rollcast's own executor halts "
            "at a failed instance, or goes on without its place"
        )
    if plan.is_by_rollcast and plan.progress_deadline_s is not None:
        yield (
            f"progress deadline ({plan.progress_deadline_s:g} s) must be none: Rollcast's own executor "
            "has a deadline for each step"
        )
    if plan.replacement == "in_place" and plan.surge > 0:
        yield f"surge ({plan.surge}) must be 0 where replacement is in_place"
    if plan.replacement == "beside" and plan.advance == "batch":
        yield "advance (batch) must be sliding where replacement is beside"
    kind = None if plan.workload is None else plan.workload.kind
    if kind == "StatefulSet" and plan.window > 1:
        yield f"window ({plan.window}) must be 1: a StatefulSet replaces one pod at a time"


def _names_differ(plan: Plan) -> Iterator[str]:
    for name, count in Counter(plan.instances).items():
        if count > 1:
            yield f"instance {name} ({count} times) must be named once"


def _waves_fit(plan: Plan) -> Iterator[str]:
    rolled = tuple(name for wave in plan.waves for name in wave.instances)
    if rolled != plan.instances:
        yield f"waves (of {len(rolled)}) must hold every instance of the fleet once, in its order"
        return
    wide = [
        f"parallel ({wave.parallel}) of wave {number} must not exceed the window ({plan.window})"
        for number, wave in enumerate(plan.waves, start=1)
        if wave.parallel > plan.window
    ]
    yield from wide
    baked = [k for k, wave in enumerate(plan.waves, start=1) if _is_baked(wave)]
    if plan.strategy == "canary" and not baked:
        yield f"waves ({len(plan.waves)}) of a canary must have a bake between them"
    if plan.strategy == "rolling" and baked:
        yield f"wave {baked[0]} must have no bake where the strategy is rolling"
    rest = plan.waves[baked[-1] :] if baked else plan.waves
    left = tuple(name for wave in rest for name in wave.instances)
    if not wide and left and rest != waves_for(left, plan.window, plan.advance, plan.pause_s):
        yield (
            f"waves ({len(plan.waves)}) must be those of window {plan.window}, "
            f"advance {plan.advance} and pause {plan.pause_s:g} s"
        )


def _is_baked(wave: Wave) -> bool:
    return wave.gate is not None and wave.gate.kind == "bake"


def _stops_in_time(plan: Plan) -> Iterator[str]:
    lag_s, stop = plan.propagation_delay_s, plan.stop
    if lag_s > 0 and stop.pre_stop_s <= lag_s:
        yield (
            f"pre-stop ({stop.pre_stop_s:g} s) must be longer than the balancer's propagation "
            f"delay ({lag_s:g} s), else it sends to instances that have stopped"
        )
    if stop.mode == "graceful" and 0 < stop.grace_s <= stop.pre_stop_s:
        yield (
            f"grace period ({stop.grace_s:g} s) must be longer than pre-stop "
            f"({stop.pre_stop_s:g} s), which it includes"
        )


def _deadlines_fit(plan: Plan) -> Iterator[str]:
    for step in STEPS:
        deadline_s = plan.step_deadlines_s.get(step)
        if deadline_s is None:
            yield f"step {step} must have a deadline"
        elif deadline_s <= 0:
            yield f"deadline of step {step} ({deadline_s:g} s) must be above 0"
    take_out_s = plan.step_deadlines_s.get(Step.TAKE_OUT, 0.0)
    if plan.drain.on_timeout != "wait" and 0 < take_out_s < plan.drain.timeout_s:
        yield (
            f"drain timeout ({plan.drain.timeout_s:g} s) must not exceed the deadline of step "
            f"{Step.TAKE_OUT} ({take_out_s:g} s)"
        )


def _scenario_is_the_one(plan: Plan) -> Iterator[str]:
    if plan.scenario_digest != digest_of(plan.scenario):
        yield (
            f"scenario digest ({plan.scenario_digest[:12]}…) must be that of the embedded scenario "
            f"({digest_of(plan.scenario)[:12]}…)"
        )


def _objectives_hold(plan: Plan) -> Iterator[str]:
    verdict = plan.prediction.verdict
    if verdict.answer == "misses_anyway":
        missed = verdict.missed_anyway()
        if not missed:
            yield "verdict (misses_anyway) must name an objective that is missed"
        for key in missed:
            if key not in plan.accepted_missing:
                yield f"objective {key} is missed even without a rollout, it must be in accepted_missing"
    elif verdict.answer != "meets":
        yield f"verdict ({verdict.answer}) must be meets"
    objectives = plan.scenario.get("objectives", {})
    asked = objectives.get("in_runs", 0.95) if isinstance(objectives, dict) else objectives
    if not isinstance(asked, float) or not 0 < asked < 1:
        yield f"share of runs asked for ({asked}) must be a fraction between 0 and 1"
    elif verdict.lower_bound < asked:
        yield f"lower bound ({verdict.lower_bound:.4f}) must reach the share asked for ({asked:g})"


def _runs_add_up(plan: Plan) -> Iterator[str]:
    verdict, ended = plan.prediction.verdict, plan.prediction.ended
    if verdict.runs != plan.replications:
        yield f"runs judged ({verdict.runs}) must be the replications ({plan.replications})"
    if ended.total() != plan.replications:
        yield f"runs ended ({ended.total()}) must be the replications ({plan.replications})"
    if verdict.runs_meeting > verdict.runs:
        yield f"runs meeting ({verdict.runs_meeting}) must not exceed the runs ({verdict.runs})"


def _was_confirmed(plan: Plan) -> Iterator[str]:
    if plan.evidence is None:
        return
    last, verdict = plan.evidence.confirmations[-1], plan.prediction.verdict
    if not last.held:
        yield f"confirmation on seed {last.seed} must have held"
    for word, confirmed, predicted in (
        ("seed", last.seed, plan.seed),
        ("runs", last.runs, verdict.runs),
        ("runs meeting", last.runs_meeting, verdict.runs_meeting),
    ):
        if confirmed != predicted:
            yield f"{word} confirmed ({confirmed}) must be the prediction's ({predicted})"


def _figures_are_in_order(plan: Plan) -> Iterator[str]:
    for name, figure in plan.prediction.metrics.items():
        for below, above in (("low", "mean"), ("mean", "high"), ("run_low", "run_high")):
            small, large = getattr(figure, below), getattr(figure, above)
            if small is not None and large is not None and small > large:
                yield f"{name}: {below} ({small:g}) must not exceed {above} ({large:g})"


OBJECTIVES_HOLD = (
    "the objectives hold with the stated confidence, or it is accepted that they are missed anyway"
)
RUNS_ADD_UP = "the prediction is of all the runs that were made"
IS_CONFIRMED = "the prediction is what a search confirmed, where there was one"

PREDICTION_CHECKS = frozenset((OBJECTIVES_HOLD, RUNS_ADD_UP, IS_CONFIRMED))
"""The checks of a plan's prediction; they do not apply to a plan that was not simulated."""


def _traffic_ascends(plan: Plan) -> Iterator[str]:
    traffic = plan.traffic
    if traffic is not None and not traffic.low_rps <= traffic.high_rps <= traffic.highest_rps:
        yield (
            f"traffic ({traffic.low_rps:g}, {traffic.high_rps:g}, {traffic.highest_rps:g} requests/s) "
            "must ascend from low_rps to highest_rps"
        )


_RULES: tuple[tuple[str, Callable[[Plan], Iterator[str]]], ...] = (
    ("the window fits the fleet and its minimum in the pool", _window_fits),
    ("what carries it out can replace instances so", _broken_carrier),
    ("every instance has a name of its own", _names_differ),
    ("the waves hold the whole fleet, once, as window and advance say", _waves_fit),
    ("the balancer learns of a take-out before the stop, and the stop has time", _stops_in_time),
    ("every step has a deadline, and the drain fits into its own", _deadlines_fit),
    ("the embedded scenario is the one that was simulated", _scenario_is_the_one),
    (OBJECTIVES_HOLD, _objectives_hold),
    (RUNS_ADD_UP, _runs_add_up),
    (IS_CONFIRMED, _was_confirmed),
    ("the predicted figures are in order", _figures_are_in_order),
    ("the range of its traffic is in order", _traffic_ascends),
)
