"""Groups of candidates with equal results, which a table shows as one row.

A drain timeout that no drain reaches changes nothing: the results with 30 s, 60 s and 90 s are equal.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from simulation.study.candidate_result import CandidateResult
from simulation.study.candidates import Candidate


@dataclass(frozen=True)
class CandidateGroup:
    """Candidates with equal results that are all combinations of some values of their settings.

    Attributes:
        indices: Indices of the candidates, ascending.
    """

    indices: tuple[int, ...]

    @property
    def first(self) -> int:
        """The candidate that stands for the group."""
        return self.indices[0]


def group_results(results: Sequence[CandidateResult]) -> tuple[CandidateGroup, ...]:
    """Return the groups of candidates whose requests, metrics, endings and verdicts are equal."""
    return group_equal(
        [result.candidate for result in results],
        [
            (
                tuple(result.requests.values()),
                tuple(result.metrics.values()),
                tuple(result.ended.values()),
                result.verdict,
            )
            for result in results
        ],
    )


def group_equal(
    candidates: Sequence[Candidate], results: Sequence[Hashable]
) -> tuple[CandidateGroup, ...]:
    """Return the groups of candidates with equal results, in the order of their first candidates.

    Candidates with equal results are one group only where they are all combinations of the values that
    the group's row shows. Window 1 with a drain of 30 s and window 2 with one of 60 s are two groups,
    because "window 1, 2, drain 30 s, 60 s" would stand for four candidates.

    Args:
        candidates: The candidates.
        results: What must be equal in a group, for each candidate.
    """
    equal: dict[Hashable, list[int]] = {}
    for index, result in enumerate(results):
        equal.setdefault(result, []).append(index)
    settings = [_settings(candidate) for candidate in candidates]
    groups = [group for indices in equal.values() for group in _combinations(settings, indices)]
    return tuple(sorted(groups, key=lambda group: group.first))


def _settings(candidate: Candidate) -> tuple[Hashable, ...]:
    """Return the values of a candidate that a row shows, the start last."""
    return (
        candidate.window,
        candidate.advance,
        candidate.surge,
        candidate.pause_s,
        candidate.drain_timeout_s,
        candidate.policy,
        candidate.start_label,
    )


def _combinations(
    settings: Sequence[tuple[Hashable, ...]], indices: Sequence[int]
) -> Iterator[CandidateGroup]:
    """Yield groups that are all combinations of their values; split by the first setting where they are not."""
    rows = [settings[index] for index in indices]
    values = [dict.fromkeys(column) for column in zip(*rows, strict=True)]
    if math.prod(map(len, values)) == len(set(rows)):
        yield CandidateGroup(tuple(indices))
        return
    place = next(place for place, column in enumerate(values) if len(column) > 1)
    for value in values[place]:
        yield from _combinations(
            settings, [index for index in indices if settings[index][place] == value]
        )
