"""The forecast against the machine: predictions are frozen, then rollouts are measured.

Enters: a scenario and what to vary. Leaves: a `Contest`: calibration, predictions with their digest,
trials in a random order, and how many of the measured figures lie where the forecast said that
single runs lie. A vague forecast must not count, so the range is capped; and between 90 and 120 % of
the capacity that is left only the direction of p99 is judged, since there everything hangs on the
third digit of the service time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from executor.base.canonical_json import digest_of
from executor.base.errors import Refused
from executor.base.files import atomic_write_text
from executor.plan.model import Interval, Plan
from simulation.planning.make_plan import make_plan
from simulation.scenario.model import Scenario
from simulation.study.candidates import Candidate
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.rows import run_rows
from studio.lab.calibrate import CYCLES, Calibration, calibrate, with_calibration
from studio.lab.limits import refuse_unable
from studio.lab.trial import TrialRecord, run_trial

CAPS = {"rollout_duration_s": 0.10, "failed_requests": None, "rollout_latency_p99_s": 0.30}
"""What is scored, and how wide half a range may be as a share of its middle."""

EDGE = (0.9, 1.2)
"""Loads of what is left at which only the direction is judged."""

P99 = "rollout_latency_p99_s"

REPLICATIONS = 200
"""Runs behind each range of single runs."""


@dataclass(frozen=True)
class Arm:
    """One thing that is predicted and measured.

    Attributes:
        name: What it is called.
        scenario: Whose fleet is put up, as its file says it.
        forecast: The same, calibrated: what is simulated.
        plan: What is carried out; it holds the prediction.
        load: Of what is left of the fleet while the window is out, 1 is all of it.
    """

    name: str
    scenario: Scenario
    forecast: Scenario
    plan: Plan
    load: float

    @property
    def predicted(self) -> dict[str, Interval]:
        """The frozen figures."""
        return self.plan.prediction.metrics

    @property
    def is_at_the_edge(self) -> bool:
        """Whether only the direction is judged."""
        return EDGE[0] < self.load < EDGE[1]


@dataclass(frozen=True)
class Judged:
    """One measured figure beside its range.

    Attributes:
        value: What was measured; None when the rollout did not come so far.
        low: Lower end of the range that counts, capped.
        high: Upper end of it.
    """

    arm: str
    run: int
    metric: str
    value: float | None
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether it lies in its range."""
        return self.value is not None and self.low <= self.value <= self.high


@dataclass(frozen=True)
class Contest:
    """Everything that was predicted and measured.

    Attributes:
        digest: Of the predictions, made before anything was measured.
        trials: By arm, in the order of the runs.
        order: The arm and the run of each trial, as they were measured.
    """

    scenario: Scenario
    calibration: Calibration
    arms: tuple[Arm, ...]
    digest: str
    trials: dict[str, tuple[TrialRecord, ...]]
    order: tuple[tuple[str, int], ...]

    def judged(self) -> list[Judged]:
        """Every figure that counts."""
        return [one for arm in self.arms if not arm.is_at_the_edge for one in self._of(arm)]

    def _of(self, arm: Arm) -> Iterator[Judged]:
        for run, trial in enumerate(self.trials[arm.name]):
            for metric, cap in CAPS.items():
                low, high = cap_range(arm.predicted[metric], cap)
                yield Judged(arm.name, run, metric, trial.metrics[metric], low, high)

    def score(self) -> float | None:
        """The share of the judged figures that hold."""
        judged = self.judged()
        return sum(one.holds for one in judged) / len(judged) if judged else None

    def rankings(self) -> list[bool]:
        """For each run whether every pair of arms that the forecast tells apart by p99 came so.

        Two arms are told apart when their ranges of single runs do not meet.
        """
        pairs = distinguishable_pairs({arm.name: arm.predicted[P99] for arm in self.arms})
        runs = min((len(one) for one in self.trials.values()), default=0)
        return [
            all(_less(self.trials[lower][run], self.trials[higher][run]) for lower, higher in pairs)
            for run in range(runs)
        ]

    def flags(self) -> list[str]:
        """What speaks against it, with where."""
        return [
            *self.calibration.flags,
            *(
                f"{arm.name}, run {run + 1}: {flag}"
                for arm in self.arms
                for run, trial in enumerate(self.trials[arm.name])
                for flag in trial.flags
            ),
        ]

    def to_json(self) -> dict[str, Any]:
        """What ``lab compare --json`` prints."""
        return {
            "schema": "rollcast.lab/1",
            "scenario": self.scenario.name,
            "predictions_digest": self.digest,
            "calibration": self.calibration.to_json(),
            "order": [{"arm": name, "run": run + 1} for name, run in self.order],
            "arms": [
                {
                    "arm": arm.name,
                    "window": arm.plan.window,
                    "load": arm.load,
                    "direction_only": arm.is_at_the_edge,
                    "predicted": predicted_json(arm.predicted),
                    "runs": [
                        {
                            "ended": trial.ended,
                            "measured": trial.metrics,
                            "requests": trial.requests,
                            "lag_p99_s": trial.lag_p99_s,
                            "cpu_fraction": trial.cpu_fraction,
                            "flags": list(trial.flags),
                        }
                        for trial in self.trials[arm.name]
                    ],
                }
                for arm in self.arms
            ],
            "judged": [{**vars(one), "holds": one.holds} for one in self.judged()],
            "score": self.score(),
            "ranking_right": self.rankings(),
            "flags": self.flags(),
        }


def cap_range(figure: Interval, cap: float | None) -> tuple[float, float]:
    """The range of single runs, its half-width no more than so much of its middle."""
    low, high = figure.run_low or 0.0, figure.run_high or 0.0
    middle, half = (low + high) / 2, (high - low) / 2
    if cap is not None:
        half = min(half, cap * middle)
    return middle - half, middle + half


