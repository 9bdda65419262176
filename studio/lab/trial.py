"""One rollout on the loopback: fleet, load, the real executor, and the measurement.

The executor runs in this process, as in the command `execute`; everything else has processes of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from executor.base.errors import Refused
from executor.execute import EXIT_CODES, Execute, execute
from executor.fleet.connect import fleet_key
from executor.fleet.inventory import read_inventory
from executor.plan.file import write_plan
from executor.plan.model import Plan
from executor.progress import Ended
from executor.records.lock import lock_path
from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SETTLING_S
from studio.lab.fleet import LabFleet, fleet
from studio.lab.measure import LoadSample, flags_of, lag_p99_s, to_run_result
from studio.lab.traffic import schedule_for
from studio.lab.watch import Watch

WARM_UP_S = 3.0
"""Time that the load runs before the rollout starts, in seconds."""

_LEAD_S = 0.4
"""Time between writing the schedule and its first request, in which the load reads it, in seconds."""

_LONGEST_SETTLING_S = 60.0
_LOOKS_S = 0.05


@dataclass(frozen=True)
class TrialRecord:
    """The figures of one rollout on the loopback.

    Attributes:
        ended: The end state, in the executor's words.
        metrics: A figure for every name of `simulation.results.run_result.METRICS`.
        requests: The counts of arrived requests and their outcomes.
        lag_p99_s: The 99th percentile of the load generator's lag, in seconds.
        cpu_fraction: Used share of the processor's time.
        flags: Reasons to doubt the figures; empty for none.
    """

    ended: str
    metrics: dict[str, float | None]
    requests: dict[str, int]
    lag_p99_s: float
    cpu_fraction: float
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """One rollout on the loopback.

    Attributes:
        record: The figures.
        run: The whole result, in the form of a simulated run.
        timeline: The executor's timeline.
    """

    record: TrialRecord
    run: RunResult
    timeline: dict[str, Any]


def run_trial(
    plan: Plan,
    scenario: Scenario,
    number: int = 0,
    *,
    settling_s: float = SETTLING_S,
    say: Callable[[str], None] = lambda _: None,
    watched: Callable[[LabFleet], None] = lambda _: None,
    carry_out: Callable[[Execute, Callable[[str], None]], int] = execute,
    stopped: Callable[[], bool] = lambda: False,
) -> Trial:
    """Carry a plan out on a fleet of its own, under load.

    Args:
        plan: The plan.
        scenario: The scenario whose fleet and traffic are put up.
        number: The number of the run, from 0, which traffic and step durations are drawn for.
        settling_s: Time to measure on once the rollout has ended and the queue is back, in seconds.
        say: Called with each line of the executor.
        watched: Called with the fleet before the rollout starts.
        carry_out: The executor; returns its exit code.
        stopped: Returns True to give the trial up; called while the trial waits.

    Raises:
        Refused: The lab or the executor refuses the plan.
        BadInput: HAProxy is not installed.
        KeyboardInterrupt: The rollout was interrupted; everything has ended.
    """
    with fleet(scenario, number) as lab_fleet:
        zero_s = time.monotonic() + _LEAD_S
        until_s = _longest_s(plan)
        schedule = schedule_for(
            scenario,
            number,
            port=lab_fleet.port,
            zero_s=zero_s + WARM_UP_S,
            warm_up_s=WARM_UP_S,
            until_s=until_s,
        )
        lab_fleet.start_load(schedule)
        with Watch(lab_fleet.observe) as watch:
            watched(lab_fleet)
            _sleep_until(zero_s + WARM_UP_S, stopped)
            usual_count = max((sample.queued_count for sample in watch.samples), default=0)
            code, timeline = _executed(plan, lab_fleet, say, carry_out)
            if code == EXIT_CODES[Ended.INTERRUPTED]:
                raise KeyboardInterrupt
            settled_s = _settled_s(watch, usual_count, settling_s, stopped)
        sent = lab_fleet.end_load()
    began = datetime.fromisoformat(timeline["began_at"])
    load_sample = LoadSample(
        sent=sent,
        zero_s=schedule.zero_s,
        classes=schedule.classes,
        samples=watch.samples,
        timeline=timeline,
        began_s=began.timestamp() - time.time() + time.monotonic(),
        settled_s=settled_s,
        cpu_fraction=watch.cpu_fraction,
    )
    run = to_run_result(scenario, load_sample)
    record = TrialRecord(
        ended=str(timeline["ended"]),
        metrics=dict(run.metrics),
        requests=run.requests,
        lag_p99_s=lag_p99_s(sent),
        cpu_fraction=watch.cpu_fraction,
        flags=flags_of(load_sample),
    )
    return Trial(record, run, timeline)


def _longest_s(plan: Plan) -> float:
    """Return the length of the traffic, in seconds: twice the forecast rollout, its settling, and a reserve."""
    duration = plan.prediction.metrics["rollout_duration_s"]
    return 2 * (duration.run_high or duration.mean or 60.0) + _LONGEST_SETTLING_S + SETTLING_S


def _executed(
    plan: Plan,
    lab_fleet: LabFleet,
    say: Callable[[str], None],
    carry_out: Callable[[Execute, Callable[[str], None]], int],
) -> tuple[int, dict[str, Any]]:
    """Carry the plan out with the real executor; return its exit code and its timeline."""
    path = lab_fleet.folder / "plan.json"
    write_plan(path, plan)
    path.chmod(0o600)
    request = Execute(plan=path, inventory=lab_fleet.inventory)

    def say_what_lasts(line: str) -> None:
        if str(lab_fleet.folder) not in line:  # those files go with the fleet
            say(line)

    try:
        code = carry_out(request, say_what_lasts)
        if not request.timeline_path.is_file():
            raise Refused("the executor left no timeline")
        timeline: dict[str, Any] = json.loads(request.timeline_path.read_text(encoding="utf-8"))
    finally:  # of a fleet that is never seen again
        lock_path(fleet_key(read_inventory(lab_fleet.inventory))).unlink(missing_ok=True)
    return code, timeline


def _sleep_until(at_s: float, stopped: Callable[[], bool]) -> None:
    """Sleep until a moment of the monotonic clock.

    Raises:
        KeyboardInterrupt: `stopped` returned True.
    """
    while (left_s := at_s - time.monotonic()) > 0:
        if stopped():
            raise KeyboardInterrupt
        time.sleep(min(left_s, _LOOKS_S))


def _settled_s(watch: Watch, usual: int, settling_s: float, stopped: Callable[[], bool]) -> float:
    """Wait until the queue is as short as before, and then for `settling_s`; return the time."""
    until_s = time.monotonic() + _LONGEST_SETTLING_S
    looked_at_count = len(watch.samples)
    while time.monotonic() < until_s:
        if any(sample.queued_count <= usual for sample in watch.samples[looked_at_count:]):
            break
        looked_at_count = max(looked_at_count, len(watch.samples))
        _sleep_until(time.monotonic() + _LOOKS_S, stopped)  # a sample later
    settled_s = time.monotonic() + settling_s
    _sleep_until(settled_s, stopped)
    return settled_s
