"""HTML pages about what happened: a rollout that was carried out, or a contest of the lab."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from executor.plan.model import Interval, Plan
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from simulation.study.rows import run_rows
from studio.charts.contest import Column, draw_contest
from studio.charts.waterfall import ROW_PX, draw_waterfall
from studio.lab.contest import CAPS, Arm, Contest, cap_range
from studio.reports.html_page import Table, render_page, svg_of
from studio.views.figures_text import NOTHING, metric_text, range_text
from studio.views.spans import Span, actual_spans, forecast_spans
from studio.views.theme import LIGHT

_TITLES = {
    "rollout_duration_s": "Duration",
    "failed_requests": "Failed requests",
    "rollout_latency_p99_s": "p99 of latency",
}

_CONTEST_CHART_PX = 260


def timeline_report(plan: Plan, timeline: dict[str, Any], forecast: Sequence[Span] = ()) -> str:
    """Return the page of an execution: how it ended, forecast and actual steps on one axis, figures.

    Args:
        plan: The plan that was carried out.
        timeline: The executor's record of the execution.
        forecast: The steps of one simulated run, see `forecast_of`.
    """
    ended = str(timeline["ended"] or "not ended")
    names = list(plan.instances)
    figures = [
        (_words(name), metric_text(name, value), _range(name, plan.prediction.metrics.get(name)))
        for name, value in timeline["measured"].items()
    ]
    failed = [
        (step["instance"], _words(step["step"]), step["outcome"], step["said"])
        for step in timeline["steps"]
        if step["outcome"] != "done"
    ]
    return render_page(
        "rollout.html",
        f"{plan.name}: {ended}",
        plan=plan,
        timeline=timeline,
        ended=ended.replace("_", " "),
        chart=svg_of(
            lambda axes: draw_waterfall(axes, names, forecast, actual_spans(timeline), LIGHT),
            110 + ROW_PX * len(names),
        ),
        figures=Table(("", "measured", "forecast, 5–95 % of single runs"), figures),
        failed_steps=Table(("instance", "step", "", ""), failed),
    )


def forecast_of(plan: Plan) -> list[Span]:
    """Simulate a plan once, as its first replication, and return the steps of that run."""
    scenario = Scenario.model_validate(plan.scenario).model_copy(
        update={"seed": plan.seed, "replications": 1}
    )
    row = next(iter(run_rows(scenario, cases_of(scenario))))
    return forecast_spans(row.runs[0].states, scenario.service.instance_names(plan.service))


def contest_report(contest: Contest) -> str:
    """Return the page that holds forecasts against the machine: the score, charts, every judged value."""
    rankings, judged = contest.rankings(), contest.judged()
    score = contest.score()
    rows = [
        (
            value.arm,
            str(value.run + 1),
            _TITLES[value.metric],
            metric_text(value.metric, value.value),
            f"{metric_text(value.metric, value.low)} – {metric_text(value.metric, value.high)}",
            "holds" if value.holds else "misses",
        )
        for value in judged
    ]
    missed = {number for number, value in enumerate(judged) if not value.holds}
    return render_page(
        "contest.html",
        f"{contest.scenario.name}: forecast and machine",
        name=contest.scenario.name,
        held_count=len(judged) - len(missed),
        score="" if score is None else f"{score:.0%}",
        right_orders=sum(rankings),
        orders=len(rankings),
        digest=contest.digest,
        charts=[_contest_chart(contest, metric) for metric in CAPS],
        judged=Table(("arm", "run", "", "measured", "range that counts", ""), rows, missed),
        flags=contest.flags(),
    )


def _contest_chart(contest: Contest, metric: str) -> Markup:
    columns = [_column(contest, arm, metric) for arm in contest.arms]
    return svg_of(
        lambda axes: draw_contest(axes, metric, _TITLES[metric], columns, LIGHT),
        _CONTEST_CHART_PX,
    )


def _column(contest: Contest, arm: Arm, metric: str) -> Column:
    figure = arm.predicted[metric]
    low, high = cap_range(figure, CAPS[metric])
    values = [trial.metrics[metric] for trial in contest.trials[arm.name]]
    known = tuple(value for value in values if value is not None)
    return Column(arm.name, figure.mean, low, high, known, counts=not arm.is_at_the_edge)


def _words(name: str) -> str:
    """Return a metric's or a step's name in words, without its unit: ``rollout duration``."""
    return re.sub(r"_(s|count|fraction)$", "", name).replace("_", " ")


def _range(name: str, figure: Interval | None) -> str:
    return NOTHING if figure is None else range_text(name, figure)
