"""Figures beside those without a rollout: shown only where a result has a control."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from executor.plan.model import ObjectiveVerdict, Verdict
from simulation.results.run_result import METRICS
from simulation.scenario.file import ScenarioFile
from simulation.study.candidate_result import CandidateResult, ControlResult, candidate_result
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from simulation.study.statistics.means import interval
from studio.charts.over_time import draw_latency
from studio.charts.trade_off import draw_trade_off
from studio.reports.comparison_report import comparison_report
from studio.views.candidate.control import CONTROL_NAME, control_figure, control_row
from studio.views.facts import facts
from studio.views.figures_text import (
    ANSWER_GLYPHS,
    TABLE_HEADINGS,
    sentence_of,
    verdict_text,
)
from studio.views.headline import four_figures
from studio.views.replay import story_of
from studio.views.side_by_side import rows_of
from studio.views.strips import strips_of
from studio.views.theme import LIGHT, THEMES, Theme
from studio.views.trade_off import RISKS, holding_front, region_of
from tests.helpers.command_line import SHOP

ONLY_ROLLED = {"rollout_duration_s", "lowest_in_pool_count", "lowest_capacity_fraction"}
P99_S = 0.125
"""The p99 of the control in every run, in seconds."""


@cache
def compared() -> Comparison:
    scenario = ScenarioFile.parse(SHOP).scenario
    cases = cases_of(scenario, (1, 2, 3))
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))


@cache
def plain() -> Comparison:
    """Return the comparison without its controls, as one of endless overloads has none."""
    results = tuple(
        candidate_result(
            result.case, tuple(replace(run, control_metrics=None) for run in result.runs)
        )
        for result in compared().candidates
    )
    return replace(compared(), candidates=results, controls=(), control_places=())


def as_control(result: CandidateResult) -> ControlResult:
    """A control as an engine without a rollout gives it: nothing of a rollout exists."""
    runs = []
    for run in result.runs:
        rolled = {name: None for name in run.metrics if name.startswith("rollout_")}
        metrics = {**run.metrics, **rolled, **dict.fromkeys(ONLY_ROLLED)}
        metrics |= {"latency_p99_s": P99_S, "error_fraction": 0.0, "failed_requests": 0.0}
        p99 = np.full_like(run.series["latency_p99_s"], P99_S)
        series = {**run.series, "latency_p99_s": p99}
        runs.append(replace(run, metrics=metrics, alone=metrics, series=series))
    metrics_of_all = {name: interval([run.metrics[name] for run in runs]) for name in METRICS}
    control = compared().controls[0].control
    return ControlResult(control, result.requests, metrics_of_all, tuple(runs))


@cache
def with_control() -> Comparison:
    control = as_control(plain().candidates[0])
    results = tuple(
        replace(
            result,
            runs=tuple(
                replace(run, control_metrics=without.metrics)
                for run, without in zip(result.runs, control.runs, strict=True)
            ),
        )
        for result in plain().candidates
    )
    return replace(plain(), candidates=results, controls=(control,), control_places=(0, 0, 0))


def test_a_figure_is_a_difference_to_the_control() -> None:
    result = with_control().candidates[1]
    figure = control_figure(result, "rollout_latency_p99_s")
    assert figure is not None
    assert figure.figure.mean == P99_S
    own = [run.metrics["rollout_latency_p99_s"] or 0.0 for run in result.runs]
    assert figure.difference.mean == pytest.approx(np.mean(own) - P99_S)
    assert figure.words().startswith("without a rollout 125 ms; ")
    assert figure.words().endswith(" with it")
    assert control_figure(result, "rollout_duration_s") is None
    assert control_figure(plain().candidates[1], "rollout_latency_p99_s") is None


def test_the_control_stands_under_the_figures_that_it_has() -> None:
    objectives = plain().scenario.objectives
    figures = four_figures(with_control().candidates[1], objectives, 6)
    assert [figure.control for figure in figures] == [
        "",
        "",
        "without a rollout 125 ms",
        "without a rollout 0 %",
    ]
    assert "with it" in figures[2].tip
    assert not any(f.control for f in four_figures(plain().candidates[1], objectives, 6))


def test_compare_has_a_last_column_without_a_rollout() -> None:
    comparison = with_control()
    results, names = comparison.candidates, ["one", "two", "three"]
    rows = rows_of(results, names, 0, alone=False, control=comparison.controls[0])
    last = {row.metric: row.cells[-1].figure for row in rows}
    assert {len(row.cells) for row in rows} == {4}
    assert last["rollout_latency_p99_s"] == "125 ms"
    assert last["rollout_duration_s"] == "–"
    p99 = next(row for row in rows if row.metric == "rollout_latency_p99_s")
    assert all("without a rollout 125 ms; " in cell.words for cell in p99.cells[:3])
    before = rows_of(plain().candidates, names, 0, alone=False)
    assert {len(row.cells) for row in before} == {3}
    assert not any("without a rollout" in cell.words for row in before for cell in row.cells)


def test_the_latency_strip_has_a_dashed_line_without_a_rollout() -> None:
    comparison = with_control()
    result, objectives = comparison.candidates[1], comparison.scenario.objectives
    story = story_of(result.runs[2], result.scenario)
    latency = strips_of(story, result, objectives, comparison.control_of(result))[1]
    line = latency.lines[-1]
    assert (line.name, line.is_control, line.is_dashed) == (CONTROL_NAME, True, False)
    assert len(line.values) == len(line.time_s) > 0
    assert set(line.values.tolist()) == {P99_S if latency.unit == "s" else 125.0}
    assert [one.name for one in strips_of(story, result, objectives)[1].lines] == ["p99", "p50"]


def axes_of() -> Any:
    figure = Figure(figsize=(4, 3))
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def test_charts_draw_the_control_where_there_is_one() -> None:
    comparison = with_control()
    result = comparison.candidates[1]
    for control, is_drawn in ((comparison.controls[0], True), (None, False)):
        axes = axes_of()
        draw_latency(axes, result, LIGHT, 2.0, control)
        assert (CONTROL_NAME in {text.get_text() for text in axes.texts}) is is_drawn
    for one, is_drawn in ((comparison, True), (plain(), False)):
        axes = axes_of()
        draw_trade_off(axes, one, None, LIGHT)
        words = {text.get_text() for text in axes.texts}
        assert ("without a rollout 125 ms" in words) is is_drawn


def test_the_report_has_the_control() -> None:
    row = dict(zip(TABLE_HEADINGS, control_row(with_control().controls[0]), strict=True))
    assert (row["window"], row["p99"], row["errors"], row["takes"], row["verdict"]) == (
        "–",
        "125 ms",
        "0 %",
        "–",
        "without a rollout",
    )
    heading = "What the rollout adds to the same interval without one"
    page = comparison_report(with_control())
    assert heading in page
    assert "<td>without a rollout</td>" in page
    assert heading not in comparison_report(plain())
    assert "without a rollout" not in comparison_report(plain())


# The answer `misses_anyway`


def missed(result: CandidateResult) -> CandidateResult:
    """The candidate as it is judged where the fleet misses its p99 without a rollout, too."""
    p99 = ObjectiveVerdict(
        name="latency_p99",
        answer="misses_anyway",
        limit=2.0,
        rollout=4.6,
        control=4.6,
        runs_breaking=0,
        control_runs_beyond=4,
        cause="fleet",
    )
    verdict = Verdict(
        answer="misses_anyway",
        runs_meeting=4,
        runs=4,
        lower_bound=0.5,
        reasons=("p99 2 s does not hold even without a rollout: 4.6 s",),
        objectives=(p99,),
    )
    return replace(result, verdict=verdict)


def test_what_is_missed_anyway_is_neither_met_nor_failed() -> None:
    result = missed(plain().candidates[1])
    assert verdict_text(result) == "◇ misses anyway"
    assert sentence_of("Window 2", result.verdict) == (
        "Window 2 breaks nothing in 4 of 4 runs, but misses anyway, even without a rollout: latency_p99"
    )
    objectives = plain().scenario.objectives
    p99 = facts(result, objectives).p99
    assert (p99.is_missed_anyway, p99.is_broken, p99.is_within) == (True, True, None)
    looks = [figure.look for figure in four_figures(result, objectives, 6)]
    assert looks[2] == "missed"
    assert "bad" not in looks
    page = comparison_report(replace(plain(), candidates=(result,), front=()), index=0)
    assert "class='verdict misses_anyway'" in page
    assert "class=missed" in page


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_every_answer_has_a_glyph_and_colours_of_its_own(theme: Theme) -> None:
    assert len(set(ANSWER_GLYPHS.values())) == len(ANSWER_GLYPHS) == 4
    assert len({theme.answer_colours(answer) for answer in ANSWER_GLYPHS}) == 4
    assert len({theme.answer_mark(answer) for answer in ANSWER_GLYPHS}) == 4


@pytest.mark.parametrize("key", ["p99", "lost"])
def test_what_is_missed_anyway_is_not_within_every_limit(key: str) -> None:
    comparison = replace(plain(), candidates=tuple(map(missed, plain().candidates)))
    assert holding_front(comparison, RISKS[key]) == ()
    assert region_of(comparison, RISKS[key], 40.0) is None


# The figure that a limit is about


def test_lost_requests_are_counted_where_their_count_is_limited() -> None:
    """`objectives.failed_requests` limits a count, so the card shows a count, that of one rollout."""
    result = plain().candidates[1]
    runs = tuple(
        replace(run, alone={**run.alone, "failed_requests": 6.0}, metrics={**run.metrics})
        for run in result.runs
    )
    result = candidate_result(result.case, runs)
    objectives = plain().scenario.objectives.model_copy(update={"failed_requests": 4})
    lost = four_figures(result, objectives, 6)[3]
    assert (lost.name, lost.figure, lost.under) == ("Lost per rollout", "6", "6 · limit 4")
    assert facts(result, objectives).lost.answer != "meets"
    assert "6 per rollout" in lost.tip


def test_capacity_of_several_services_is_that_of_one() -> None:
    """11 of 13 instances beside 50 % of capacity: one service of two has one left."""
    result = plain().candidates[1]
    services = dict(result.scenario.services)
    services["db"] = services["web"]
    two = result.scenario.model_copy(update={"services": services})
    several = replace(result, case=replace(result.case, scenario=two))
    objectives = plain().scenario.objectives
    assert four_figures(several, objectives, 12)[1].under.endswith("% of one service's capacity")
    assert four_figures(result, objectives, 6)[1].under.endswith("% of capacity")
