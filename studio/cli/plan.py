"""``rollcast plan``: the fastest candidate that meets the objectives, or a named one, as a validated plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from executor.base.errors import BadInput, Refused
from studio.cli import options as o

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from simulation.planning.search_result import CandidateOutcome, SearchResult
    from simulation.study.execution import Execution

_NAMED_WHEN_REFUSED = 6
"""Maximum number of candidates that are named with their reasons when none meets the objectives."""


def plan(
    scenario: o.ScenarioPath,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The plan file to write.")
    ],
    window: Annotated[
        str | None,
        typer.Option(
            metavar="N|P%",
            help="Plan this window (default: the fastest that meets the objectives).",
        ),
    ] = None,
    windows: o.Windows = None,
    drain_timeouts: o.DrainTimeouts = None,
    advance: o.Advances = None,
    starts: o.Starts = None,
    valid_for: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="How long the plan is valid: the rollout must begin within this time from now, with unit.",
        ),
    ] = "7d",
    sign: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY", help="Sign the plan with this Ed25519 private key (default: unsigned)."
        ),
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
    """Search for the fastest candidate that meets the objectives, confirm it, write its plan."""
    from simulation.planning.make_plan import planned_service
    from simulation.planning.search import search
    from simulation.planning.starts import starts_of
    from simulation.scenario.rollout import parse_window
    from simulation.scenario.units import parse_duration_s
    from simulation.study.candidates import default_windows
    from simulation.study.case import cases_of
    from simulation.study.store import Store

    if window is not None and windows is not None:
        raise BadInput("--window and --windows: must not both be given")
    o.must_be_writable(scenario, output)
    if sign is not None:
        from executor.plan.signing import private_key

        private_key(sign)  # refuses an unusable key before anything is simulated
    loaded = o.load(scenario, sets, seed, replications)
    if loaded.rollout is None:
        raise BadInput(f"{scenario}: rollout: is missing, there is nothing to plan")
    valid_for_s = o.one_value("--valid-for", valid_for, parse_duration_s)
    if valid_for_s == 0:
        raise BadInput(f"--valid-for {valid_for}: must be above 0")
    if window is not None:
        chosen = [o.one_value("--window", window, parse_window)]
    else:
        chosen = o.comma_list("--windows", windows, parse_window) or [
            *default_windows(loaded).windows
        ]
    cases = cases_of(
        loaded,
        chosen,
        o.comma_list("--drain-timeouts", drain_timeouts, parse_duration_s),
        starts_of(starts, "--starts", loaded),
        o.comma_list("--advance", advance, o.parse_advance),
    )
    planned_service(loaded)
    execution = o.make_execution(engine, jobs, cluster, quiet=quiet)
    with Store.beside(scenario) as store, o.report_search(quiet or json) as report_progress:
        result = search(loaded, cases, replace(execution, store=store), on_progress=report_progress)
    assert result is not None
    result = _explain(result, scenario, execution, quiet=quiet or json)
    if json:
        write_search_result(result, output, valid_for_s, sign)
        o.print_json(search_json(result))
        return
    print_search_result(result)
    print("\n".join(write_search_result(result, output, valid_for_s, sign)))


def _explain(found: SearchResult, path: Path, execution: Execution, *, quiet: bool) -> SearchResult:
    """Return the result with a diagnosis at the failing candidates that are named.

    Raises:
        BadInput: The cluster or the store cannot be used.
    """
    from simulation.planning.evidence import listed_candidates
    from simulation.planning.explain_search import explain_search
    from studio.cli.answers.explaining import explaining

    numbers = listed_candidates(found)[:_NAMED_WHEN_REFUSED]
    with explaining(execution, path, quiet=quiet) as (with_store, report_progress):
        return explain_search(found, numbers, with_store, on_progress=report_progress)


def write_search_result(
    found: SearchResult, output: Path, valid_for_s: float, key_file: Path | None = None
) -> list[str]:
    """Write the plan of the chosen candidate, signed if there is a key; return the answer's sentences.

    Raises:
        Refused: No candidate meets the objectives; the message says why.
    """
    from executor.plan.file import write_plan
    from simulation.planning.evidence import plan_of
    from studio.views.sentences import note_lines, qualifying_lines

    applied = [outcome.case.scenario for outcome in found.looked]
    if found.chosen is None:
        notes = "".join(f"; {line}" for line in qualifying_lines(found.scenario, applied))
        raise Refused(
            f"no plan is written, none meets the objectives: {_why_none(found)}"
            f"{_remedy_of_nearest(found)}{notes}"
        )
    made = plan_of(found, valid_for_s)
    if key_file is not None:
        from executor.plan.signing import sign

        made = sign(made, key_file)
    write_plan(output, made)
    sentences = [answer_sentence(found)]
    failed = found.confirmations[:-1]
    if failed:
        names = ", ".join(
            _name(found, confirmed.number, begins_sentence=False) for confirmed in failed
        )
        sentences.append(f"Before it, {names} looked as good and was not confirmed.")
    if found.busiest is not None and found.busiest != found.chosen:
        sentences.append(_busiest_sentence(found.looked[found.busiest]))
    if found.starts:
        sentences.append(found.starts)
    sentences += [f"! {line}." for line in note_lines(found.scenario, applied)]
    return [*sentences, f"The plan is in {output}"]


def _busiest_sentence(one: CandidateOutcome) -> str:
    start = _clock(one.candidate.start_label)
    if one.outcome in ("fails", "hopeless", "not confirmed", "undecided"):
        return f"At the busiest start, {start}, the same {one.outcome}: {one.reason}."
    assert one.result is not None
    verdict = one.result.verdict
    return (
        f"At the busiest start, {start}, the same meets the objectives in {verdict.runs_meeting} of "
        f"{verdict.runs} runs."
    )


def answer_sentence(found: SearchResult) -> str:
    """Return the answer: ``Window 3 at 02:40, 14 to 16 minutes, meets the objectives in at least 95 % of runs, …``."""
    from studio.views.figures_text import percent_text, span_text

    assert found.chosen is not None
    last, objectives = found.confirmations[-1], found.scenario.objectives
    takes = last.result.metrics["rollout_duration_s"]
    verdict = last.result.verdict
    name = _name(found, found.chosen, start_word=" at")
    return (
        f"{name}, {span_text(takes.run_low, takes.run_high)}, meets the objectives in at least "
        f"{percent_text(objectives.in_runs)} of runs, confirmed on fresh seeds "
        f"({verdict.runs_meeting} of {verdict.runs} runs)."
    )


def search_json(found: SearchResult) -> dict[str, Any]:
    """Return every candidate with its outcome, as ``--json`` prints it."""
    from executor.base.canonical_json import digest_of
    from simulation.planning.evidence import candidate_evidence, evidence_of
    from simulation.study.notes import notes_json, notes_of

    applied = [outcome.case.scenario for outcome in found.looked]
    evidence = [candidate_evidence(found, number) for number in range(len(found.looked))]
    return {
        "schema": "rollcast.search/1",
        "scenario": found.scenario.name,
        "scenario_digest": digest_of(found.scenario.as_data()),
        "chosen": found.chosen,
        "front": list(found.front),
        "busiest": found.busiest,
        **evidence_of(found).model_dump(mode="json"),
        "considered": [
            {**considered.model_dump(mode="json"), "why": _why_json(outcome)}
            for considered, outcome in zip(evidence, found.looked, strict=True)
        ],
        "notes": notes_json(notes_of(found.scenario, applied)),
    }


def _why_json(outcome: CandidateOutcome) -> dict[str, Any] | None:
    diagnosis = None if outcome.result is None else outcome.result.diagnosis
    return None if diagnosis is None else diagnosis.to_json()


def print_search_result(found: SearchResult) -> None:
    """Print the question, and the table of candidates with the reasons."""
    from simulation.planning.evidence import counts_of, listed_candidates
    from studio.cli.tables import answer_console

    console = answer_console()
    if found.scenario.question:
        console.print(found.scenario.question, style="bold")
        console.print()
    numbers = listed_candidates(found)
    console.print(_table(found, numbers))
    if len(numbers) < len(found.looked):
        counts = ", ".join(f"{count} {outcome}" for outcome, count in counts_of(found).items())
        console.print(f"{len(numbers)} of {len(found.looked)} candidates: {counts}.", style="dim")
    _print_why(console, found, numbers)
    if not found.front:
        return
    front = "; ".join(
        _name(found, number, begins_sentence=False) for number in found.front[:_NAMED_WHEN_REFUSED]
    )
    more = len(found.front) - _NAMED_WHEN_REFUSED
    console.print(
        f"No other is both faster and lower in p99 than: {front}"
        f"{f'; and {more} more' if more > 0 else ''}."
    )
    console.print()


def _print_why(console: Console, found: SearchResult, numbers: list[int]) -> None:
    """Print why candidates fail, a line for each that was explained."""
    from studio.views.why.diagnosis_text import why_text

    for number in numbers:
        outcome = found.looked[number]
        if outcome.result is not None and outcome.result.diagnosis is not None:
            why = why_text(outcome.case.scenario, outcome.result.diagnosis)
            console.print(f"{_name(found, number)}: {why}.")


def _table(found: SearchResult, numbers: list[int]) -> Table:
    from rich.table import Table

    from simulation.planning.evidence import candidate_evidence
    from studio.views.figures_text import duration_text, latency_text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("candidate", "takes", "p99", "meets", "", "why"):
        table.add_column(heading, justify="right" if heading in ("takes", "p99") else "left")
    for number in numbers:
        evidence = candidate_evidence(found, number)
        table.add_row(
            _name(found, number),
            duration_text(evidence.duration_s),
            latency_text(evidence.latency_p99_s),
            f"{evidence.runs_meeting} of {evidence.runs}" if evidence.runs else "",
            evidence.outcome,
            evidence.reason,
            style="bold" if number == found.chosen else "",
        )
    return table


def _name(
    found: SearchResult,
    number: int,
    *,
    begins_sentence: bool = True,
    start_word: str = ", start",
) -> str:
    """Return the name of a candidate; where the candidates differ in it, with its start."""
    from studio.views.figures_text import name_among

    candidates = [outcome.candidate for outcome in found.looked]
    name = name_among(
        candidates[number], candidates, begins_sentence=begins_sentence, with_start=False
    )
    has_one_start = len({candidate.start_label for candidate in candidates}) == 1
    label = _clock(candidates[number].start_label)
    return name if has_one_start else f"{name}{start_word} {label}"


def _clock(start_label: str) -> str:
    """Return a start without its seconds where they are 0: ``18:00`` for ``18:00:00``."""
    has_seconds = start_label.count(":") > 1
    return start_label.removesuffix(":00") if has_seconds else start_label


def _remedy_of_nearest(found: SearchResult) -> str:
    """Return the simulated change that helps the nearest candidate that has one; else nothing."""
    from simulation.planning.evidence import listed_candidates
    from studio.views.why.diagnosis_text import remedy_sentence

    for number in listed_candidates(found):
        result = found.looked[number].result
        diagnosis = None if result is None else result.diagnosis
        if diagnosis is not None and diagnosis.remedy is not None:
            name = _name(found, number, begins_sentence=False)
            return f". For {name}: {remedy_sentence(diagnosis)}"
    return ""


def _why_none(found: SearchResult) -> str:
    """Return the reasons of the candidates that came nearest, and the counts of all outcomes."""
    from simulation.planning.evidence import counts_of, listed_candidates

    named = listed_candidates(found)[:_NAMED_WHEN_REFUSED]
    reasons = [
        f"{_name(found, n, begins_sentence=False)} {found.looked[n].outcome}: {found.looked[n].reason}"
        for n in named
    ]
    if len(found.looked) > len(named):
        counts = ", ".join(f"{count} {outcome}" for outcome, count in counts_of(found).items())
        reasons.append(f"of {len(found.looked)} in all {counts}")
    return "; ".join(reasons)
