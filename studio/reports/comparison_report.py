"""A comparison as one HTML page: the answer, its figures, and the command that gives them again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from ruamel.yaml.comments import CommentedMap

from executor.base.canonical_json import digest_of
from simulation.engine_version import engine_version
from simulation.planning.alternatives.model import Alternatives
from simulation.scenario.model import Scenario
from simulation.scenario.units import format_duration
from simulation.scenario.yaml_edits import dump_yaml
from simulation.study.candidates import Candidate
from simulation.study.compare import Comparison
from simulation.study.statistics.means import Difference
from simulation.study.summary.groups import CandidateGroup
from simulation.study.summary.recommendation import recommend
from studio.charts.of_comparison import MOST_ROWS, comparison_figures
from studio.reports.html_page import Banner, Table, render_page, svg_of_figure
from studio.views.advice.alternatives_text import TABLE_HEADINGS as ALTERNATIVE_HEADINGS
from studio.views.advice.alternatives_text import (
    alternative_row,
    alternatives_sentence,
    budget_sentence,
    confirmation_sentence,
)
from studio.views.answers.recommendation_text import (
    group_name,
    left_out_lines,
    next_best_text,
)
from studio.views.answers.rows_text import control_rows, group_row
from studio.views.candidate.control import control_figure
from studio.views.figures_text import (
    NOTHING,
    TABLE_HEADINGS,
    candidate_name,
    difference_texts,
    file_stem,
    shown_columns,
    verdict_sentence,
    waits_sentence,
)
from studio.views.headline import four_figures
from studio.views.sentences import LOSSES_HEADING, loss_table, note_text
from studio.views.why.diagnosis_text import comparison_why_lines

DIFFERENCES = {
    "rollout_duration_s": "duration",
    "rollout_latency_p99_s": "p99",
    "rollout_error_fraction": "errors",
    "lowest_in_pool_count": "fewest",
    "exposure_requests": "exposed requests",
}
"""The metrics whose differences are shown, with their headings."""


def comparison_report(
    comparison: Comparison,
    text: str | None = None,
    index: int | None = None,
    *,
    alternatives: Alternatives | None = None,
) -> str:
    """Return the page of a whole comparison; its charts are of one candidate.

    Args:
        comparison: The comparison.
        text: The scenario as it was simulated, comments and all; None to write it from the comparison.
        index: The candidate to draw; None for the chosen one, else the scenario's own.
        alternatives: The changes that would meet, where no candidate does.
    """
    scenario = comparison.scenario
    if index is None:
        index = _chosen_or_own(comparison)
    result = comparison.candidates[index]
    charts = comparison_figures(comparison, index)
    recommendation = recommend(comparison)
    notes = [f"! {note_text(note)}" for note in comparison.notes()]
    lost = loss_table(result.losses(), len(result.runs))
    file = f"{file_stem(scenario.name)}.yaml"
    return render_page(
        "comparison.html",
        f"{scenario.name}: comparison",
        scenario=scenario,
        verdict=Banner(
            result.verdict.answer,
            verdict_sentence(comparison, index),
            "fastest that does" if index == comparison.chosen else "",
        ),
        next_best=next_best_text(comparison, recommendation),
        left_out=left_out_lines(comparison, recommendation),
        remarks=[*result.verdict.reasons, *comparison_why_lines(comparison), *notes],
        figures=four_figures(result, scenario.objectives, _instance_count(scenario)),
        chart_over_time=svg_of_figure(charts.pop("over time")),
        other_charts=[svg_of_figure(chart) for chart in charts.values()],
        **_alternatives(alternatives),
        candidates=_candidates(comparison, recommendation.rows),
        baseline=candidate_name(comparison, comparison.baseline, begins_sentence=False),
        differences=_differences(comparison, recommendation.rows)
        if len(recommendation.rows) > 1
        else None,
        control_differences=_control_differences(comparison, recommendation.rows),
        not_all_instances=_not_all_instances(scenario),
        losses_heading=LOSSES_HEADING,
        losses=None if lost is None else Table(lost.headings, lost.rows),
        time_spent=waits_sentence(result),
        file=file,
        files_beside=_files_beside(scenario),
        command=command_of(comparison, file),
        version=version("rollcast"),
        engine_version=engine_version(),
        engines=sorted({run.engine for other in comparison.candidates for run in other.runs}),
        run_count=len(comparison.candidates[0].runs),
        planned_count=comparison.planned.count,
        scenario_digest=digest_of(scenario.as_data())[:12],
        scenario_text=text or dump_yaml(CommentedMap(scenario.as_data())),
    )


def _chosen_or_own(comparison: Comparison) -> int:
    for index in (comparison.chosen, comparison.fastest_meeting):
        if index is not None:
            return index
    windows = [result.candidate.window for result in comparison.candidates]
    own = comparison.scenario.window_count()
    return windows.index(own) if own in windows else 0


def _instance_count(scenario: Scenario) -> int:
    return sum(service.instance_count for service in scenario.services.values())


def _not_all_instances(scenario: Scenario) -> str:
    """Return the sentence that says how many instances the chart of steps shows, if not all."""
    count = len(scenario.all_instance_names())
    return f"{MOST_ROWS} of {count:,} instances at most." if count > MOST_ROWS else ""


def _candidates(comparison: Comparison, groups: Sequence[CandidateGroup]) -> Table:
    """Return a row for each group, and one for each start without a rollout."""
    shown = shown_columns(comparison.candidates)
    rows = [group_row(comparison, group) for group in groups]
    rows += control_rows(comparison, groups)
    return Table(
        [TABLE_HEADINGS[column] for column in shown],
        [[row[column] for column in shown] for row in rows],
    )


def _alternatives(alternatives: Alternatives | None) -> dict[str, Any]:
    """Return the changes that would meet as a sentence, a table, and what stands behind them."""
    if alternatives is None:
        return {"changes_sentence": ""}
    rows = [
        alternative_row(alternative, alternatives.scenario) for alternative in alternatives.offered
    ]
    return {
        "changes_sentence": alternatives_sentence(alternatives),
        "changes": Table(ALTERNATIVE_HEADINGS, rows) if rows else None,
        "changes_confirmed": confirmation_sentence(alternatives),
        "changes_not_tried": budget_sentence(alternatives),
    }


def _control_differences(comparison: Comparison, groups: Sequence[CandidateGroup]) -> Table | None:
    """Return what each group adds to the same interval without a rollout; None without a control."""
    names = ("rollout_latency_p99_s", "rollout_error_fraction", "failed_requests")
    figures = [
        [control_figure(comparison.candidates[group.first], name) for name in names]
        for group in groups
    ]
    if not any(figure for row in figures for figure in row):
        return None
    rows = [
        [
            group_name(comparison, group),
            *(
                NOTHING if figure is None else _in_two_lines(figure.metric, figure.difference)
                for figure in row
            ),
        ]
        for group, row in zip(groups, figures, strict=True)
    ]
    return Table(["", "p99", "errors", "failed requests"], rows)


def _differences(comparison: Comparison, groups: Sequence[CandidateGroup]) -> Table:
    """Return how the candidates differ from the baseline, a row for each group."""
    rows = [
        [
            group_name(comparison, group),
            *(
                _in_two_lines(name, comparison.differences[group.first][name])
                for name in DIFFERENCES
            ),
        ]
        for group in groups
        if comparison.baseline not in group.indices
    ]
    return Table(["", *DIFFERENCES.values()], rows)


def _in_two_lines(name: str, difference: Difference) -> str:
    """Return the mean, and under it its interval; neither is broken at its spaces."""
    mean, interval = difference_texts(name, difference)
    return f"{mean}\n({interval})".replace(" ", "\u00a0") if interval else mean


def _files_beside(scenario: Scenario) -> list[str]:
    """Return the names of the files that the scenario's traffic is read from."""
    rate = scenario.traffic.rate
    names = (getattr(rate, "trace", None), getattr(rate, "timestamps", None))
    return sorted({name for name in names if isinstance(name, str)})


