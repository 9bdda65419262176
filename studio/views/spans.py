"""The bars of the steps: forecast and actual."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simulation.results.states import State, StateInterval
from studio.views.states import colour_of, look_of
from studio.views.theme import Theme


@dataclass(frozen=True)
class Span:
    """An instance in one state, seconds from the rollout's start."""

    instance: str
    state: State
    begin_s: float
    end_s: float


def actual_spans(timeline: dict[str, Any]) -> list[Span]:
    """What an executor's timeline says, from its first step on."""
    zero_s = min((one["begin_s"] for one in timeline["steps"]), default=0.0)
    return [
        Span(
            one["instance"],
            State(one["state"]),
            max(0.0, one["begin_s"] - zero_s),
            max(0.0, one["end_s"] - zero_s),
        )
        for one in timeline["states"]
    ]


def forecast_spans(states: Sequence[StateInterval], names: Sequence[str]) -> list[Span]:
    """What a simulated run says, from the rollout's start on."""
    return [
        Span(names[one.instance], one.state, max(0.0, one.begin_s), one.end_s)
        for one in states
        if one.end_s > 0
    ]


DRAWN = tuple(state for state in State if state not in (State.SERVING, State.ABSENT))
"""The states that have a bar; an instance that serves has none."""


LEGEND = tuple(
    (token, ", ".join(look_of(state, False).word for state in states))
    for token, states in itertools.groupby(DRAWN, lambda state: look_of(state, False).token)
)
"""What the colours mean: token of the theme, words."""


def colours(theme: Theme) -> dict[State, str]:
    """The colour of each state that is drawn."""
    return {state: colour_of(state, False, theme) for state in DRAWN}
