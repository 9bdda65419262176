"""Runs side by side, as data: their lines over time, their figures, and what sets them apart.

Enters: results of one candidate each, and which of them the others are measured by. Leaves: bands over
time and rows of cells in words; nothing here knows Qt.

Differences are paired by replication (common random numbers), with Student's t over them, see
`simulation.study.statistics.paired_difference`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from simulation.results.run_result import RunResult
from simulation.study.compare import HIGHER_IS_BETTER, Band, CandidateResult
from simulation.study.statistics import Difference, paired_difference
from studio.views.figures_text import difference_text, metric_text, range_text, signed_text

FIGURES = (
    ("rollout_duration_s", "Rollout takes", "From the first take-out to the last return"),
    ("lowest_in_pool_count", "Fewest in the pool", "The fewest instances that serve at once"),
    ("lowest_capacity_fraction", "Lowest capacity", "The lowest share of the fleet's capacity"),
    ("rollout_latency_p99_s", "p99 during rollout", "99 of 100 requests are answered faster"),
    (
        "rollout_error_fraction",
        "Requests lost",
        "The share of a rollout's requests that is rejected, times out, is refused, cut or in error",
    ),
    (
        "failed_requests",
        "Failed requests",
        "Rejected, timed out, refused, cut or in error, in a run",
    ),
    ("cut_requests", "Requests cut", "Those that a drain did not wait for, in a run"),
    ("slow_requests", "Slow requests", "Those slower than the objective of p99, in a run"),
    ("exposure_requests", "Exposure", "Requests that met the new version before it was everywhere"),
    ("mixed_version_s", "Mixed versions", "How long both versions served at once"),
)
"""The figures that are set side by side: metric, words, what it is."""

Standing = Literal["better", "worse", "open", "same", ""]


@dataclass(frozen=True)
class TableCell:
    """One figure of one run.

    Attributes:
        figure: Its mean.
        standing: How it stands to the baseline's: ``better`` or ``worse`` where the interval of the
            difference does not hold 0, ``open`` where it does, ``same`` where no run differs, empty
            for the baseline itself and where there is nothing to tell.
        under: The difference in little room, with half its interval; of the baseline what single
            runs may do (5–95 %).
        difference: The difference alone, without its interval; empty where ``under`` has none.
        words: All of it in words, for a tip and for who cannot see the colours.
    """

    figure: str
    standing: Standing = ""
    under: str = ""
    words: str = ""
    difference: str = ""


@dataclass(frozen=True)
class TableRow:
    """One figure of all runs, in their order.

    Attributes:
        metric: Its name in `simulation.results.run_result.METRICS`.
        name: What it is called.
        tip: The same in plain words.
        cells: One a run.
    """

    metric: str
    name: str
    tip: str
    cells: tuple[TableCell, ...]


@dataclass(frozen=True)
class StripLines:
    """What one run does over time.

    Attributes:
        capacity: What the pool can serve, requests a second.
        traffic: What arrives, likewise.
        p99: Of the latency, seconds.
        p50: Likewise.
        end_s: How far they reach.
    """

    capacity: Band
    traffic: Band
    p99: Band
    p50: Band
    end_s: float


def lines_of(result: CandidateResult) -> StripLines:
    """The lines of a candidate: medians and 5–95 % of its runs."""
    names = ("capacity_rps", "offered_rps", "latency_p99_s", "latency_p50_s")
    capacity, traffic, p99, p50 = (result.band(name) for name in names)
    return StripLines(
        capacity, traffic, p99, p50, float(len(capacity.time_s)) * result.runs[0].bin_s
    )


def rows_of(
    results: Sequence[CandidateResult], names: Sequence[str], baseline: int, *, alone: bool
) -> list[TableRow]:
    """The figures that any of the runs has, and what sets each apart from the baseline.

    Args:
        results: The runs.
        names: What they are called.
        baseline: The place of the one that the others are measured by.
        alone: Whether the figures are those of each candidate alone: where they were not simulated
            in one comparison, and so have no common interval.
    """
    rows = []
    for metric, name, tip in FIGURES:
        values = [[_value(run, metric, alone=alone) for run in one.runs] for one in results]
        if all(value is None for one in values for value in one):
            continue
        cells = tuple(
            _cell(
                metric,
                one,
                (values[place], None if place == baseline else values[baseline]),
                names[baseline],
                alone=alone,
            )
            for place, one in enumerate(results)
        )
        rows.append(TableRow(metric, name, tip, cells))
    return rows


def _value(run: RunResult, metric: str, *, alone: bool) -> float | None:
    return (run.alone if alone else run.metrics)[metric]


def _cell(
    metric: str,
    result: CandidateResult,
    pair: tuple[list[float | None], list[float | None] | None],
    against: str,
    *,
    alone: bool,
) -> TableCell:
    mine, others = pair
    interval = (result.alone if alone else result.metrics)[metric]
    figure = metric_text(metric, interval.mean)
    if others is None:
        spread = range_text(metric, interval)
        words = f"the others are measured by it; single runs: {spread} (5–95 %)"
        return TableCell(figure, "", "" if spread == figure else spread, words)
    both = min(len(mine), len(others))
    difference = paired_difference(mine[:both], others[:both])
    standing = standing_of(metric, difference)
    told = difference_text(metric, difference)
    words = {
        "better": f"better than {against}: {told}",
        "worse": f"worse than {against}: {told}",
        "open": f"no difference to {against} shown: {told}",
        "same": f"the same as {against} in every run",
        "": "",
    }[standing]
    mean = "" if difference.mean is None else signed_text(metric, difference.mean)
    return TableCell(figure, standing, _short(metric, difference, standing), words, mean)


def standing_of(metric: str, difference: Difference) -> Standing:
    """Whether a difference is shown, and which way it goes."""
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
    """What the differences are, as a sentence."""
    if len(results) < 2:
        return "Tick more runs in the list of runs to set them side by side."
    count = min(len(one.runs) for one in results)
    pairs = "in a single run: no interval yet" if count == 1 else f"over {count:,} runs, ± 95 %"
    how = "paired by the same traffic" if paired else "not of the same seeds, so not paired"
    said = f"Differences to {against} are {how}, {pairs}."
    if alone:
        said += " These runs are of different comparisons: each figure is of its run alone."
    return said
