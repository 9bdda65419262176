"""The recommendation of a comparison in words, for the command line and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from simulation.study.compare import Comparison
from simulation.study.statistics.means import paired_difference
from simulation.study.summary.groups import CandidateGroup
from simulation.study.summary.recommendation import (
    LeftOut,
    Recommendation,
    Shortfall,
    shortfall_of,
)
from simulation.study.verdict import breach_text
from studio.views.figures_text import (
    candidate_name,
    difference_text,
    name_of_equals,
    sentence_of,
)

MOST_NAMED = 3
"""Maximum number of rows that are named for one reason; of more, so many are named and all are counted."""

_COUNTED = {
    Shortfall.SLOWER: ("is slower", "are slower"),
    Shortfall.AS_FAST: ("is as fast", "are as fast and not better"),
    Shortfall.MEETS: ("meets", "meet every objective"),
    Shortfall.MISSES_ANYWAY: (
        "misses anyway",
        "miss an objective that does not hold without a rollout",
    ),
    Shortfall.UNDECIDED: ("is undecided", "are undecided"),
    Shortfall.FAILS: ("fails", "fail"),
}
"""The words for each reason, of one candidate and of several."""

_AGAINST = {"rollout_duration_s": "duration", "rollout_latency_p99_s": "p99"}
"""The metrics in which a candidate is compared with the recommended one."""


def group_name(
    comparison: Comparison, group: CandidateGroup, *, begins_sentence: bool = True
) -> str:
    """Return the name of candidates with equal results among the others of their comparison."""
    if comparison.scenario.rollout is None:
        return candidate_name(comparison, group.first, begins_sentence=begins_sentence)
    others = [result.candidate for result in comparison.candidates]
    return name_of_equals(
        [others[index] for index in group.indices], others, begins_sentence=begins_sentence
    )


def names_text(comparison: Comparison, groups: Sequence[CandidateGroup]) -> str:
    """Return the names of some rows; of more than `MOST_NAMED`, the first and the number of the others."""
    names = [group_name(comparison, group, begins_sentence=False) for group in groups[:MOST_NAMED]]
    more = sum(len(group.indices) for group in groups[MOST_NAMED:])
    return "; ".join([*names, *([f"and {more:,} more"] if more else [])])


def next_best_text(comparison: Comparison, recommendation: Recommendation) -> str:
    """Return the sentence about the next best candidate, without a full stop; empty where there is none.

    Where no candidate is recommended, the best of all is called the nearest.
    """
    group = recommendation.next_best
    if group is None:
        return ""
    name = group_name(comparison, group, begins_sentence=False)
    sentence = sentence_of(name, comparison.candidates[group.first].verdict)
    if recommendation.recommended is None:
        return f"Nearest: {sentence}"
    best = group_name(comparison, recommendation.recommended, begins_sentence=False)
    return f"Next best: {sentence}; against {best}: {_against(comparison, group)}"


def left_out_lines(comparison: Comparison, recommendation: Recommendation) -> list[str]:
    """Return a line for each candidate that is left out, or one for all that share a reason."""
    return [
        line
        for left_out in recommendation.left_out
        for line in (
            _lines_of_few(comparison, left_out)
            if len(left_out.groups) <= MOST_NAMED
            else [_line_of_many(comparison, left_out)]
        )
    ]


def counts_text(comparison: Comparison, groups: Sequence[CandidateGroup]) -> str:
    """Return how many candidates of some rows have which answer: ``100 fail, 20 are slower``."""
    counts = Counter[Shortfall]()
    for group in groups:
        counts[shortfall_of(comparison, group.first)] += len(group.indices)
    return ", ".join(
        f"{counts[shortfall]:,} {_COUNTED[shortfall][counts[shortfall] > 1]}"
        for shortfall in Shortfall
        if counts[shortfall]
    )


def _lines_of_few(comparison: Comparison, left_out: LeftOut) -> Iterator[str]:
    for group in left_out.groups:
        name, verdict = (
            group_name(comparison, group),
            comparison.candidates[group.first].verdict,
        )
        if left_out.shortfall in (Shortfall.SLOWER, Shortfall.AS_FAST):
            why = _against(comparison, group)
        else:
            why = "; ".join(verdict.reasons)
        words = f"{name} {_COUNTED[left_out.shortfall][0]}"
        yield f"{words}: {why}" if why else words


def _line_of_many(comparison: Comparison, left_out: LeftOut) -> str:
    groups = left_out.groups
    count = sum(len(group.indices) for group in groups)
    why = "" if left_out.breach is None else f", most by {breach_text(left_out.breach)}"
    return f"{count:,} {_COUNTED[left_out.shortfall][1]}{why}: {names_text(comparison, groups)}"


def _against(comparison: Comparison, group: CandidateGroup) -> str:
    """Return how candidates differ from the recommended one, paired."""
    assert comparison.chosen is not None
    runs, chosen_runs = (
        comparison.candidates[index].runs for index in (group.first, comparison.chosen)
    )
    texts = []
    for metric, word in _AGAINST.items():
        difference = paired_difference(
            [run.metrics[metric] for run in runs], [run.metrics[metric] for run in chosen_runs]
        )
        texts.append(f"{word} {difference_text(metric, difference)}")
    return ", ".join(texts)
