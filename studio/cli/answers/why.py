"""``rollcast why``: what a candidate loses, when, by which cause, and the change that avoids it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from executor.base.errors import BadInput
from studio.cli import options as o
from studio.cli.answers.explaining import explain_comparison

if TYPE_CHECKING:
    from simulation.study.candidate_result import CandidateResult
    from simulation.study.compare import Comparison


def why(
    scenario: o.ScenarioPath,
    window: Annotated[
        str | None,
        typer.Option(metavar="N|P%", help="Window to examine (default: the scenario's)."),
    ] = None,
    seed: o.Seed = None,
    replications: o.Replications = None,
    engine: o.Engine = "auto",
    jobs: o.Jobs = None,
    cluster: o.Cluster = None,
    sets: o.Sets = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Say what a rollout loses, when, by which cause, and which change avoids it."""
    from simulation.scenario.rollout import parse_window
    from simulation.study.case import cases_of

    loaded = o.load(scenario, sets, seed, replications)
    if loaded.rollout is None:
        raise BadInput(f"{scenario}: rollout: is missing, there is nothing to explain")
    windows = [] if window is None else [o.one_value("--window", window, parse_window)]
    cases = cases_of(loaded, windows)
    execution = o.make_execution(engine, jobs, cluster, quiet=quiet)
    comparison, _rows = o.run_study(loaded, cases, execution, path=scenario, quiet=quiet or json)
    comparison = explain_comparison(
        comparison, execution, scenario, quiet=quiet or json, with_undecided=True
    )
    if json:
        from simulation.study.notes import notes_json

        notes = notes_json(comparison.notes())
        answer = {**comparison.candidate_json(0), "schema": "rollcast.why/1", "notes": notes}
        o.print_json(answer)
        return
    _print(comparison)


def _print(comparison: Comparison) -> None:
    from studio.cli.answers.compare_answer import print_notes
    from studio.cli.tables import answer_console, text_table
    from studio.views.figures_text import verdict_sentence
    from studio.views.sentences import LOSSES_HEADING, loss_table
    from studio.views.why.diagnosis_text import trial_rows, why_lines

    console, result = answer_console(), comparison.candidates[0]
    diagnosis = result.diagnosis
    console.print(f"{verdict_sentence(comparison, 0)}.", style="bold")
    if diagnosis is not None:
        for line in why_lines(result.scenario, diagnosis):
            console.print(f"{line}.")
    else:
        console.print(_nothing_to_explain(result))
    lost = loss_table(result.losses(), len(result.runs))
    if lost is not None:
        console.print(f"\n{LOSSES_HEADING}:")
        console.print(text_table(lost.headings, lost.rows))
    if diagnosis is not None and diagnosis.trials:
        console.print("\nTried in runs that miss an objective, on the same requests:")
        console.print(text_table(("change", "runs that then meet"), trial_rows(diagnosis.trials)))
    print_notes(console, comparison)


def _nothing_to_explain(result: CandidateResult) -> str:
    lost = "" if result.losses().total else ", and nothing is lost"
    return f"No run misses an objective{lost}."
