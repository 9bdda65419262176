"""A candidate beside its control: the same requests over the same interval, without a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from executor.plan.model import Interval
from simulation.results.run_result import RunResult
from simulation.scenario.units import Floats
from simulation.study.candidate_result import CandidateResult, ControlResult
from simulation.study.statistics.means import Difference, interval, paired_difference
from studio.views.figures_text import (
    NOTHING,
    TABLE_HEADINGS,
    difference_text,
    metric_text,
    policy_text,
)

CONTROL_NAME = "without a rollout"


@dataclass(frozen=True)
class ControlFigure:
    """One figure of the control over a candidate's own interval.

    Attributes:
        metric: The candidate's metric, a key of `simulation.results.run_result.METRICS`.
        figure: The control's figure: the mean over its runs, one value per run.
        difference: What the candidate adds to the figure, paired by run.
    """

    metric: str
    figure: Interval
    difference: Difference

    def figure_text(self) -> str:
        """Return the control's figure: ``without a rollout 3.38 s``."""
        return f"{CONTROL_NAME} {metric_text(self.metric, self.figure.mean)}"

    def words(self) -> str:
        """Return the figure and the difference to it: ``without a rollout 3.38 s; +0.04 s (…) with it``."""
        return f"{self.figure_text()}; {difference_text(self.metric, self.difference)} with it"


def control_value(run: RunResult, metric: str) -> float | None:
    """Return a figure of the control over the run's own interval; None where there is none."""
    return None if run.control_metrics is None else value_of(run.control_metrics, metric)


def value_of(metrics: Mapping[str, float | None], metric: str) -> float | None:
    """Return a figure of a run without a rollout: its whole interval stands for that of the rollout."""
    value = metrics.get(metric)
    return metrics.get(metric.removeprefix("rollout_")) if value is None else value


def control_figure(result: CandidateResult, metric: str) -> ControlFigure | None:
    """Return the control of one of a candidate's figures; None where the runs have none."""
    values = [control_value(run, metric) for run in result.runs]
    if all(value is None for value in values):
        return None
    own = [run.alone[metric] for run in result.runs]
    return ControlFigure(metric, interval(values), paired_difference(own, values))


def control_p99_s(result: CandidateResult, control: ControlResult, run: RunResult) -> Floats:
    """Return the p99 over time, in seconds, of the control of one of a candidate's runs."""
    place = next(number for number, other in enumerate(result.runs) if other is run)
    return control.runs[place].series["latency_p99_s"]


def control_row(control: ControlResult) -> tuple[str, ...]:
    """Return the cells of a control, in the order of `studio.views.figures_text.TABLE_HEADINGS`."""

    def mean_text(metric: str) -> str:
        values = [value_of(run.metrics, metric) for run in control.runs]
        return metric_text(metric, interval(values).mean)

    texts = {
        "policy": policy_text(control.candidate),
        "start": control.candidate.start_label,
        "p99": mean_text("rollout_latency_p99_s"),
        "errors": mean_text("rollout_error_fraction"),
        "failed": mean_text("failed_requests"),
        "verdict": CONTROL_NAME,
    }
    return tuple(texts.get(heading, NOTHING) for heading in TABLE_HEADINGS)