def distinguishable_pairs(figures: dict[str, Interval]) -> list[tuple[str, str]]:
    """The pairs of which the first is predicted to be lower in every likely run."""
    return [
        (one, other)
        for one, low in figures.items()
        for other, high in figures.items()
        if low.run_high is not None and high.run_low is not None and low.run_high < high.run_low
    ]


def _less(one: TrialRecord, other: TrialRecord) -> bool:
    low, high = one.metrics[P99], other.metrics[P99]
    return low is not None and high is not None and low < high


def predicted_json(figures: dict[str, Interval]) -> dict[str, dict[str, float | None]]:
    """What a single run may do, by metric: ``low`` and ``high`` are its 5th and 95th percentile."""
    return {
        name: {"mean": one.mean, "low": one.run_low, "high": one.run_high}
        for name, one in figures.items()
    }


def arms_of(found: Calibration, variants: Sequence[tuple[str, Scenario]]) -> tuple[Arm, ...]:
    """Predictions for each variant, from the calibrated scenario.

    Args:
        found: What was measured of the machine.
        variants: Name and scenario of each arm.
    """
    return tuple(_arm(name, one, found) for name, one in variants)


def by_window(scenario: Scenario, windows: Sequence[int | str]) -> list[tuple[str, Scenario]]:
    """The scenario with each window."""
    return [
        (f"window {case.candidate.window}", case.scenario) for case in cases_of(scenario, windows)
    ]


def _arm(name: str, scenario: Scenario, found: Calibration) -> Arm:
    forecast = with_calibration(scenario, found).model_copy(
        update={"replications": REPLICATIONS, "name": f"{scenario.name}, {name}"}
    )
    cases = cases_of(forecast)
    result = compare(forecast, cases, list(run_rows(forecast, cases))).candidates[0]
    return Arm(
        name, scenario, forecast, make_plan(forecast, result), load_left(forecast, result.candidate)
    )


def load_left(scenario: Scenario, candidate: Candidate) -> float:
    """The load of what is left of the fleet while the window is out."""
    service = scenario.service
    rate_rps = float(scenario.rates().rate_at(scenario.start_s()))
    out = sorted(service.power(), reverse=True)[: candidate.window]
    left = sum(service.power()) - sum(out)
    return rate_rps * scenario.work_s(scenario.service_name) / left if left > 0 else float("inf")


def frozen(arms: Sequence[Arm]) -> str:
    """The digest of all predictions, each with the scenario it is of."""
    return digest_of(
        [
            {
                "arm": arm.name,
                "scenario_digest": arm.plan.scenario_digest,
                "predicted": predicted_json(arm.predicted),
            }
            for arm in arms
        ]
    )


def random_order(arms: Sequence[Arm], runs: int, seed: int) -> list[tuple[str, int]]:
    """Every run of every arm in an order that favours none: shuffled by the seed."""
    order = [(arm.name, run) for arm in arms for run in range(runs)]
    random.Random(seed).shuffle(order)
    return order


def run_contest(
    scenario: Scenario,
    variants: Sequence[tuple[str, Scenario]],
    *,
    runs: int,
    cycles: int = CYCLES,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Contest:
    """Calibrates, predicts, freezes, measures.

    Args:
        scenario: The whole; its seed shuffles the order.
        variants: Name and scenario of each arm, see `by_window`.
        runs: How many rollouts of each arm.
        cycles: Stop/start cycles of the calibration, at least.
        folder: Where what is done is kept, so that it can be gone on with after an interruption.
        say: Is told what goes on.

    Raises:
        Refused: The lab cannot put it up, or the folder is of another contest.
    """
    for _, one in variants:
        refuse_unable(one)
    kept = _Kept(folder)
    measured = kept.get("calibration", lambda: calibrate(scenario, cycles, say).to_json())
    found = Calibration.from_json(measured)
    arms = arms_of(found, variants)
    digest = frozen(arms)
    if kept.get("predictions", lambda: {"digest": digest})["digest"] != digest:
        raise Refused(f"{folder}: holds other predictions than these; name another folder")
    say(f"predictions frozen: {digest}")
    order = random_order(arms, runs, scenario.seed)
    by_name = {arm.name: arm for arm in arms}
    records: dict[tuple[str, int], TrialRecord] = {}
    for count, (name, run) in enumerate(order, start=1):

        def measure(arm: Arm = by_name[name], run: int = run, count: int = count) -> dict[str, Any]:
            say(f"measuring {count} of {len(order)}: {arm.name}, run {run + 1}")
            return asdict(run_trial(arm.plan, arm.scenario, run).record)

        data = kept.get(f"{name}, run {run + 1}", measure)
        records[name, run] = TypeAdapter(TrialRecord).validate_python(data)
    return Contest(
        scenario=scenario,
        calibration=found,
        arms=arms,
        digest=digest,
        trials={arm.name: tuple(records[arm.name, run] for run in range(runs)) for arm in arms},
        order=tuple(order),
    )


class _Kept:
    """What is done is written down, where there is a folder for it, and not done again."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, name: str, made: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if self._folder is None:
            return made()
        path = self._folder / f"{name}.json"
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
        done = made()
        self._folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps(done, indent=1) + "\n")
        return done


def no_drain(scenario: Scenario) -> Scenario:
    """The same rollout that cuts what is in flight at once and stops abruptly."""
    assert scenario.rollout is not None
    drain = scenario.rollout.drain.model_copy(update={"timeout": 0.0, "on_timeout": "cut"})
    stop = scenario.rollout.stop.model_copy(update={"mode": "abrupt"})
    rollout = scenario.rollout.model_copy(update={"drain": drain, "stop": stop})
    return scenario.model_copy(update={"rollout": rollout})
