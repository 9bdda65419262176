"""``rollcast plan``: the fastest candidate that meets the objectives, or a named one, as a validated plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from executor.base.errors import BadInput, Refused
from studio.cli import options as o
from studio.cli.parts.alternatives import SearchChanges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from simulation.planning.alternatives.model import Alternatives
    from simulation.planning.search_result import CandidateOutcome, SearchResult
    from simulation.scenario.model import Scenario
    from simulation.study.summary.groups import CandidateGroup

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
    accept_missing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OBJECTIVE",
            help="Accept that this objective does not hold even without a rollout, such as latency_p99; "
            "repeatable (default: such a candidate becomes no plan).",
        ),
    ] = None,
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
    changes: SearchChanges = True,
    json: o.Json = False,
    quiet: o.Quiet = False,
    all_rows: o.AllRows = False,
) -> None:
    """Search for the fastest candidate that meets the objectives, confirm it, write its plan."""
    from simulation.planning.alternatives.find import tried_in_search
    from simulation.planning.make_plan import planned_service
    from simulation.planning.search import search
    from simulation.planning.starts import starts_of
    from simulation.scenario.rollout import parse_window
    from simulation.scenario.units import parse_duration_s
    from simulation.study.candidates import default_windows
    from simulation.study.case import cases_of
    from simulation.study.store import Store
    from studio.cli.parts.alternatives import find_changes, print_alternatives
    from studio.cli.tables import answer_console

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
    accepted = _accepted_objectives(loaded, accept_missing or [])
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
        result = search(
            loaded,
            cases,
            replace(execution, store=store),
            accepted=accepted,
            on_progress=report_progress,
        )
    assert result is not None
    alternatives = None
    if changes and result.chosen is None:
        alternatives = find_changes(
            loaded, tried_in_search(result), execution, path=scenario, quiet=quiet or json
        )
    if json:
        if result.chosen is not None:
            write_search_result(result, output, valid_for_s, sign)
        o.print_json(search_json(result, alternatives))
        if result.chosen is None:
            raise refusal(result)
        return
    try:
        *answer, written = write_search_result(result, output, valid_for_s, sign)
    except Refused:
        print_search_result(result, (), all_rows=all_rows)
        if alternatives is not None:
            print_alternatives(answer_console(), alternatives)
        raise
    print_search_result(result, answer, all_rows=all_rows)
    print(written)


def _accepted_objectives(scenario: Scenario, keys: list[str]) -> list[str]:
    """Return the keys of the objectives that may be missed without a rollout too.

    Raises:
        BadInput: A key names no objective of the scenario that can be missed so.
    """
    from executor.base.yaml_positions import nearest_hint
    from simulation.study.judging.objectives import keys_that_may_be_missed

    known = keys_that_may_be_missed(scenario)
    for key in keys:
        if key not in known:
            names = ", ".join(known) or "none"
            raise BadInput(
                f"--accept-missing {key}: must be an objective of the scenario on its requests, which are: "
                f"{names}{nearest_hint(key, known)}"
            )
    return keys


def write_search_result(
    found: SearchResult, output: Path, valid_for_s: float, key_file: Path | None = None
) -> list[str]:
    """Write the plan of the chosen candidate, signed if there is a key; return the answer's sentences.

    Raises:
        Refused: No candidate meets the objectives; the message says why.
    """
    from executor.plan.file import write_plan
    from simulation.planning.evidence import plan_of
    from studio.views.sentences import note_lines

    applied = [outcome.case.scenario for outcome in found.looked]
    if found.chosen is None:
        raise refusal(found)
    made = plan_of(found, valid_for_s)
    if key_file is not None:
        from executor.plan.signing import sign

        made = sign(made, key_file)
    write_plan(output, made)
    sentences = [answer_sentence(found)]
    if made.accepted_missing:
        reasons = "; ".join(found.confirmations[-1].result.verdict.reasons)
        sentences.append(
            f"Accepted as missed anyway, {', '.join(made.accepted_missing)}: {reasons}."
        )
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


def refusal(found: SearchResult) -> Refused:
    """Return the error of a search in which no candidate meets the objectives, with the reasons."""
    from studio.views.sentences import qualifying_lines

    applied = [outcome.case.scenario for outcome in found.looked]
    notes = "".join(f"; {line}" for line in qualifying_lines(found.scenario, applied))
    return Refused(
        f"no plan is written, none meets the objectives: {_why_none(found)}"
        f"{_lag_hint(found.scenario)}{_accept_hint(found)}{notes}"
    )


def _busiest_sentence(one: CandidateOutcome) -> str:
    start = _clock(one.candidate.start_label)
    if one.outcome in ("fails", "hopeless", "not confirmed", "undecided", "misses anyway"):
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
    meets = "breaks no objective" if verdict.answer == "misses_anyway" else "meets the objectives"
    return (
        f"{name}, {span_text(takes.run_low, takes.run_high)}, {meets} in at least "
        f"{percent_text(objectives.in_runs)} of runs, confirmed on fresh seeds "
        f"({verdict.runs_meeting} of {verdict.runs} runs)."
    )


def search_json(found: SearchResult, alternatives: Alternatives | None = None) -> dict[str, Any]:
    """Return every candidate with its outcome, as ``--json`` prints it.

    Args:
        found: The result of the search.
        alternatives: The changes that would meet, where no candidate does.
    """
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
        "next_best": found.next_best(),
        "front": list(found.front),
        "busiest": found.busiest,
        **evidence_of(found).model_dump(mode="json"),
        "considered": [outcome.model_dump(mode="json") for outcome in evidence],
        "notes": notes_json(notes_of(found.scenario, applied)),
        **({} if alternatives is None else {"alternatives": alternatives.to_json()}),
    }


def print_search_result(
    found: SearchResult, answer: Sequence[str], *, all_rows: bool = False
) -> None:
    """Print the question, the answer, the next best candidate, and the table with the reasons.

    Args:
        found: The result of the search.
        answer: The sentences of the answer; none where the refusal says it.
        all_rows: Whether the table shows every candidate.
    """
    from simulation.planning.evidence import counts_of, table_rows
    from studio.cli.tables import answer_console
    from studio.views.answers.rows_text import MOST_ROWS

    console = answer_console()
    if found.scenario.question:
        console.print(found.scenario.question, style="bold")
        console.print()
    for number, sentence in enumerate(answer):
        console.print(sentence, style="" if number else "bold")
    groups = table_rows(found)
    next_best = found.next_best()
    if next_best is not None:
        outcome = found.looked[next_best]
        name = _name(found, next_best, begins_sentence=False)
        console.print(f"Next best: {name}, {outcome.outcome}: {outcome.reason}.")
    if answer:
        console.print()
    shown = groups if all_rows else groups[:MOST_ROWS]
    console.print(_table(found, shown))
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in counts_of(found).items())
    more = len(groups) - len(shown)
    hidden = f" {more:,} more rows: --all shows them." if more else ""
    console.print(f"{len(found.looked):,} candidates: {counts}.{hidden}", style="dim")
    if not found.front:
        return
    front = "; ".join(
        _name(found, number, begins_sentence=False) for number in found.front[:_NAMED_WHEN_REFUSED]
    )
    more = len(found.front) - _NAMED_WHEN_REFUSED
    console.print(
        f"Of those that do not fail, no other is both faster and lower in p99 than: {front}"
        f"{f'; and {more} more' if more > 0 else ''}."
    )
    console.print()


def _table(found: SearchResult, groups: Sequence[CandidateGroup]) -> Table:
    from rich.table import Table

    from simulation.planning.evidence import candidate_evidence
    from studio.views.figures_text import duration_text, latency_text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("candidate", "takes", "p99", "meets", "", "why"):
        table.add_column(heading, justify="right" if heading in ("takes", "p99") else "left")
    for group in groups:
        evidence = candidate_evidence(found, group.first)
        table.add_row(
            _group_name(found, group),
            duration_text(evidence.duration_s),
            latency_text(evidence.latency_p99_s),
            f"{evidence.runs_meeting} of {evidence.runs}" if evidence.runs else "",
            evidence.outcome,
            evidence.reason,
            style="bold" if group.first == found.chosen else "",
        )
    return table


def _group_name(found: SearchResult, group: CandidateGroup) -> str:
    """Return the name of candidates with equal results: ``Window 2, drain 30 s or 60 s, start 18:00``."""
    from studio.views.figures_text import name_of_equals, values_text

    others = [outcome.candidate for outcome in found.looked]
    candidates = [others[number] for number in group.indices]
    name = name_of_equals(candidates, others, with_start=False)
    if len({candidate.start_label for candidate in others}) == 1:
        return name
    starts = [_clock(candidate.start_label) for candidate in candidates]
    return f"{name}, start {values_text(starts, ' or ')}"


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


def _lag_hint(scenario: Scenario) -> str:
    """Return advice for instances that stop before the balancer learns of their take-out; else nothing.

    Requests that arrive between the two are refused, whatever the window.
    """
    name = scenario.service_name
    rule, lag_s = scenario.rule(name), scenario.services[name].balancer.propagation_delay
    if rule is None or lag_s == 0 or rule.pre_stop > lag_s:
        return ""
    return (
        f". An instance stops {rule.pre_stop:g} s after its take-out and the balancer learns of it after "
        f"{lag_s:g} s, so requests are refused in between: try --set rollout.pre_stop={2 * lag_s:g}s"
    )


def _accept_hint(found: SearchResult) -> str:
    """Return how to plan a candidate that breaks nothing in a fleet that misses objectives anyway; else nothing."""
    keys = dict.fromkeys(
        key
        for candidate in found.looked
        if candidate.outcome == "misses anyway" and candidate.result is not None
        for key in candidate.result.verdict.missed_anyway()
    )
    if not keys:
        return ""
    options = " ".join(f"--accept-missing {key}" for key in keys)
    return f". The rollout does not cause what is missed anyway: {options} plans it all the same"


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
