"""Replications of many candidates: few runs are open at once, and the results are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.run import Run
from simulation.study.case import cases_of, frame_of_cases
from simulation.study.running import work as work_module
from simulation.study.running.work import Part, StoredRun, Work
from tests.helpers.results import assert_same
from tests.helpers.scenarios import small_shop


def work_of(windows: int, drains: int) -> Work:
    """Return the work of some windows and drain timeouts, whose rollouts end in no simple order."""
    cases = cases_of(
        small_shop(), range(1, windows + 1), [float(timeout) for timeout in range(drains)]
    )
    return Work(cases, frame_of_cases(cases))


@pytest.fixture
def set_most_open(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda count: monkeypatch.setattr(work_module, "_MOST_OPEN", count)


@pytest.mark.parametrize("most_open", [1, 2, 5])
def test_the_results_do_not_depend_on_how_many_runs_are_open_at_once(
    set_most_open: Callable[[int], None], most_open: int
) -> None:
    work = work_of(3, 3)
    for replication in range(6):
        part = Part(replication, tuple(range(len(work.cases))))
        set_most_open(len(work.cases))
        together = work.run(part)
        set_most_open(most_open)
        apart = work.run(part)
        assert apart.keys() == together.keys()
        for index, result in together.items():
            assert_same(apart[index], result)
            assert result.end_s == max(run.end_s for run in together.values())


def test_no_more_than_so_many_runs_are_open_at_once(
    set_most_open: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_most_open(3)
    open_count = most = 0
    settle, observe, close = Run.settle, Run.observe_fleet, Run.close

    def count_open() -> None:
        nonlocal open_count, most
        open_count += 1
        most = max(most, open_count)

    def count_settle(run: Run) -> float:
        count_open()
        return settle(run)

    def count_observe(run: Run, *arguments: Any) -> Any:
        count_open()
        return observe(run, *arguments)

    def count_close(run: Run) -> None:
        nonlocal open_count
        open_count -= 1
        close(run)

    monkeypatch.setattr(Run, "settle", count_settle)
    monkeypatch.setattr(Run, "observe_fleet", count_observe)
    monkeypatch.setattr(Run, "close", count_close)
    work = work_of(3, 3)
    work.run(Part(0, tuple(range(len(work.cases)))))
    assert (open_count, most) == (0, 3)


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(0, 8)), st.integers(0, 3))
def test_a_part_of_which_some_cases_are_stored_gives_what_the_whole_gives(
    known: set[int], replication: int
) -> None:
    work = work_of(3, 3)
    whole = work.run(Part(replication, tuple(range(9))))
    end_s = whole[0].end_s
    alone_end_s = {index: work.run(Part(replication, (index,)))[index].end_s for index in known}
    part = Part(
        replication,
        tuple(index for index in range(9) if index not in known),
        tuple(
            (index, StoredRun(alone_end_s[index], frozenset({end_s} if index % 2 else ())))
            for index in sorted(known)
        ),
    )
    results = work.run(part)
    for index, result in results.items():
        assert_same(result, whole[index])
    assert results.keys() == set(range(9)) - {index for index in known if index % 2}
