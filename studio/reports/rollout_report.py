"""What happened as one HTML file that needs no other: a rollout, or forecasts against the machine.

Enters: an executor's timeline with its plan, or a contest of the lab. Leaves: HTML with its figures
inside as SVG. Everything that comes from a file is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from executor.plan.model import Interval, Plan
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of
from simulation.study.rows import run_rows
from studio.charts.contest import Column, draw_contest
from studio.charts.waterfall import ROW_PX, draw_waterfall
from studio.lab.contest import CAPS, Arm, Contest, cap_range
from studio.reports.html_page import page_of, safe, svg_of, table_of
from studio.views.figures_text import NOTHING, metric_text, range_text
from studio.views.spans import Span, actual_spans, forecast_spans
from studio.views.theme import LIGHT

_TITLES = {
    "rollout_duration_s": "Duration",
    "failed_requests": "Failed requests",
    "rollout_latency_p99_s": "p99 of latency",
}


def timeline_report(plan: Plan, timeline: dict[str, Any], forecast: Sequence[Span] = ()) -> str:
    """An execution: how it ended, forecast and actual on one axis, figures side by side.

    Args:
        plan: What was to be carried out.
        timeline: The executor's record of it.
        forecast: The steps of one simulated run, see `forecast_of`.
    """
    ended, reason = str(timeline["ended"] or "not ended"), timeline["reason"]
    names = list(plan.instances)
    figure = svg_of(
        lambda axes: draw_waterfall(axes, names, forecast, actual_spans(timeline), LIGHT),
        110 + ROW_PX * len(names),
    )
    rows = [
        (_words(name), metric_text(name, value), _range(name, plan.prediction.metrics.get(name)))
        for name, value in timeline["measured"].items()
    ]
    failed = [
        (one["instance"], _words(one["step"]), one["outcome"], one["said"])
        for one in timeline["steps"]
        if one["outcome"] != "done"
    ]
    parts = [
        f"<h1>{safe(plan.name)}: {safe(ended.replace('_', ' '))}</h1>",
        f"<p>{safe(reason)}</p>" if reason else "",
        f"<p class=soft>Begun {safe(timeline['began_at'])}, ended {safe(timeline['ended_at'])}; "
        f"window {plan.window}, {len(names)} instances; plan {safe(plan.digest[:12])}.</p>",
        f"<div class=card>{figure}</div>",
        "<h2>Measured and forecast</h2>",
        table_of(("", "measured", "forecast, 5–95 % of single runs"), rows),
    ]
    if failed:
        parts += ["<h2>What did not go well</h2>", table_of(("instance", "step", "", ""), failed)]
    return page_of(f"{plan.name}: {ended}", parts)


def forecast_of(plan: Plan) -> list[Span]:
    """The steps of one simulated run of a plan: its first replication."""
    scenario = Scenario.model_validate(plan.scenario).model_copy(
        update={"seed": plan.seed, "replications": 1}
    )
    row = next(iter(run_rows(scenario, cases_of(scenario))))
    return forecast_spans(row.runs[0].states, scenario.service.instance_names(plan.service))


def contest_report(contest: Contest) -> str:
    """Forecasts against the machine: the score, a figure for each metric, every judged value."""
    rankings, judged = contest.rankings(), contest.judged()
    score = contest.score()
    parts = [
        f"<h1>{safe(contest.scenario.name)}: forecast and machine</h1>",
        f"<p>{sum(one.holds for one in judged)} of {len(judged)} measured values lie in the range "
        f"that was predicted for single runs{'' if score is None else f' ({score:.0%})'}. The order "
        f"of the arms by p99 was right in {sum(rankings)} of {len(rankings)} runs.</p>",
        f"<p class=soft>Predictions frozen before measuring, digest {safe(contest.digest)}. "
        "Half of a range counts at most as 10 % of the duration and 30 % of p99.</p>",
    ]
    for metric in CAPS:
        figure = svg_of(
            lambda axes, metric=metric: draw_contest(  # type: ignore[misc] # bound now
                axes,
                metric,
                _TITLES[metric],
                [_column(contest, a, metric) for a in contest.arms],
                LIGHT,
            ),
            260,
        )
        parts.append(f"<div class=card>{figure}</div><br>")
    rows = [
        (
            one.arm,
            str(one.run + 1),
            _TITLES[one.metric],
            metric_text(one.metric, one.value),
            f"{metric_text(one.metric, one.low)} – {metric_text(one.metric, one.high)}",
            "holds" if one.holds else "misses",
        )
        for one in judged
    ]
    parts += ["<h2>Every judged value</h2>"]
    parts += [table_of(("arm", "run", "", "measured", "range that counts", ""), rows)]
    flags = contest.flags()
    if flags:
        parts.append("<h2>What speaks against it</h2><ul>")
        parts += [f"<li>{safe(flag)}</li>" for flag in flags]
        parts.append("</ul>")
    return page_of(f"{contest.scenario.name}: forecast and machine", parts)


def _column(contest: Contest, arm: Arm, metric: str) -> Column:
    figure = arm.predicted[metric]
    low, high = cap_range(figure, CAPS[metric])
    values = [trial.metrics[metric] for trial in contest.trials[arm.name]]
    known = tuple(value for value in values if value is not None)
    return Column(arm.name, figure.mean, low, high, known, counts=not arm.is_at_the_edge)


def _words(name: str) -> str:
    return re.sub(r"_(s|count|fraction)$", "", name).replace("_", " ")


def _range(name: str, figure: Interval | None) -> str:
    return NOTHING if figure is None else range_text(name, figure)
