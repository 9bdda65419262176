"""Measure how fast this machine is, so that a forecast is of this machine.

A `Calibration` holds the service time at low load, the time that a slot is held when all slots are, and
the durations of the executor's steps from thirty stop/start cycles or more. Its runs are its own: no
comparison uses them again.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from executor.base.errors import Refused
from executor.plan.model import STEPS, Step
from simulation.planning.make_plan import make_plan
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.rows import run_rows
from studio.lab.fleet import fleet
from studio.lab.limits import HIGHEST_RPS
from studio.lab.traffic import schedule_for
from studio.lab.trial import run_trial

SCHEMA = "rollcast.calibration/1"

CYCLES = 30
"""Least number of stop/start cycles."""

_LOW = 0.2
"""Low load, as a share of the fleet's capacity."""

_SATURATED = 1.3
"""Saturating load, as a share of the capacity of the small fleet that is saturated."""

_LOAD_S = 12.0
_LATE_S = 2.0
_FIRST_RUN = 500_000
"""The number of the first run of a calibration; no comparison has runs of such numbers."""


@dataclass(frozen=True)
class Calibration:
    """The measured figures of a service on this machine, in seconds.

    Attributes:
        service: The service.
        service_time_s: Mean time from slot to answer at low load, measured by the instance.
        way_s: Mean time of a request outside its service at low load.
        slot_time_s: Mean time that a request holds a slot when all slots are held.
        demand_s: Mean service time that the scenario asks for; the rest is overhead of this machine.
        poll_s: Real time between two polls of a drain by the executor.
        steps_s: Durations of each step but the drain, one for each cycle: from the step's begin to the
            begin of the next step, so that the executor's own time between two steps is included.
        drains_s: Duration of each take-out, with the wait for requests in flight.
        flags: Reasons to doubt the figures.
    """

    service: str
    service_time_s: float
    way_s: float
    slot_time_s: float
    demand_s: float
    poll_s: float
    steps_s: dict[str, tuple[float, ...]]
    drains_s: tuple[float, ...]
    flags: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as ``lab compare --json`` prints it, schema ``rollcast.calibration/1``."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Calibration:
        """Return the calibration that `to_json` wrote."""
        fields = {key: value for key, value in data.items() if key != "schema"}
        calibration: Calibration = TypeAdapter(cls).validate_python(fields)
        return calibration

    @property
    def slower_s(self) -> float:
        """Return the mean time that a slot is held beyond the demand, in seconds."""
        return max(0.0, self.slot_time_s - self.demand_s)


def calibrate(
    scenario: Scenario, cycles: int = CYCLES, say: Callable[[str], None] = lambda _: None
) -> Calibration:
    """Measure the service of a scenario on fleets of its own.

    Args:
        scenario: The scenario.
        cycles: Least number of stop/start cycles.
        say: Called with a line about each measurement.

    Raises:
        Refused: A rollout for the calibration was not done.
    """
    say("calibrating: service time at low load")
    service_s, way_s = _at_low_load(scenario)
    say("calibrating: slot time when saturated")
    slot_s = _slot_time_s(scenario)
    say(f"calibrating: {cycles} stop/start cycles")
    timelines, flags = _cycles(scenario, cycles)
    drains = _drains_s(timelines)
    poll_s = min(drains) / 2
    return Calibration(
        service=scenario.service_name,
        service_time_s=service_s,
        way_s=way_s,
        slot_time_s=slot_s,
        demand_s=scenario.work_s(scenario.service_name),
        poll_s=poll_s,
        steps_s=steps_of(timelines),
        drains_s=drains,
        flags=flags,
    )


def with_calibration(scenario: Scenario, calibration: Calibration) -> Scenario:
    """Return the scenario with the measured figures of this machine, and without objectives.

    The service time grows by the measured overhead of a slot, steps are drawn from the measured durations, and
    drains are polled at the measured interval. The measured return includes the wait for a fresh health check,
    so the model has no health checks.
    """
    data = scenario.as_data()
    service = data["services"][scenario.service_name]
    shift = {"by": f"{calibration.slower_s!r}s"}
    service["service_time"] = {"shifted": {**shift, "of": service["service_time"]}}
    for traffic_class in data["traffic"].get("classes", {}).values():
        for name, own in traffic_class.get("service_time", {}).items():
            traffic_class["service_time"][name] = {"shifted": {**shift, "of": own}}
    service["steps"] = {
        step: {"empirical": [f"{value!r}s" for value in values]}
        for step, values in calibration.steps_s.items()
    } | {"correlation": scenario.service.steps.correlation}
    service["balancer"]["health_check"] = "none"
    data["rollout"]["drain"]["poll"] = f"{calibration.poll_s!r}s"
    data.pop("objectives", None)
    return Scenario.model_validate(data)


