"""The windows that are compared by default, and what is left out of them and why."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.scenario.model import Scenario
from simulation.study.candidates import (
    CHEAP_REQUESTS_COUNT,
    DefaultWindows,
    WhyLeftOut,
    default_windows,
)
from simulation.study.case import cases_of
from simulation.study.notes import NoteKind, notes_of
from studio.views.sentences import note_text
from tests.helpers.scenarios import scenario


def of_sixteen(window: int = 4, **changes: Any) -> Scenario:
    """Return a fleet of which a rollout takes 160 s at window 1."""
    return scenario(
        instances=16,
        service_time="1ms",
        steps={"deploy": "10s"},
        rollout={"window": window},
        **changes,
    )


def test_every_window_stays_where_nothing_is_known_against_it() -> None:
    assert default_windows(of_sixteen()) == DefaultWindows((1, 2, 4, 8))


@pytest.mark.parametrize(
    ("limit", "windows", "left_out"),
    [
        ("81s", (1, 2, 4, 8), ()),
        ("79s", (2, 4, 8), (1,)),
        ("39s", (4, 8), (1, 2)),
        ("9s", (4,), (1, 2, 8)),
    ],
)
def test_a_window_that_cannot_meet_the_duration_is_left_out(
    limit: str, windows: tuple[int, ...], left_out: tuple[int, ...]
) -> None:
    """Windows take 160, 80, 40 and 20 s; beyond twice the limit there is no hope."""
    found = default_windows(of_sixteen(objectives={"duration": limit}))
    assert found.windows == windows
    assert tuple(window.window for window in found.left_out) == left_out
    assert {window.reason for window in found.left_out} <= {WhyLeftOut.DURATION}


def test_the_scenarios_own_window_is_never_left_out() -> None:
    found = default_windows(of_sixteen(1, objectives={"duration": "39s"}))
    assert found.windows == (1, 4, 8)


@pytest.mark.parametrize(
    ("longest_cheap_s", "own_window", "windows"),
    [
        (5000, 8, (1, 2, 4, 8)),
        (3000, 8, (2, 4, 8)),
        (1500, 8, (4, 8)),
        (100, 8, (8,)),
        (100, 2, (2, 4, 8)),  # all are observed as long as the scenario's own window
        (100, 1, (1, 2, 4, 8)),
    ],
)
def test_a_window_that_adds_more_than_all_others_cost_is_left_out(
    longest_cheap_s: float, own_window: int, windows: tuple[int, ...]
) -> None:
    """Windows take 4,000, 2,000, 1,000 and 500 s."""
    found = default_windows(
        scenario(
            rate=f"{CHEAP_REQUESTS_COUNT / longest_cheap_s:g}/s",
            instances=16,
            slots=100,
            clock={"warm_up": "0s"},
            service_time="1ms",
            steps={"deploy": "250s"},
            rollout={"window": own_window},
        )
    )
    assert found.windows == windows
    assert {window.reason for window in found.left_out} <= {WhyLeftOut.COST}
    for left_out in found.left_out:
        assert left_out.expected_s == pytest.approx(4000 / left_out.window, rel=0.02)


def test_what_is_left_out_is_said_where_the_default_windows_are_compared() -> None:
    one = of_sixteen(objectives={"duration": "79s"})
    default = [case.scenario for case in cases_of(one, default_windows(one).windows)]
    notes = [note for note in notes_of(one, default) if note.kind is NoteKind.WINDOW_LEFT_OUT]
    assert [note_text(note) for note in notes] == [
        "window 1 was left out: its rollout takes about 2 min 40 s, and the limit is 1 min 19 s; "
        "--windows compares it"
    ]
    chosen = [case.scenario for case in cases_of(one, [4, 8])]
    assert all(note.kind is not NoteKind.WINDOW_LEFT_OUT for note in notes_of(one, chosen))
