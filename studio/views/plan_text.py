"""A plan in plain words, part by part, and the command line that makes the plan."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from executor.plan.model import STEPS, Plan, Wave
from simulation.scenario.model import Scenario
from studio.views.figures_text import drain_text, instances_text, latency_text, percent_text
from studio.views.graph import gate_words

MOST_WAVES = 8
"""Maximum number of waves that are described one by one."""

_ON_TIMEOUT = {
    "cut": "what is left then is cut",
    "wait": "however long it takes",
    "abort": "if any are left then, the step fails",
}
_ON_FAILURE = {
    "halt": "nothing more begins",
    "budget": "it keeps its place, and the others go on until no place is left",
    "continue": "the rollout goes on",
    "rollback": "everything goes back to the old version",
}


def waves_in_words(plan: Plan) -> list[str]:
    """Return the order of the rollout: a line for each wave and a line for each gate."""
    lines: list[str] = []
    for number, wave in enumerate(plan.waves[:MOST_WAVES], start=1):
        lines.append(_wave(plan, number, wave))
        if wave.gate is not None:
            lines.append(gate_words(number, wave.gate))
    more = len(plan.waves) - MOST_WAVES
    if more > 0:
        rest = sum(len(wave.instances) for wave in plan.waves[MOST_WAVES:])
        lines.append(f"… and {more} more waves of {instances_text(rest)}")
    return lines


def _wave(plan: Plan, number: int, wave: Wave) -> str:
    names = wave.instances
    named = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    head = f"Wave {number}: " if len(plan.waves) > 1 else ""
    if len(names) == 1:
        return f"{head}{named}" if head else f"One instance: {named}"
    if wave.parallel >= len(names):
        return f"{head}{instances_text(len(names))} at once, {named}"
    each = "one at a time" if wave.parallel == 1 else f"{wave.parallel} at once"
    then = f", {drain_text(plan.pause_s)} between two" if plan.pause_s > 0 else ""
    return f"{head}{instances_text(len(names))}, {named}: {each}, the next as soon as one is done{then}"


def tool_name(plan: Plan) -> str:
    """Return the name of the tool that carries the plan out."""
    return {"rollcast": "Rollcast", "kubernetes": "Kubernetes", "argo-rollouts": "Argo Rollouts"}[
        plan.carried_out_by
    ]


def carrier_in_words(plan: Plan) -> str:
    """Return which tool carries the plan out, and how it replaces instances."""
    name = tool_name(plan)
    if plan.replacement == "in_place":
        return f"{name} carries it out: one pod at a time"
    surge = (
        f"{plan.surge} more than the fleet at most" if plan.surge else "none more than the fleet"
    )
    return f"{name} carries it out: new ones start beside the old ones, {surge} not counting those that end"


def rules_in_words(plan: Plan) -> list[str]:
    """Return the rules of the whole rollout: the drain, the stop, the pool, guards and failures."""
    drain, stop = plan.drain, plan.stop
    until = "" if drain.on_timeout == "wait" else f" for {drain_text(drain.timeout_s)} at most"
    lines = [
        f"In the pool at least {plan.min_in_pool} of {len(plan.instances)}"
        if plan.min_in_pool
        else "How few stay in the pool is left to the window",
        f"Requests in flight end{until}, {_ON_TIMEOUT[drain.on_timeout]}",
    ]
    if not plan.is_by_rollcast:
        lines.insert(0, carrier_in_words(plan))
    if stop.pre_stop_s > 0:
        lines.append(f"It stops {drain_text(stop.pre_stop_s)} after its take-out at the earliest")
    if plan.min_ready_s > 0:
        lines.append(
            f"It must be ready for {drain_text(plan.min_ready_s)} before it counts as done"
        )
    lines.append(f"Deadlines: {_deadlines(plan)}")
    if plan.progress_deadline_s is not None:
        lines.append(
            f"It halts when no instance becomes available for {drain_text(plan.progress_deadline_s)}"
        )
    retries = "no retry" if plan.retries == 0 else f"after {plan.retries} retries"
    may = f" while at most {plan.max_failures} fail" if plan.on_failure == "continue" else ""
    lines.append(f"When a step fails, {retries}: {_ON_FAILURE[plan.on_failure]}{may}")
    return [*lines, *guards_in_words(plan)]


def guards_in_words(plan: Plan) -> list[str]:
    """Return the limits on what is observed, beyond which the rollout halts."""
    lines = []
    if plan.guards is not None:
        limits = _limits(plan.guards.error_fraction, plan.guards.latency_p99_s)
        lines.append(f"Guard: {limits} over {drain_text(plan.guards.over_s)}")
    high = plan.prediction.metrics.get("queue_max")
    if high is not None and high.run_high is not None:
        lines.append(
            f"It halts when it leaves its forecast: a queue above {2 * high.run_high + 10:g} "
            "requests, or clearly more errors"
        )
    return lines


def _limits(error_fraction: float | None, latency_s: float | None) -> str:
    limits = []
    if error_fraction is not None:
        limits.append(f"errors at most {percent_text(error_fraction)}")
    if latency_s is not None:
        limits.append(f"p99 at most {latency_text(latency_s)}")
    return " and ".join(limits) or "nothing is limited"


def steps_in_words(plan: Plan) -> list[str]:
    """Return every step with its deadline, and the order of the instances: all that needs no fleet."""
    lines = [f"Each instance at most: {_deadlines(plan)}"]
    for number, wave in enumerate(plan.waves, start=1):
        count, names = instances_text(len(wave.instances)), ", ".join(wave.instances)
        lines.append(f"wave {number}: {count}, {wave.parallel} at once: {names}")
        if wave.gate is not None:
            lines.append(gate_words(number, wave.gate))
    return lines


def _deadlines(plan: Plan) -> str:
    """Return the steps in their order, each with its deadline in seconds."""
    return ", ".join(
        f"{step.replace('_', ' ')} {drain_text(round(plan.step_deadlines_s[step], 1))}"
        for step in STEPS
        if step in plan.step_deadlines_s
    )


def plan_command(file: str, said: Scenario, planned: Scenario, output: str) -> str | None:
    """Return the command that makes the same plan; None when options cannot express it.

    Args:
        file: The scenario's file.
        said: The scenario in the file.
        planned: The scenario that was planned.
        output: The file of the plan.
    """
    options = plan_options(said, planned)
    if options is None:
        return None
    return shlex.join(["rollcast", "plan", file, *options, "-o", output])


def plan_options(said: Scenario, planned: Scenario) -> list[str] | None:
    """Return the options of ``rollcast plan`` that make one scenario of another: ``--set …``, ``--window N``.

    None when options cannot express the difference.

    Args:
        said: The scenario in the file.
        planned: The scenario that is planned.
    """
    words: list[str] = []
    before, after = (dict(_flat(one.as_data())) for one in (said, planned))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key) or key in ("name", "question", "rollout.window"):
            continue
        if key not in after:
            return None
        words += ["--set", f"{key}={_value(after[key])}"]
    return [*words, "--window", str(planned.window_count())]


def _flat(data: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with its key path; a list is one value."""
    if not isinstance(data, dict):
        yield above, data
        return
    for key, value in data.items():
        yield from _flat(value, f"{above}.{key}" if above else str(key))


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
