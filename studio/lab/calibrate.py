"""Measuring a fleet's own figures, so that a forecast is of this machine and not of a scenario.

Enters: a scenario. Leaves: a `Calibration`: how long service takes at low load and how long a slot
is held when all are, and how long the executor's steps take, from thirty stop/start cycles or more.
It is measured in runs of its own, which no comparison uses again; written as JSON, any scenario of
the same service can be made better by it.
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
"""So many stop/start cycles at least."""

_LOW = 0.2
"""Low load, as a share of what the fleet can serve."""

_SATURATED = 1.3
"""Saturating load, as a share of what the small fleet for it can serve."""

_LOAD_S = 12.0
_LATE_S = 2.0
_FIRST_RUN = 500_000
"""The numbers of these runs: none is one of a comparison's."""


@dataclass(frozen=True)
class Calibration:
    """What was measured.

    Attributes:
        service: Of which service.
        service_time_s: The mean from slot to answer at low load, as the instance tells it.
        way_s: The mean of what a request takes beside its service at low load.
        slot_time_s: The mean time that a slot is held by one request when all are held.
        demand_s: The mean that the scenario's requests ask for; what is above it is this machine's.
        poll_s: The time between two looks of the executor at a drain, as it really is.
        steps_s: For each step but the drain its durations, one a cycle: from its begin to the
            begin of the next, so that what the executor does between two is in them.
        drains_s: How long each take-out lasted, waiting for requests in flight included.
        flags: What speaks against it.
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
        """What ``lab compare --json`` says of it, schema ``rollcast.calibration/1``."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Calibration:
        """What was written by `to_json`."""
        said = {key: value for key, value in data.items() if key != "schema"}
        found: Calibration = TypeAdapter(cls).validate_python(said)
        return found

    @property
    def slower_s(self) -> float:
        """What a slot is held beyond the demand."""
        return max(0.0, self.slot_time_s - self.demand_s)