def figures_of(timelines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the step durations of rollouts in the form of a calibration.

    Figures that only a fleet under the lab's own load can give are null.
    """
    return {
        "schema": SCHEMA,
        "service": timelines[0]["service"],
        "service_time_s": None,
        "way_s": None,
        "slot_time_s": None,
        "demand_s": None,
        "poll_s": None,
        "steps_s": steps_of(timelines),
        "drains_s": _drains_s(timelines),
        "flags": [],
    }


def steps_of(timelines: Sequence[dict[str, Any]]) -> dict[str, tuple[float, ...]]:
    """Return the durations of the steps after the drain, from begin to begin, in seconds; the return to its own end.

    The median time from a return to the take-out of the instance that waited for the place is added to the
    returns; a median, since the last return of a rollout has no such instance.
    """
    durations_s: dict[str, list[float]] = {
        step.value: [] for step in STEPS if step is not Step.TAKE_OUT
    }
    gaps: list[float] = []
    for timeline in timelines:
        done_steps = [
            step_record for step_record in timeline["steps"] if step_record["outcome"] == "done"
        ]
        for name in timeline["instances"]:
            own = [step_record for step_record in done_steps if step_record["instance"] == name]
            for step_record, after in itertools.pairwise(own):
                if step_record["step"] in durations_s and step_record["step"] != Step.RETURN:
                    durations_s[step_record["step"]].append(
                        after["begin_s"] - step_record["begin_s"]
                    )
            durations_s[Step.RETURN] += [
                step_record["end_s"] - step_record["begin_s"]
                for step_record in own
                if step_record["step"] == Step.RETURN
            ]
        begins = [
            step_record["begin_s"]
            for step_record in done_steps
            if step_record["step"] == Step.TAKE_OUT
        ]
        ends = sorted(
            step_record["end_s"] for step_record in done_steps if step_record["step"] == Step.RETURN
        )
        waited = sorted(begins)[timeline["window"] :]
        gaps += [begin - end for begin, end in zip(waited, ends, strict=False) if begin >= end]
    gap_s = statistics.median(gaps) if gaps else 0.0
    durations_s[Step.RETURN] = [value + gap_s for value in durations_s[Step.RETURN]]
    return {step: tuple(values) for step, values in durations_s.items()}


def _drains_s(timelines: Sequence[dict[str, Any]]) -> tuple[float, ...]:
    """Return the duration of each take-out, up to the begin of the stop, in seconds."""
    durations_s = []
    for timeline in timelines:
        for name in timeline["instances"]:
            own = [
                step_record for step_record in timeline["steps"] if step_record["instance"] == name
            ]
            for step_record, after in itertools.pairwise(own):
                if step_record["step"] == Step.TAKE_OUT and step_record["outcome"] == "done":
                    durations_s.append(after["begin_s"] - step_record["begin_s"])
    return tuple(durations_s)


def _with(scenario: Scenario, **service: Any) -> Scenario:
    """Return the scenario with these keys of its service, and without weights."""
    data = scenario.as_data()
    name = scenario.service_name
    data["services"][name].update(service)
    data["services"][name]["balancer"].pop("weights", None)
    return Scenario.model_validate(data)


def _at_rate(scenario: Scenario, rate_rps: float) -> Scenario:
    data = scenario.as_data()
    data["traffic"].update(rate=f"{rate_rps!r}/s", arrivals="poisson")
    data.pop("clock", None)
    return Scenario.model_validate(data)


def _capacity_rps(scenario: Scenario) -> float:
    return sum(scenario.service.power()) / scenario.work_s(scenario.service_name)


def _sent(scenario: Scenario, number: int) -> list[Any]:
    """Send the scenario's traffic for `_LOAD_S` without a rollout; return every request with its outcome."""
    with fleet(scenario, number) as up:
        zero_s = time.monotonic() + 0.5
        up.start_load(
            schedule_for(
                scenario, number, port=up.port, zero_s=zero_s, warm_up_s=0.0, until_s=_LOAD_S
            )
        )
        time.sleep(0.5 + _LOAD_S)
        return up.end_load()


def _at_low_load(scenario: Scenario) -> tuple[float, float]:
    """Return the mean service time at the scenario's mean demand, and the mean time outside service, in seconds."""
    low = _at_rate(scenario, min(HIGHEST_RPS, _LOW * _capacity_rps(scenario)))
    sent = _sent(low, _FIRST_RUN)
    schedule = schedule_for(low, _FIRST_RUN, port=0, zero_s=0.0, warm_up_s=0.0, until_s=_LOAD_S)
    answered = [
        request for request in sent if request.outcome == "ok" and request.arrival_s > _LATE_S
    ]
    if not answered:
        raise Refused("calibration: no request was answered at low load")
    service_s = statistics.fmean(request.ended_s - request.begun_s for request in answered)
    whole_s = statistics.fmean(request.finish_s - request.arrival_s for request in answered)
    demand_s = statistics.fmean(schedule.demands_s[request.number] for request in answered)
    as_asked_s = service_s - demand_s + scenario.work_s(scenario.service_name)
    return as_asked_s, whole_s - service_s


def _slot_time_s(scenario: Scenario) -> float:
    """Return the time that a request holds a slot when no slot is ever free: slots × time / answers.

    As many instances are put up as the lab can saturate. The time is corrected for the mean demand of this
    sample, so that it can be compared with the scenario's mean.
    """
    each_rps = _capacity_rps(scenario) / scenario.service.instance_count
    count = max(1, min(scenario.service.instance_count, int(HIGHEST_RPS / _SATURATED / each_rps)))
    small = _with(scenario, instances=count)
    rate_rps = min(HIGHEST_RPS, _SATURATED * _capacity_rps(small))
    full = _at_rate(small, rate_rps)
    sent = _sent(full, _FIRST_RUN + 1)
    schedule = schedule_for(
        full, _FIRST_RUN + 1, port=0, zero_s=0.0, warm_up_s=0.0, until_s=_LOAD_S
    )
    answered = [
        request
        for request in sent
        if request.ended_s is not None
        and _LATE_S < request.ended_s <= _LOAD_S
        and request.outcome == "ok"
    ]
    slots = sum(small.service.slots_of())
    if len(answered) < 10 * slots:
        raise Refused("calibration: too few requests were answered under a saturating load")
    held_s = slots * (_LOAD_S - _LATE_S) / len(answered)
    asked_s = statistics.fmean(schedule.demands_s[request.number] for request in answered)
    return held_s - asked_s + scenario.work_s(scenario.service_name)


def _cycles(scenario: Scenario, cycles: int) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return the timelines and flags of rollouts with at least `cycles` stop/start cycles in all.

    They run at the scenario's own rate, because steps too are slower on a busy machine, and with a window that
    leaves enough capacity for it.
    """
    data = scenario.as_data()
    data.pop("objectives", None)
    data["rollout"].update(pause="0s", min_ready="0s", guards="none", strategy="rolling")
    data["rollout"].update(window=1, advance="sliding", drain={"timeout": "30s"}, stop={})
    calm = Scenario.model_validate(data)
    cases = cases_of(calm, [_roomy_window(calm)])
    calm = cases[0].scenario
    result = compare(calm, cases, list(run_rows(calm, cases))).candidates[0]
    plan = make_plan(calm, result)
    timelines, flags = [], []
    for number in range(math.ceil(cycles / scenario.service.instance_count)):
        trial = run_trial(plan, calm, _FIRST_RUN + 2 + number, settling_s=0.0)
        record = trial.record
        if record.ended != "done":
            raise Refused(
                f"calibration: a rollout ended {record.ended}: {trial.timeline['reason']}"
            )
        timelines.append(trial.timeline)
        flags += [f"calibration: {flag}" for flag in record.flags]
    return timelines, tuple(dict.fromkeys(flags))


def _roomy_window(scenario: Scenario) -> int:
    """Return the widest window, up to a third of the fleet, that leaves the rest at most 80 % busy."""
    service = scenario.service
    busy = float(scenario.rates().rate_at(scenario.start_s())) * scenario.work_s(
        scenario.service_name
    )
    power = sorted(service.power())
    widths = range(max(1, service.instance_count // 3), 1, -1)
    return next((width for width in widths if busy <= 0.8 * sum(power[:-width])), 1)
