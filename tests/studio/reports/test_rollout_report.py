"""Reports: one file that needs no other, with forecast and actual in it."""

from __future__ import annotations

import re
from typing import Any

from matplotlib.figure import Figure

from simulation.results.states import State
from studio.charts.waterfall import draw_waterfall
from studio.lab.contest import Contest
from studio.reports.rollout_report import contest_report, forecast_of, timeline_report
from studio.views.spans import Span, actual_spans
from studio.views.theme import LIGHT
from tests.helpers.plans import example_plan
from tests.studio.lab.test_contest import FOUND, SIX, arms, record


def timeline(names: list[str]) -> dict[str, Any]:
    return {
        "ended": "halted",
        "reason": "errors <above> the forecast",
        "began_at": "2026-01-01T18:00:00+00:00",
        "ended_at": "2026-01-01T18:01:00+00:00",
        "steps": [
            {
                "instance": names[0],
                "step": "stop",
                "begin_s": 2.0,
                "outcome": "failed",
                "said": "x&y",
            },
        ],
        "states": [
            {"instance": names[0], "state": "serving", "begin_s": 0.0, "end_s": 2.0},
            {"instance": names[0], "state": "stopping", "begin_s": 2.0, "end_s": 5.0},
            {"instance": names[0], "state": "failed", "begin_s": 5.0, "end_s": 9.0},
        ],
        "measured": {"rollout_duration_s": 9.0, "lowest_in_pool_count": 3},
    }


def is_alone(page: str) -> bool:
    """Whether a page asks for nothing from elsewhere."""
    linked = re.findall(r"""(?:src|href)=["']([^"'#][^"']*)""", page)
    return not linked and "<script" not in page and "@import" not in page


def test_an_execution_as_one_page() -> None:
    plan = arms(1, 2)[1].plan
    names = list(plan.instances)
    page = timeline_report(plan, timeline(names), forecast_of(plan))
    assert is_alone(page)
    assert page.count("<svg") == 1
    assert "errors &lt;above&gt; the forecast" in page
    assert "x&amp;y" in page
    assert "<above>" not in page
    assert "9.0 s" in page
    duration = plan.prediction.metrics["rollout_duration_s"]
    assert f"{duration.run_low:.1f}" in page
    for name in names:
        assert name in page
    assert page == timeline_report(plan, timeline(names), forecast_of(plan)) or (
        "clip-path" in page  # matplotlib names its paths at random; all else is the same
    )


def test_the_forecast_is_the_plans_first_run() -> None:
    plan = arms(1, 2)[1].plan
    spans = forecast_of(plan)
    assert {span.instance for span in spans} == set(plan.instances)
    first = [span for span in spans if span.instance == plan.instances[0]]
    assert [span.state for span in first] == [
        State.DRAINING,
        State.STOPPING,
        State.DEPLOYING,
        State.VERIFYING,
        State.STARTING,
        State.RETURNING,
        State.SERVING,
    ]
    assert first[0].begin_s == 0.0


def test_both_stand_on_one_axis_of_time() -> None:
    names = ["a", "b"]
    actual = actual_spans(timeline(names))
    assert actual[1] == Span("a", State.STOPPING, 0.0, 3.0)
    forecast = [Span("b", State.DRAINING, 1.0, 20.0)]
    axes = Figure().add_subplot()
    draw_waterfall(axes, names, forecast, actual, LIGHT)
    boxes = [part.get_paths()[0].get_extents() for part in axes.collections]
    assert [(box.x0, box.x1) for box in boxes] == [(1.0, 20.0), (0.0, 3.0), (3.0, 7.0)]
    assert boxes[0].y0 > 0.5  # b's row, and its forecast above the middle
    assert boxes[0].y1 < 1.0
    assert axes.get_xlim()[1] > 20.0
    legend = axes.get_legend()
    assert legend is not None
    words = ["drain", "stop, deploy, verify", "failed, crashed"]
    assert [text.get_text() for text in legend.get_texts()] == words


def test_a_contest_as_one_page() -> None:
    two, four = arms(2, 4)
    middle = two.predicted["rollout_latency_p99_s"].mean
    good = record(rollout_duration_s=1e9, failed_requests=0.0, rollout_latency_p99_s=middle)
    late = record(rollout_duration_s=None, failed_requests=0.0, rollout_latency_p99_s=1e3)
    made = Contest(SIX, FOUND, (two, four), "d" * 64, {two.name: (good,), four.name: (late,)}, ())
    page = contest_report(made)
    assert is_alone(page)
    assert page.count("<svg") == 3
    assert "3 of 6 measured values" in page
    assert page.count("<td>misses</td>") == 3
    assert page.count("<td>holds</td>") == 3
    assert "right in 1 of 1 runs" in page
    assert "d" * 64 in page


def test_a_plan_that_was_never_simulated_here_needs_no_forecast() -> None:
    plan = example_plan()
    page = timeline_report(plan, timeline(list(plan.instances)))
    assert page.count("<svg") == 1
