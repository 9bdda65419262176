"""A comparison as one HTML file that needs no other: the answer, its figures, and how to get it again.

Enters: a comparison, the text of its scenario. Leaves: HTML with its charts inside as SVG. Everything
that comes from the scenario is escaped.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from importlib.metadata import version

from ruamel.yaml.comments import CommentedMap

from executor.base.canonical_json import digest_of
from simulation.engine_version import engine_version
from simulation.scenario.model import Scenario
from simulation.scenario.units import format_duration
from simulation.scenario.yaml_edits import dump_yaml
from simulation.study.candidates import Candidate
from simulation.study.compare import Comparison
from studio.charts.of_comparison import MOST_ROWS, comparison_figures
from studio.reports.html_page import figures_of, page_of, safe, svg_of_figure, table_of, verdict_of
from studio.views.figures_text import (
    TABLE_HEADINGS,
    candidate_name,
    difference_text,
    file_stem,
    shown_columns,
    table_row,
    verdict_sentence,
    waits_sentence,
)
from studio.views.headline import four_figures
from studio.views.sentences import note_text

DIFFERENCES = {
    "rollout_duration_s": "duration",
    "rollout_latency_p99_s": "p99",
    "rollout_error_fraction": "errors",
    "lowest_in_pool_count": "fewest",
    "exposure_requests": "exposed requests",
}
"""The metrics whose differences are told, with their words."""


def comparison_report(
    comparison: Comparison, text: str | None = None, index: int | None = None
) -> str:
    """The whole comparison; charts are of one candidate.

    Args:
        comparison: What was simulated.
        text: The scenario as it was simulated, comments and all; None to write it from what was.
        index: The candidate that is looked at; the chosen one, else the scenario's own.
    """
    scenario = comparison.scenario
    if index is None:
        index = _chosen_or_own(comparison)
    result = comparison.candidates[index]
    note = "fastest that does" if index == comparison.chosen else ""
    charts = comparison_figures(comparison, index)
    parts = [
        f"<h1>{safe(scenario.name)}</h1>",
        f"<p>{safe(scenario.question)}</p>" if scenario.question else "",
        verdict_of(result.verdict.answer, verdict_sentence(comparison, index), note),
        _list([*result.verdict.reasons, *(f"! {note_text(one)}" for one in comparison.notes())]),
        figures_of(four_figures(result, scenario.objectives, _instance_count(scenario))),
        f"<div class=card>{svg_of_figure(charts.pop('over time'))}</div>",
        *_candidates(comparison),
        *(f"<div class=card>{svg_of_figure(chart)}</div>" for chart in charts.values()),
        f"<p class=soft>{safe(_about_steps(scenario))}</p>" if charts else "",
        f"<p>{safe(waits_sentence(result))}.</p>" if waits_sentence(result) else "",
        *_how_again(comparison, text),
    ]
    return page_of(f"{scenario.name}: comparison", parts)


def _chosen_or_own(comparison: Comparison) -> int:
    if comparison.chosen is not None:
        return comparison.chosen
    windows = [one.candidate.window for one in comparison.candidates]
    own = comparison.scenario.window_count()
    return windows.index(own) if own in windows else 0


def _instance_count(scenario: Scenario) -> int:
    return sum(service.instance_count for service in scenario.services.values())


def _about_steps(scenario: Scenario) -> str:
    count = len(scenario.all_instance_names())
    shown = f" {MOST_ROWS} of {count:,} instances at most." if count > MOST_ROWS else ""
    return f"Steps are those of the first run; lines are medians over runs, bands 5–95 %.{shown}"


def _list(lines: Iterable[str]) -> str:
    told = "".join(f"<li>{safe(line)}</li>" for line in lines)
    return f"<ul>{told}</ul>" if told else ""


def _candidates(comparison: Comparison) -> Iterable[str]:
    """The table, and what sets the candidates apart."""
    shown = shown_columns(comparison.candidates)
    rows = [table_row(result) for result in comparison.candidates]
    yield "<h2>Candidates</h2>"
    cells = ([row[column] for column in shown] for row in rows)
    yield f"<div class=card>{table_of([TABLE_HEADINGS[column] for column in shown], cells)}</div>"
    if len(rows) < 2:
        return
    base = candidate_name(comparison, comparison.baseline)
    yield f"<h2>Against {safe(base[0].lower() + base[1:])}, paired: mean and 95 % interval</h2>"
    differences = [
        [
            candidate_name(comparison, index),
            *(_in_two_lines(difference_text(name, one[name])) for name in DIFFERENCES),
        ]
        for index, one in enumerate(comparison.differences)
        if index != comparison.baseline
    ]
    yield f"<div class=card>{table_of(['', *DIFFERENCES.values()], differences)}</div>"
    yield "<p class=soft>A difference whose interval holds 0 is none that these runs show.</p>"


def _in_two_lines(difference: str) -> str:
    """The mean, and under it its interval, which is not broken."""
    mean, opens, between = difference.partition(" (")
    return f"{mean}\n({between}".replace(" ", "\u00a0") if opens else mean


def _how_again(comparison: Comparison, text: str | None) -> Iterable[str]:
    """The scenario, and the command that gives the same figures."""
    scenario = comparison.scenario
    runs = len(comparison.candidates[0].runs)
    file, rate = f"{file_stem(scenario.name)}.yaml", scenario.traffic.rate
    beside = {
        str(name)
        for name in (getattr(rate, "trace", None), getattr(rate, "timestamps", None))
        if isinstance(name, str)
    }
    and_it = f" and <code>{safe(', '.join(beside))}</code> beside it" if beside else ""
    yield "<h2>How to get the same</h2>"
    said = f"With the scenario below as <code>{safe(file)}</code>{and_it}, the same figures come of"
    yield f"<p>{said}</p><div class=card><pre>{safe(command_of(comparison, file))}</pre></div>"
    engines = sorted({run.engine for one in comparison.candidates for run in one.runs})
    yield (
        f"<p class=soft>Rollcast {version('rollcast')}, engine {safe(engine_version())} "
        f"({', '.join(engines)}), seed {scenario.seed}, {runs} of {scenario.replications} "
        f"replications; scenario {digest_of(scenario.as_data())[:12]}. Figures are means over runs, "
        "ranges are 5–95 % of single runs.</p>"
    )
    yield f"<h2>The scenario</h2><div class=card><pre>{safe(text or dump_yaml(CommentedMap(scenario.as_data())))}</pre></div>"


def _start_word(one: Candidate) -> str:
    return format_duration(one.start) if isinstance(one.start, float) else one.start


_VARIED: tuple[tuple[str, Callable[[Candidate], object]], ...] = (
    ("--windows", lambda one: one.written),
    ("--surges", lambda one: one.surge),
    ("--advance", lambda one: one.advance),
    ("--pauses", lambda one: format_duration(one.pause_s)),
    ("--drain-timeouts", lambda one: format_duration(one.drain_timeout_s)),
    ("--starts", _start_word),
    ("--policies", lambda one: one.policy),
)
"""The options of ``rollcast compare``, and what each varies."""


def command_of(comparison: Comparison, file: str) -> str:
    """The command line that simulates the same candidates of a scenario file.

    Args:
        comparison: What was simulated.
        file: The file's name, as it is typed.
    """
    scenario = comparison.scenario
    words = ["rollcast", "compare", file]
    for option, value_of in _VARIED:
        values = list(dict.fromkeys(str(value_of(one.candidate)) for one in comparison.candidates))
        is_asked = len(values) > 1 or (option == "--windows" and scenario.rollout is not None)
        if is_asked:
            words += [option, ",".join(values)]
    runs = len(comparison.candidates[0].runs)
    words += ["--seed", str(scenario.seed), "--replications", str(runs)]
    return shlex.join(words)
