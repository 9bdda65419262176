"""One rollout on the loopback: fleet, load, the real executor, and what was measured.

Enters: a plan and the scenario whose fleet and traffic are put up. Leaves: a `Trial`. The executor
runs in this process, as the command `execute` does; everything else has processes of its own.
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
"""The load runs so long before the rollout starts."""

_LEAD_S = 0.4
"""Between the schedule's writing and its first request: the load reads it meanwhile."""

_LONGEST_SETTLING_S = 60.0
_LOOKS_S = 0.05


@dataclass(frozen=True)
class TrialRecord:
    """What one rollout on the loopback came to, in figures.

    Attributes:
        ended: How it ended, in the executor's words.
        metrics: Every name of `simulation.results.run_result.METRICS`.
        requests: How many arrived, and what became of them.
        lag_p99_s: How late the load was.
        cpu_fraction: How busy the machine was.
        flags: Why it may not be trusted; empty when nothing speaks against it.
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
        record: Its figures.
        run: All of it, as of a simulated run.
        timeline: What the executor wrote down.
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
    """Carries a plan out on a fleet of its own, under load.

    Args:
        plan: What is carried out.
        scenario: Whose fleet and traffic are put up.
        number: Of the run, from 0: its traffic and step durations.
        settling_s: How long to go on once the rollout has ended and the queue is back.
        say: Is told what the executor says.
        watched: Is handed the fleet before the rollout starts.
        carry_out: The executor; it answers with its exit code.
        stopped: Asked while nothing else is done, whether it shall be given up.

    Raises:
        Refused: The lab or the executor says no.
        BadInput: There is no HAProxy.
        KeyboardInterrupt: The rollout was interrupted; everything has ended.
    """
    with fleet(scenario, number) as up:
        zero_s = time.monotonic() + _LEAD_S
        until_s = _longest_s(plan)
        schedule = schedule_for(
            scenario,
            number,
            port=up.port,
            zero_s=zero_s + WARM_UP_S,
            warm_up_s=WARM_UP_S,
            until_s=until_s,
        )
        up.start_load(schedule)
        with Watch(up.observe) as watch:
            watched(up)
            _sleep_until(zero_s + WARM_UP_S, stopped)
            usual = max((one.queued_count for one in watch.samples), default=0)
            code, timeline = _executed(plan, up, say, carry_out)
            if code == EXIT_CODES[Ended.INTERRUPTED]:
                raise KeyboardInterrupt
            settled_s = _settled_s(watch, usual, settling_s, stopped)
        sent = up.end_load()
    began = datetime.fromisoformat(timeline["began_at"])
    seen = LoadSample(
        sent=sent,
        zero_s=schedule.zero_s,
        classes=schedule.classes,
        samples=watch.samples,
        timeline=timeline,
        began_s=began.timestamp() - time.time() + time.monotonic(),
        settled_s=settled_s,
        cpu_fraction=watch.cpu_fraction,
    )
    run = to_run_result(scenario, seen)
    record = TrialRecord(
        ended=str(timeline["ended"]),
        metrics=run.metrics,
        requests=run.requests,
        lag_p99_s=lag_p99_s(sent),
        cpu_fraction=watch.cpu_fraction,
        flags=flags_of(seen),
    )
    return Trial(record, run, timeline)


def _longest_s(plan: Plan) -> float:
    """How long there must be traffic: twice what the rollout may take, its settling, some more."""
    duration = plan.prediction.metrics["rollout_duration_s"]
    return 2 * (duration.run_high or duration.mean or 60.0) + _LONGEST_SETTLING_S + SETTLING_S


def _executed(
    plan: Plan,
    up: LabFleet,
    say: Callable[[str], None],
    carry_out: Callable[[Execute, Callable[[str], None]], int],
) -> tuple[int, dict[str, Any]]:
    """The rollout by the real executor; its exit code and its timeline."""
    path = up.folder / "plan.json"
    write_plan(path, plan)
    path.chmod(0o600)
    asked = Execute(plan=path, inventory=up.inventory)

    def say_what_lasts(line: str) -> None:
        if str(up.folder) not in line:  # those files go with the fleet
            say(line)

    try:
        code = carry_out(asked, say_what_lasts)
        if not asked.timeline_path.is_file():
            raise Refused("the executor left no timeline")
        timeline: dict[str, Any] = json.loads(asked.timeline_path.read_text(encoding="utf-8"))
    finally:  # of a fleet that is never seen again
        lock_path(fleet_key(read_inventory(up.inventory))).unlink(missing_ok=True)
    return code, timeline


def _sleep_until(at_s: float, stopped: Callable[[], bool]) -> None:
    """Waits for a moment of the monotonic clock.

    Raises:
        KeyboardInterrupt: It was stopped.
    """
    while (left_s := at_s - time.monotonic()) > 0:
        if stopped():
            raise KeyboardInterrupt
        time.sleep(min(left_s, _LOOKS_S))


def _settled_s(watch: Watch, usual: int, settling_s: float, stopped: Callable[[], bool]) -> float:
    """Waits until the queue is as short as it was before, and then so long; the moment."""
    until_s = time.monotonic() + _LONGEST_SETTLING_S
    seen = len(watch.samples)
    while time.monotonic() < until_s:
        if any(one.queued_count <= usual for one in watch.samples[seen:]):
            break
        seen = max(seen, len(watch.samples))
        _sleep_until(time.monotonic() + _LOOKS_S, stopped)  # a sample later
    settled_s = time.monotonic() + settling_s
    _sleep_until(settled_s, stopped)
    return settled_s