def _start_text(candidate: Candidate) -> str:
    start = candidate.start
    return format_duration(start) if isinstance(start, float) else start


_VARIED: tuple[tuple[str, Callable[[Candidate], object]], ...] = (
    ("--windows", lambda candidate: candidate.written),
    ("--surges", lambda candidate: candidate.surge),
    ("--advance", lambda candidate: candidate.advance),
    ("--pauses", lambda candidate: format_duration(candidate.pause_s)),
    ("--drain-timeouts", lambda candidate: format_duration(candidate.drain_timeout_s)),
    ("--starts", _start_text),
    ("--policies", lambda candidate: candidate.policy),
)
"""The options of ``rollcast compare``, each with the setting of a candidate that it varies."""


def command_of(comparison: Comparison, file: str) -> str:
    """Return the command line that simulates the same candidates of a scenario file.

    Args:
        comparison: The comparison.
        file: The file's name, as it is typed.
    """
    scenario = comparison.scenario
    words = ["rollcast", "compare", file]
    candidates = [result.candidate for result in comparison.candidates]
    for option, value_of in _VARIED:
        values = list(dict.fromkeys(str(value_of(candidate)) for candidate in candidates))
        is_needed = len(values) > 1 or (option == "--windows" and scenario.rollout is not None)
        if is_needed:
            words += [option, ",".join(values)]
    runs = len(comparison.candidates[0].runs)
    words += ["--seed", str(scenario.seed), "--replications", str(runs)]
    return shlex.join(words)
