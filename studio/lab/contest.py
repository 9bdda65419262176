"""A contest of forecast and machine: predictions are frozen, then rollouts are measured.

The score is the share of measured figures within the predicted range of single runs. The range is capped,
so that a vague forecast does not score. Between 90 and 120 % of the remaining capacity only the direction of
p99 is judged: there the third digit of the service time decides the figures.
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
"""The metrics that are scored, with the cap on half a range as a share of its middle."""

EDGE = (0.9, 1.2)
"""Loads of the remaining capacity between which only the direction is judged."""

P99 = "rollout_latency_p99_s"

REPLICATIONS = 200
"""Number of simulated runs behind each range of single runs."""


@dataclass(frozen=True)
class Arm:
    """A variant that is predicted and measured.

    Attributes:
        name: The arm's name.
        scenario: The scenario whose fleet is put up.
        forecast: The calibrated scenario, which is simulated.
        plan: The plan that is carried out; it holds the prediction.
        load: Load of the remaining capacity while the window is out; 1 is all of it.
    """

    name: str
    scenario: Scenario
    forecast: Scenario
    plan: Plan
    load: float

    @property
    def predicted(self) -> dict[str, Interval]:
        """Return the frozen figures."""
        return self.plan.prediction.metrics

    @property
    def is_at_the_edge(self) -> bool:
        """Return whether only the direction is judged."""
        return EDGE[0] < self.load < EDGE[1]


@dataclass(frozen=True)
class Judged:
    """A measured figure with its predicted range.

    Attributes:
        value: The measured figure; None when the rollout has none.
        low: Lower end of the range that counts, capped.
        high: Upper end of the range that counts, capped.
    """

    arm: str
    run: int
    metric: str
    value: float | None
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Return whether the figure lies in its range."""
        return self.value is not None and self.low <= self.value <= self.high


@dataclass(frozen=True)
class Contest:
    """All predictions and measurements of a contest.

    Attributes:
        digest: The digest of the predictions, made before anything was measured.
        trials: The trials by arm, in the order of the runs.
        order: Arm and run of each trial, in the order in which they were measured.
    """

    scenario: Scenario
    calibration: Calibration
    arms: tuple[Arm, ...]
    digest: str
    trials: dict[str, tuple[TrialRecord, ...]]
    order: tuple[tuple[str, int], ...]

    def judged(self) -> list[Judged]:
        """Return every figure that counts for the score."""
        return [
            figure for arm in self.arms if not arm.is_at_the_edge for figure in self._judge(arm)
        ]

    def _judge(self, arm: Arm) -> Iterator[Judged]:
        for run, trial in enumerate(self.trials[arm.name]):
            for metric, cap in CAPS.items():
                low, high = cap_range(arm.predicted[metric], cap)
                yield Judged(arm.name, run, metric, trial.metrics[metric], low, high)

    def score(self) -> float | None:
        """Return the share of the judged figures that hold; None without any."""
        judged = self.judged()
        return sum(figure.holds for figure in judged) / len(judged) if judged else None

    def rankings(self) -> list[bool]:
        """Return for each run whether every pair of arms has the predicted order by p99.

        Only pairs count whose predicted ranges of single runs do not overlap.
        """
        pairs = distinguishable_pairs({arm.name: arm.predicted[P99] for arm in self.arms})
        runs = min((len(trials) for trials in self.trials.values()), default=0)
        return [
            all(_less(self.trials[lower][run], self.trials[higher][run]) for lower, higher in pairs)
            for run in range(runs)
        ]

    def flags(self) -> list[str]:
        """Return the reasons to doubt the contest, each with its arm and run."""
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
        """Return the contest as ``lab compare --json`` prints it."""
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
            "judged": [{**vars(figure), "holds": figure.holds} for figure in self.judged()],
            "score": self.score(),
            "ranking_right": self.rankings(),
            "flags": self.flags(),
        }


def cap_range(figure: Interval, cap: float | None) -> tuple[float, float]:
    """Return the range of single runs, its half-width capped at a share of its middle."""
    low, high = figure.run_low or 0.0, figure.run_high or 0.0
    middle, half = (low + high) / 2, (high - low) / 2
    if cap is not None:
        half = min(half, cap * middle)
    return middle - half, middle + half


def distinguishable_pairs(figures: dict[str, Interval]) -> list[tuple[str, str]]:
    """Return the pairs whose first arm is predicted to be lower in every likely run."""
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
    """Return the predicted range of single runs by metric: ``low`` and ``high`` are its 5th and 95th percentile."""
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


def digest_of_predictions(arms: Sequence[Arm]) -> str:
    """Return the digest of all predictions, each with its scenario."""
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
    """Return every run of every arm in an order that favours no arm: shuffled by the seed."""
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
    stopped: Callable[[], bool] = lambda: False,
) -> Contest:
    """Calibrate, predict, freeze the predictions, and measure.

    Args:
        scenario: The scenario; its seed shuffles the order.
        variants: Name and scenario of each arm, see `by_window`.
        runs: Number of measured rollouts of each arm.
        cycles: Least number of stop/start cycles of the calibration.
        folder: Folder for finished parts, so that an interrupted contest can be continued; None for none.
        say: Called with a line about the progress.
        stopped: Returns True to give the contest up; called while a trial waits.

    Raises:
        Refused: The lab cannot put a variant up, or the folder holds another contest.
        KeyboardInterrupt: `stopped` returned True.
    """
    for _, variant in variants:
        refuse_unable(variant)
    results = _ResultStore(folder)
    calibration_data = results.get(
        "calibration", lambda: calibrate(scenario, cycles, say).to_json()
    )
    calibration = Calibration.from_json(calibration_data)
    arms = arms_of(calibration, variants)
    digest = digest_of_predictions(arms)
    if results.get("predictions", lambda: {"digest": digest})["digest"] != digest:
        raise Refused(f"{folder}: holds other predictions than these; name another folder")
    say(f"predictions frozen: {digest}")
    order = random_order(arms, runs, scenario.seed)
    by_name = {arm.name: arm for arm in arms}
    records: dict[tuple[str, int], TrialRecord] = {}
    for count, (name, run) in enumerate(order, start=1):

        def measure(arm: Arm = by_name[name], run: int = run, count: int = count) -> dict[str, Any]:
            say(f"measuring {count} of {len(order)}: {arm.name}, run {run + 1}")
            return asdict(run_trial(arm.plan, arm.scenario, run, stopped=stopped).record)

        data = results.get(f"{name}, run {run + 1}", measure)
        records[name, run] = TypeAdapter(TrialRecord).validate_python(data)
    return Contest(
        scenario=scenario,
        calibration=calibration,
        arms=arms,
        digest=digest,
        trials={arm.name: tuple(records[arm.name, run] for run in range(runs)) for arm in arms},
        order=tuple(order),
    )


class _ResultStore:
    """Stores finished parts of a contest in a folder, so that they are not computed again."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if self._folder is None:
            return compute()
        path = self._folder / f"{name}.json"
        if path.is_file():
            stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return stored
        result = compute()
        self._folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps(result, indent=1) + "\n")
        return result


def no_drain(scenario: Scenario) -> Scenario:
    """Return the scenario with a rollout that cuts requests in flight at once and stops abruptly."""
    assert scenario.rollout is not None
    drain = scenario.rollout.drain.model_copy(update={"timeout": 0.0, "on_timeout": "cut"})
    stop = scenario.rollout.stop.model_copy(update={"mode": "abrupt"})
    rollout = scenario.rollout.model_copy(update={"drain": drain, "stop": stop})
    return scenario.model_copy(update={"rollout": rollout})
