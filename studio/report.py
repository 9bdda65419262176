"""What happened as one HTML file that needs no other: a rollout, or forecasts against the machine.

Enters: an executor's timeline with its plan, or a contest of the lab. Leaves: HTML with its figures
inside as SVG. Everything that comes from a file is escaped.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from executor.plan import Interval, Plan
from simulation.candidates import candidates_of
from simulation.scenario import Scenario
from simulation.study import run_rows
from studio.charts import style
from studio.charts.contest import Column, draw_contest
from studio.charts.waterfall import ROW_PX, Span, actual_spans, draw_waterfall, forecast_spans
from studio.format import NOTHING, metric_text, range_text
from studio.lab.contest import CAPS, Arm, Contest, capped
from studio.theme import LIGHT, Theme

_WIDTH_PX = 960.0

_TITLES = {
    "rollout_duration_s": "Duration",
    "failed_requests": "Failed requests",
    "rollout_latency_p99_s": "p99 of latency",
}

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ background: {page}; color: {text}; font: 15px/1.5 Inter, 'DejaVu Sans', sans-serif;
  margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.05rem; margin-top: 2rem; }}
.card {{ background: {card}; border: 1px solid {line}; border-radius: 9px; padding: 1rem; }}
.card svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; }} th {{ color: {soft}; font-weight: normal; }}
th, td {{ padding: .2rem .9rem .2rem 0; text-align: left; }}
.miss {{ color: {failed}; }} .soft {{ color: {soft}; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


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
        f"<h1>{_safe(plan.name)}: {_safe(ended.replace('_', ' '))}</h1>",
        f"<p>{_safe(reason)}</p>" if reason else "",
        f"<p class=soft>Begun {_safe(timeline['began_at'])}, ended {_safe(timeline['ended_at'])}; "
        f"window {plan.window}, {len(names)} instances; plan {_safe(plan.digest[:12])}.</p>",
        f"<div class=card>{figure}</div>",
        "<h2>Measured and forecast</h2>",
        _table(("", "measured", "forecast, 5–95 % of single runs"), rows),
    ]
    if failed:
        parts += ["<h2>What did not go well</h2>", _table(("instance", "step", "", ""), failed)]
    return _page(f"{plan.name}: {ended}", parts)


def forecast_of(plan: Plan) -> list[Span]:
    """The steps of one simulated run of a plan: its first replication."""
    scenario = Scenario.model_validate(plan.scenario).model_copy(
        update={"seed": plan.seed, "replications": 1}
    )
    row = next(iter(run_rows(scenario, candidates_of(scenario))))
    return forecast_spans(row.runs[0].states, scenario.service.instance_names(plan.service))


def contest_report(contest: Contest) -> str:
    """Forecasts against the machine: the score, a figure for each metric, every judged value."""
    rankings, judged = contest.rankings(), contest.judged()
    score = contest.score()
    parts = [
        f"<h1>{_safe(contest.scenario.name)}: forecast and machine</h1>",
        f"<p>{sum(one.holds for one in judged)} of {len(judged)} measured values lie in the range "
        f"that was predicted for single runs{'' if score is None else f' ({score:.0%})'}. The order "
        f"of the arms by p99 was right in {sum(rankings)} of {len(rankings)} runs.</p>",
        f"<p class=soft>Predictions frozen before measuring, digest {_safe(contest.digest)}. "
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
    parts += [_table(("arm", "run", "", "measured", "range that counts", ""), rows)]
    flags = contest.flags()
    if flags:
        parts.append("<h2>What speaks against it</h2><ul>")
        parts += [f"<li>{_safe(flag)}</li>" for flag in flags]
        parts.append("</ul>")
    return _page(f"{contest.scenario.name}: forecast and machine", parts)


def _column(contest: Contest, arm: Arm, metric: str) -> Column:
    figure = arm.predicted[metric]
    low, high = capped(figure, CAPS[metric])
    values = [trial.metrics[metric] for trial in contest.trials[arm.name]]
    known = tuple(value for value in values if value is not None)
    return Column(arm.name, figure.mean, low, high, known, counts=not arm.is_at_the_edge)


def svg_of(draw: Callable[[Axes], None], height_px: float, theme: Theme = LIGHT) -> str:
    """A drawing as SVG that can stand in HTML; the same drawing is the same text."""
    with style.drawn_in_style():
        figure = Figure(
            figsize=(_WIDTH_PX / style.DPI, height_px / style.DPI), layout="constrained"
        )
        figure.set_facecolor(theme.card)
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"^.*?(?=<svg)", "", text.getvalue(), flags=re.DOTALL)


def _words(name: str) -> str:
    return re.sub(r"_(s|count|fraction)$", "", name).replace("_", " ")


def _range(name: str, figure: Interval | None) -> str:
    return NOTHING if figure is None else range_text(name, figure)


def _table(headings: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_safe(one)}</th>" for one in headings)
    body = "".join(
        f"<tr{' class=miss' if row[-1] == 'misses' else ''}>"
        + "".join(f"<td>{_safe(one)}</td>" for one in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _safe(text: object) -> str:
    return html.escape(str(text))


def _page(title: str, parts: Iterable[str]) -> str:
    look = {key: getattr(LIGHT, key) for key in ("page", "card", "text", "soft", "line", "failed")}
    return _PAGE.format(title=_safe(title), body="\n".join(filter(None, parts)), **look)
