"""The answer of ``rollcast plan``: the sentences, the table, the JSON, and the refusal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.base.errors import Refused

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from simulation.planning.alternatives.model import Alternatives
    from simulation.planning.search_result import CandidateOutcome, SearchResult
    from simulation.study.summary.groups import CandidateGroup

NAMED_WHEN_REFUSED = 6
"""Maximum number of candidates that are named with their reasons when none meets the objectives."""


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
        f"{_accept_hint(found)}{notes}"
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
    from simulation.planning.search_runs import planned_json
    from simulation.study.notes import notes_json, notes_of

    applied = [outcome.case.scenario for outcome in found.looked]
    evidence = [candidate_evidence(found, number) for number in range(len(found.looked))]
    return {
        "schema": "rollcast.search/1",
        "scenario": found.scenario.name,
        "scenario_digest": digest_of(found.scenario.as_data()),
        "planned": planned_json(found),
        "chosen": found.chosen,
        "next_best": found.next_best(),
        "front": list(found.front),
        "busiest": found.busiest,
        **evidence_of(found).model_dump(mode="json"),
        "considered": [
            {**considered.model_dump(mode="json"), "why": _why_json(outcome)}
            for considered, outcome in zip(evidence, found.looked, strict=True)
        ],
        "notes": notes_json(notes_of(found.scenario, applied)),
        **({} if alternatives is None else {"alternatives": alternatives.to_json()}),
    }


def _why_json(outcome: CandidateOutcome) -> dict[str, Any] | None:
    diagnosis = None if outcome.result is None else outcome.result.diagnosis
    return None if diagnosis is None else diagnosis.to_json()


def print_search_result(
    found: SearchResult, answer: Sequence[str], *, all_rows: bool = False
) -> None:
    """Print the question, the answer, the next best candidate, and the table with the reasons.

    Args:
        found: The result of the search.
        answer: The sentences of the answer; none where the refusal says it.
        all_rows: Whether the table shows every candidate.
    """
    from simulation.planning.evidence import counts_of, listed_candidates, table_rows
    from simulation.planning.search_runs import last_confirmation_runs, search_runs
    from studio.cli.tables import answer_console
    from studio.views.answers.rows_text import MOST_ROWS
    from studio.views.answers.runs_text import search_runs_text

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
    _print_why(console, found, listed_candidates(found))
    if found.front:
        front = "; ".join(
            _name(found, number, begins_sentence=False)
            for number in found.front[:NAMED_WHEN_REFUSED]
        )
        more = len(found.front) - NAMED_WHEN_REFUSED
        console.print(
            f"Of those that do not fail, no other is both faster and lower in p99 than: {front}"
            f"{f'; and {more} more' if more > 0 else ''}."
        )
    planned = search_runs_text(search_runs(found.scenario), last_confirmation_runs(found))
    console.print(f"{planned}.", style="dim")
    if answer:
        console.print()


def _print_why(console: Console, found: SearchResult, numbers: list[int]) -> None:
    """Print why candidates fail, a line for each that was explained."""
    from studio.views.why.diagnosis_text import why_text

    for number in numbers:
        outcome = found.looked[number]
        if outcome.result is not None and outcome.result.diagnosis is not None:
            why = why_text(outcome.case.scenario, outcome.result.diagnosis)
            console.print(f"{_name(found, number)}: {why}.")


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


def has_remedy(found: SearchResult) -> bool:
    """Return whether a change is shown with which a candidate meets; the lines of reasons say it."""
    return any(
        outcome.result is not None
        and outcome.result.diagnosis is not None
        and outcome.result.diagnosis.remedy is not None
        for outcome in found.looked
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

    named = listed_candidates(found)[:NAMED_WHEN_REFUSED]
    reasons = [
        f"{_name(found, n, begins_sentence=False)} {found.looked[n].outcome}: {found.looked[n].reason}"
        for n in named
    ]
    if len(found.looked) > len(named):
        counts = ", ".join(f"{count} {outcome}" for outcome, count in counts_of(found).items())
        reasons.append(f"of {len(found.looked)} in all {counts}")
    return "; ".join(reasons)
