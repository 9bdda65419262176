"""Runs side by side, as data: their lines over time, their figures, and their differences to one baseline.

Differences are paired by replication (common random numbers), with Student's t over them, see
`simulation.study.statistics.paired_difference`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Literal

from executor.plan.model import Interval
from simulation.results.losses import LossCause
from simulation.results.run_result import RunResult
from simulation.study.candidate_result import Band, CandidateResult, ControlResult
from simulation.study.compare import HIGHER_IS_BETTER
from simulation.study.statistics.means import Difference, interval, paired_difference
from studio.views.candidate.control import control_figure, value_of
from studio.views.figures_text import difference_text, metric_text, range_text, signed_text
from studio.views.sentences import CAUSE_TEXTS, phases_text

FIGURES = (
    ("rollout_duration_s", "Rollout takes", "From the first take-out to the last return"),
    ("lowest_in_pool_count", "Fewest in the pool", "The fewest instances that serve at once"),
    ("lowest_capacity_fraction", "Lowest capacity", "The lowest share of the fleet's capacity"),
    ("rollout_latency_p99_s", "p99 during rollout", "99 of 100 requests are answered faster"),
    (
        "rollout_error_fraction",
        "Lost per rollout",
        "The share of a rollout's requests that is rejected, times out, is refused, cut or in error",
    ),
    (
        "failed_requests",
        "Failed requests",
        "Rejected, timed out, refused, cut or in error, in a run over the time that all runs share",
    ),
    ("cut_requests", "Requests cut", "Those that a drain did not wait for, in a run"),
    ("slow_requests", "Slow requests", "Those slower than the objective of p99, in a run"),
    ("exposure_requests", "Exposure", "Requests that met the new version before it was everywhere"),
    ("most_instances_count", "Most at once", "The most instances that exist at the same time"),
    ("failed_instances_count", "Failed instances", "Instances whose update failed, in a run"),
    ("mixed_version_s", "Mixed versions", "How long both versions served at once"),
)
"""The figures that are compared side by side: metric, name, explanation."""

_CAUSES = {
    LossCause.REJECTED: "· rejected",
    LossCause.REFUSED_AFTER_STOP: "· refused, stop",
    LossCause.REFUSED_AFTER_CRASH: "· refused, crash",
    LossCause.TIMED_OUT_IN_QUEUE: "· timeout, queue",
    LossCause.TIMED_OUT_IN_SERVICE: "· timeout, service",
    LossCause.CUT_AT_DRAIN: "· cut, drain",
    LossCause.CUT_AT_STOP: "· cut, stop",
    LossCause.ERROR_OF_NEW_VERSION: "· error, new",
    LossCause.ERROR_OF_OLD_VERSION: "· error, old",
    LossCause.ERROR_OF_CRASH: "· error, crash",
}
"""The causes as they fit into the column of names, below *Failed requests*."""

Standing = Literal["better", "worse", "open", "same", ""]


@dataclass(frozen=True)
class TableCell:
    """One figure of one run.

    Attributes:
        figure: The mean, as text.
        standing: The comparison with the baseline: ``better`` or ``worse`` where the interval of the
            difference excludes 0, ``open`` where the interval holds 0, ``same`` where no run differs,
            empty for the baseline itself and where a figure is missing.
        under: The difference in short, with half its interval; for the baseline the range of single
            runs (5–95 %).
        difference: The difference alone, without its interval; empty where ``under`` has none.
        words: The comparison in words, for a tip and for people who cannot see the colours.
    """

    figure: str
    standing: Standing = ""
    under: str = ""
    words: str = ""
    difference: str = ""


@dataclass(frozen=True)
class TableRow:
    """One figure of all runs, in the order of the runs.

    Attributes:
        metric: The metric, a key of `simulation.results.run_result.METRICS`.
        name: The figure's name on the screen.
        tip: The figure explained in plain words.
        cells: One for each run.
    """

    metric: str
    name: str
    tip: str
    cells: tuple[TableCell, ...]


@dataclass(frozen=True)
class StripLines:
    """One run over time, as bands over its replications.

    Attributes:
        capacity: Capacity of the pool, in requests per second.
        traffic: Arriving requests per second.
        p99: The 99th percentile of the latency, in seconds.
        p50: The median of the latency, in seconds.
        end_s: The end of the bands, in seconds from the rollout's start.
    """

    capacity: Band
    traffic: Band
    p99: Band
    p50: Band
    end_s: float


def lines_of(result: CandidateResult | ControlResult) -> StripLines:
    """Return the lines of a candidate: medians and the 5–95 % range of its runs."""
    names = ("capacity_rps", "offered_rps", "latency_p99_s", "latency_p50_s")
    capacity, traffic, p99, p50 = (result.band(name) for name in names)
    return StripLines(
        capacity, traffic, p99, p50, float(len(capacity.time_s)) * result.runs[0].bin_s
    )


def rows_of(
    results: Sequence[CandidateResult],
    names: Sequence[str],
    baseline: int,
    *,
    alone: bool,
    control: ControlResult | None = None,
) -> list[TableRow]:
    """Return a row for each figure that any run has, with the differences to the baseline.

    Args:
        results: The runs.
        names: The runs' names.
        baseline: Number of the run, from 0, that the others are compared with.
        alone: True to take each candidate's figures over its own interval: runs of different
            comparisons have no common one.
        control: The same start without a rollout, as a last cell of each row; None for no such cell.
    """
    rows = []
    for metric, name, tip in FIGURES:
        values = [[_value(run, metric, alone=alone) for run in result.runs] for result in results]
        if all(value is None for of_run in values for value in of_run):
            continue
        cells = tuple(
            _cell(
                metric,
                (result.alone if alone else result.metrics)[metric],
                (values[place], None if place == baseline else values[baseline]),
                names[baseline],
            )
            for place, result in enumerate(results)
        )
        cells = tuple(map(_with_control, repeat(metric), cells, results))
        if control is not None:
            cells += (_control_cell(control, metric, values[baseline], names[baseline]),)
        rows.append(TableRow(metric, name, tip, cells))
        if metric == "failed_requests" and not alone:
            with_control = () if control is None else (control,)
            rows += _rows_of_losses((*results, *with_control), names, baseline)
    return rows


def _with_control(metric: str, cell: TableCell, result: CandidateResult) -> TableCell:
    """Return a cell whose words hold the difference to the control, where there is one."""
    figure = control_figure(result, metric)
    if figure is None:
        return cell
    return replace(cell, words="; ".join(part for part in (cell.words, figure.words()) if part))


def _control_cell(
    control: ControlResult, metric: str, baseline: Sequence[float | None], against: str
) -> TableCell:
    """Return a figure of the control; what only a rollout has, such as a duration, is ``–``."""
    values = [value_of(run.metrics, metric) for run in control.runs]
    return _cell(metric, interval(values), (values, baseline), against)


def _rows_of_losses(
    results: Sequence[CandidateResult], names: Sequence[str], baseline: int
) -> list[TableRow]:
    """Return a row for each cause by which any run lost requests, with its phases in the tips.

    Losses are recorded over the common interval only, so runs that are judged alone have no such rows.
    """
    rows = []
    sums = [result.losses() for result in results]
    lost = [[run.losses.by_cause() for run in result.runs] for result in results]
    for cause, cause_name in _CAUSES.items():
        if not any(losses.of_cause(cause).total for losses in sums):
            continue
        values = [[float(counts[cause]) for counts in of_run] for of_run in lost]
        cells = []
        for place, result in enumerate(results):
            others = None if place == baseline else values[baseline]
            name, figures = names[baseline], interval(values[place])
            cell = _cell("failed_requests", figures, (values[place], others), name)
            phases = phases_text(sums[place].of_cause(cause), len(result.runs))
            cells.append(replace(cell, words=f"{phases}; {cell.words}" if phases else cell.words))
        tip = f"Of the failed requests: {CAUSE_TEXTS[cause]}, in a run"
        rows.append(TableRow(f"losses.{cause}", cause_name, tip, tuple(cells)))
    return rows


def _value(run: RunResult, metric: str, *, alone: bool) -> float | None:
    return (run.alone if alone else run.metrics)[metric]


def _cell(
    metric: str,
    figures: Interval,
    pair: tuple[Sequence[float | None], Sequence[float | None] | None],
    against: str,
) -> TableCell:
    mine, others = pair
    figure = metric_text(metric, figures.mean)
    if others is None:
        spread = range_text(metric, figures)
        words = f"the others are measured by it; single runs: {spread} (5–95 %)"
        return TableCell(figure, "", "" if spread == figure else spread, words)
    both = min(len(mine), len(others))
    difference = paired_difference(mine[:both], others[:both])
    standing = standing_of(metric, difference)
    text = difference_text(metric, difference)
    words = {
        "better": f"better than {against}: {text}",
        "worse": f"worse than {against}: {text}",
        "open": f"no difference to {against} shown: {text}",
        "same": f"the same as {against} in every run",
        "": "",
    }[standing]
    mean = "" if difference.mean is None else signed_text(metric, difference.mean)
    return TableCell(figure, standing, _short(metric, difference, standing), words, mean)


def standing_of(metric: str, difference: Difference) -> Standing:
    """Return whether a difference is shown, and its direction."""
    mean, low, high = difference.mean, difference.low, difference.high
    if mean is None:
        return ""
    if low is None or high is None:
        return "open"
    if low == high == 0:
        return "same"
    if low <= 0 <= high:
        return "open"
    return "better" if (mean > 0) == (metric in HIGHER_IS_BETTER) else "worse"


def _short(metric: str, difference: Difference, standing: Standing) -> str:
    """``−1 min 30 s ± 11.2 s``."""
    if standing in ("", "same"):
        return "the same" if standing else ""
    if standing == "open":
        return "no difference shown"
    assert difference.mean is not None
    assert difference.high is not None
    half_width = difference.high - difference.mean
    half, mean = metric_text(metric, half_width), signed_text(metric, difference.mean)
    return mean if half_width == 0 or half.startswith("≈") else f"{mean} ± {half}"


def note_of(results: Sequence[CandidateResult], against: str, *, alone: bool, paired: bool) -> str:
    """Return the sentence that explains how the differences were computed."""
    if len(results) < 2:
        return "Tick more runs in the list of runs to set them side by side."
    count = min(len(result.runs) for result in results)
    pairs = "in a single run: no interval yet" if count == 1 else f"over {count:,} runs, ± 95 %"
    how = "paired by the same traffic" if paired else "not of the same seeds, so not paired"
    sentence = f"Differences to {against} are {how}, {pairs}."
    if alone:
        sentence += " These runs are of different comparisons: each figure is of its run alone."
    return sentence