def calibrate(
    scenario: Scenario, cycles: int = CYCLES, say: Callable[[str], None] = lambda _: None
) -> Calibration:
    """Measures on fleets of their own.

    Args:
        scenario: Whose service it is.
        cycles: How many stop/start cycles at least.
        say: Is told what is measured.

    Raises:
        Refused: A rollout for it did not end well.
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


def with_calibration(scenario: Scenario, found: Calibration) -> Scenario:
    """The scenario as it is on this machine; without objectives, which a comparison does not judge.

    Service takes longer by what a slot is held beyond the demand; steps are drawn from those
    measured; drains are polled as they really are. The balancer's checks are in the measured return,
    as it waits for a fresh one, so the model need not wait for them again.
    """
    data = scenario.as_data()
    service = data["services"][scenario.service_name]
    by = {"by": f"{found.slower_s!r}s"}
    service["service_time"] = {"shifted": {**by, "of": service["service_time"]}}
    for one in data["traffic"].get("classes", {}).values():
        for name, own in one.get("service_time", {}).items():
            one["service_time"][name] = {"shifted": {**by, "of": own}}
    service["steps"] = {
        step: {"empirical": [f"{value!r}s" for value in values]}
        for step, values in found.steps_s.items()
    }
    service["balancer"]["health_check"] = "none"
    data["rollout"]["drain"]["poll"] = f"{found.poll_s!r}s"
    data.pop("objectives", None)
    return Scenario.model_validate(data)


def figures_of(timelines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What rollouts anywhere tell of their steps, in the form of a calibration.

    What only a fleet under a load of one's own can tell is null.
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
    """Durations of the steps after the drain, from begin to begin; the last to its own end.

    Then the time to the next instance's take-out, where one waited for this place, is added to it:
    its median, since the last in a rollout has none.
    """
    found: dict[str, list[float]] = {step.value: [] for step in STEPS if step is not Step.TAKE_OUT}
    gaps: list[float] = []
    for timeline in timelines:
        taken = [one for one in timeline["steps"] if one["outcome"] == "done"]
        for name in timeline["instances"]:
            own = [one for one in taken if one["instance"] == name]
            for one, after in itertools.pairwise(own):
                if one["step"] in found and one["step"] != Step.RETURN:
                    found[one["step"]].append(after["begin_s"] - one["begin_s"])
            found[Step.RETURN] += [
                one["end_s"] - one["begin_s"] for one in own if one["step"] == Step.RETURN
            ]
        begins = [one["begin_s"] for one in taken if one["step"] == Step.TAKE_OUT]
        ends = sorted(one["end_s"] for one in taken if one["step"] == Step.RETURN)
        waited = sorted(begins)[timeline["window"] :]
        gaps += [begin - end for begin, end in zip(waited, ends, strict=False) if begin >= end]
    gap_s = statistics.median(gaps) if gaps else 0.0
    found[Step.RETURN] = [value + gap_s for value in found[Step.RETURN]]
    return {step: tuple(values) for step, values in found.items()}


def _drains_s(timelines: Sequence[dict[str, Any]]) -> tuple[float, ...]:
    """How long each take-out lasted, up to the begin of the stop."""
    found = []
    for timeline in timelines:
        for name in timeline["instances"]:
            own = [one for one in timeline["steps"] if one["instance"] == name]
            for one, after in itertools.pairwise(own):
                if one["step"] == Step.TAKE_OUT and one["outcome"] == "done":
                    found.append(after["begin_s"] - one["begin_s"])
    return tuple(found)


def _with(scenario: Scenario, **service: Any) -> Scenario:
    """The scenario without a rollout, at a constant rate, with these keys of its service."""
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
    """What became of the requests of some seconds, without a rollout."""
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
    """Means of service, at the scenario's mean demand, and of the way around it."""
    low = _at_rate(scenario, min(HIGHEST_RPS, _LOW * _capacity_rps(scenario)))
    sent = _sent(low, _FIRST_RUN)
    schedule = schedule_for(low, _FIRST_RUN, port=0, zero_s=0.0, warm_up_s=0.0, until_s=_LOAD_S)
    told = [one for one in sent if one.outcome == "ok" and one.arrival_s > _LATE_S]
    if not told:
        raise Refused("calibration: no request was answered at low load")
    service_s = statistics.fmean(one.ended_s - one.begun_s for one in told)
    whole_s = statistics.fmean(one.finish_s - one.arrival_s for one in told)
    demand_s = statistics.fmean(schedule.demands_s[one.number] for one in told)
    as_asked_s = service_s - demand_s + scenario.work_s(scenario.service_name)
    return as_asked_s, whole_s - service_s


def _slot_time_s(scenario: Scenario) -> float:
    """How long a slot is held by one request when none is ever free: slots × time / answers.

    On as many instances as can be saturated within what the lab may send. Corrected to the demand
    that this sample asked for, so that it is comparable with the scenario's mean.
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
    told = [
        one
        for one in sent
        if one.ended_s is not None and _LATE_S < one.ended_s <= _LOAD_S and one.outcome == "ok"
    ]
    slots = sum(small.service.slots_of())
    if len(told) < 10 * slots:
        raise Refused("calibration: too few requests were answered under a saturating load")
    held_s = slots * (_LOAD_S - _LATE_S) / len(told)
    asked_s = statistics.fmean(schedule.demands_s[one.number] for one in told)
    return held_s - asked_s + scenario.work_s(scenario.service_name)


def _cycles(scenario: Scenario, cycles: int) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Timelines of rollouts with so many cycles in all.

    At the scenario's own rate, since a busy machine is slower at its steps too, and with a window
    that leaves room enough for it.
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
    """The widest up to a third of the fleet that leaves what is left at most 80 % busy."""
    service = scenario.service
    busy = float(scenario.rates().rate_at(scenario.start_s())) * scenario.work_s(
        scenario.service_name
    )
    power = sorted(service.power())
    widths = range(max(1, service.instance_count // 3), 1, -1)
    return next((width for width in widths if busy <= 0.8 * sum(power[:-width])), 1)
