"""Why candidates of a search fail: a diagnosis for each of those that are named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from simulation.planning.search_result import SearchResult
from simulation.study.case import frame_of_cases
from simulation.study.execution import DEFAULT_EXECUTION, Execution
from simulation.study.why.explain import explain


def explain_search(
    found: SearchResult,
    numbers: Sequence[int],
    execution: Execution = DEFAULT_EXECUTION,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SearchResult:
    """Return the result of a search with a diagnosis at candidates that fail.

    A candidate that closed forms call hopeless has no runs, and stays without a diagnosis.

    Args:
        found: The result of a search.
        numbers: The candidates that are explained where they fail.
        execution: Where and how to simulate.
        on_progress: Called with the number of candidates that are explained, and of all that will be.
    """
    frame = frame_of_cases([outcome.case for outcome in found.looked])
    looked = list(found.looked)
    failing = [number for number in numbers if looked[number].outcome == "fails"]
    for done, number in enumerate(failing):
        on_progress(done, len(failing))
        result = looked[number].result
        if result is not None:
            looked[number] = replace(looked[number], result=explain(result, frame, execution))
    on_progress(len(failing), len(failing))
    return replace(found, looked=tuple(looked))
