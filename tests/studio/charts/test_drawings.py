"""The charts on plain axes: what is drawn is what was simulated, and no Qt is needed."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from simulation.importers.fitting import choose
from simulation.planning.sensitivity import Effect, Sensitivity
from simulation.results.run_result import Ending
from simulation.scenario.file import ScenarioFile
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.driver import run_study
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.charts.fit import draw_distribution, draw_tail, save_fits
from studio.charts.over_time import draw_capacity, draw_latency
from studio.charts.sensitivity import draw_sensitivity
from studio.charts.trade_off import MARKERS, draw_trade_off
from studio.views.theme import DARK, LIGHT
from studio.views.trade_off import P99, holding_front
from tests.helpers.command_line import SHOP


@cache
def shop(*windows: int, changed: str = "") -> Comparison:
    text = SHOP.replace("duration: 30s", changed) if changed else SHOP
    scenario = ScenarioFile.parse(text).scenario
    comparison, _rows = run_study(scenario, cases_of(scenario, windows), Execution(jobs=1))
    assert comparison is not None
    return comparison


def plain_axes() -> Axes:
    figure = Figure(figsize=(4, 3))
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def words(axes: Axes) -> set[str]:
    return {text.get_text() for text in axes.texts if text.get_text()}


def test_charts_need_no_qt() -> None:
    program = (
        "import sys, studio.charts.over_time, studio.charts.sensitivity, studio.charts.trade_off; "
        "sys.exit(any('PySide6' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_capacity_and_traffic(theme: object) -> None:
    axes, result = plain_axes(), shop(1, 2).candidates[1]
    draw_capacity(axes, result, theme)  # type: ignore[arg-type]
    assert words(axes) == {
        "Capacity and traffic",
        "requests/s",
        "capacity in the pool",
        "traffic",
    }
    capacity, traffic = axes.lines
    assert capacity.get_color() == theme.new_version  # type: ignore[attr-defined]
    assert np.array_equal(capacity.get_ydata(), result.band("capacity_rps").median)
    assert np.array_equal(traffic.get_ydata(), result.band("offered_rps").median)
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > np.max(capacity.get_ydata())


@pytest.mark.parametrize(("limit_s", "unit", "scale"), [(1.5, "ms", 1000), (2.5, "s", 1)])
def test_latency_in_the_unit_that_suits_it(limit_s: float, unit: str, scale: int) -> None:
    axes, result = plain_axes(), shop(1, 2).candidates[1]
    draw_latency(axes, result, LIGHT, limit_s)
    limit = "1.5 s" if scale == 1000 else "2.5 s"
    assert words(axes) == {"Latency", unit, "p99", "p50", f"limit {limit}"}
    p99 = axes.lines[0].get_ydata()
    assert np.allclose(p99, result.band("latency_p99_s").median * scale, equal_nan=True)
    assert limit_s * scale < axes.get_ylim()[1]


def test_latency_without_a_limit_has_no_line_of_one() -> None:
    axes = plain_axes()
    draw_latency(axes, shop(1, 2).candidates[0], LIGHT, None)
    assert len(axes.lines) == 2


def test_the_trade_off_holds_every_candidate() -> None:
    axes, comparison = plain_axes(), shop(1, 2, 3, 6)
    points = draw_trade_off(axes, comparison, 1, LIGHT)
    assert [point.index for point in points] == [0, 1, 2, 3]
    for point in points:
        metrics = comparison.candidates[point.index].metrics
        assert point.duration_s == metrics["rollout_duration_s"].mean
        assert point.risk == metrics["rollout_latency_p99_s"].mean
        assert 0 < point.duration_s < axes.get_xlim()[1]
    assert {f"window {w}" for w in (1, 2, 6)} <= words(axes)
    assert "window 3 — fastest that meets" in words(axes)
    assert "within every limit" in words(axes)
    bold = [t.get_text() for t in axes.texts if t.get_fontweight() == "bold"]
    assert bold == ["Duration against p99", "window 2"]
    front = next(line for line in axes.lines if line.get_linestyle() == "--")
    assert len(np.asarray(front.get_xdata())) == len(holding_front(comparison, P99))


def test_a_verdict_is_told_by_shape_too() -> None:
    axes = plain_axes()
    draw_trade_off(axes, shop(1, 2, changed="duration: 12s"), None, LIGHT)
    shown = {line.get_marker() for line in axes.lines} & set(MARKERS.values())
    assert shown == {MARKERS["meets"], MARKERS["fails"]} or shown == {
        MARKERS["meets"],
        MARKERS["undecided"],
    }


def test_a_rollout_that_never_ends_is_no_point() -> None:
    aborted = SHOP.replace("timeout: 5s", "timeout: 0s, on_timeout: abort").replace(
        "rate: 40/s",
        "rate: 0.2/s",  # more is an endless overload
    )
    scenario = ScenarioFile.parse(
        aborted.replace("service_time: {mean: 50ms, cv: 1}", "service_time: 30s").replace(
            "rate: 40/s", "rate: 0.3/s"
        )
    ).scenario
    cases = cases_of(scenario)
    comparison = compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))
    assert comparison.candidates[0].ended[Ending.HALTED] == 4
    axes = plain_axes()
    assert draw_trade_off(axes, comparison, None, LIGHT) == []
    assert words(axes) == {
        "Duration against p99",
        "No rollout has come to its end: it was halted in 4 of 4 runs",
    }


def test_what_the_answer_hangs_on_is_ranked_bars() -> None:
    effects = (
        Effect("traffic.rate", 8.0, 4.0, 16.0, rises=True, flips_fraction=0.5, is_apart=True),
        Effect(
            "services.web.steps.start",
            1.2,
            1.1,
            1.3,
            rises=False,
            flips_fraction=0.0,
            is_apart=False,
        ),
    )
    axes = plain_axes()
    scenario = ScenarioFile.parse(SHOP).scenario
    draw_sensitivity(axes, Sensitivity(scenario, effects, ("p99",), 0.5, 720, 10), LIGHT)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["traffic.rate ↑", "services.web.steps.start ↓"]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [bar.get_width() for bar in bars] == pytest.approx([np.log(8.0), np.log(1.2)])
    assert bars[0].get_facecolor() != bars[1].get_facecolor()  # only the first flips the answer
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first is on top
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["1", "2", "5", "10", "20"]
    assert [tick for tick in axes.get_xticks()] == pytest.approx([np.log(float(t)) for t in ticks])


def test_a_fit_is_drawn_beside_what_was_measured(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    fits = choose(rng.exponential(0.05, 6000))
    left, right = plain_axes(), plain_axes()
    draw_distribution(left, fits, LIGHT)
    draw_tail(right, fits, LIGHT)
    measured, fitted = left.lines
    shares = np.asarray(measured.get_ydata())
    assert np.allclose(measured.get_xdata(), np.quantile(fits.samples_s, shares))
    assert np.allclose(fitted.get_xdata(), measured.get_xdata(), rtol=0.2, atol=1e-3)
    assert fitted.get_label() == "exponential"
    assert {"p99", "p99.9"} <= words(right)
    path = tmp_path / "fit.png"
    save_fits(path, {"web": fits, "api": fits})
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_family_that_does_not_fit_is_said_to_be_not_taken() -> None:
    rng = np.random.default_rng(1)
    axes = plain_axes()
    draw_tail(axes, choose(np.r_[rng.exponential(0.01, 900), rng.exponential(1, 100)]), LIGHT)
    assert str(axes.lines[1].get_label()).endswith(", not taken")
