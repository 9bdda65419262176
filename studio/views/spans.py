"""The bars of a chart of steps, forecast and actual: which instance was in which state when."""

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
    """A stretch of time in which an instance was in one state, in seconds from the rollout's start."""

    instance: str
    state: State
    begin_s: float
    end_s: float


def actual_spans(timeline: dict[str, Any]) -> list[Span]:
    """Return the stretches of an executor's timeline; time 0 is its first step."""
    zero_s = min((step["begin_s"] for step in timeline["steps"]), default=0.0)
    return [
        Span(
            entry["instance"],
            State(entry["state"]),
            max(0.0, entry["begin_s"] - zero_s),
            max(0.0, entry["end_s"] - zero_s),
        )
        for entry in timeline["states"]
    ]


def forecast_spans(states: Sequence[StateInterval], names: Sequence[str]) -> list[Span]:
    """Return the stretches of a simulated run from the rollout's start on."""
    return [
        Span(names[interval.instance], interval.state, max(0.0, interval.begin_s), interval.end_s)
        for interval in states
        if interval.end_s > 0
    ]


DRAWN = tuple(state for state in State if state not in (State.SERVING, State.ABSENT))
"""The states that have a bar; an instance that serves has none."""


LEGEND = tuple(
    (token, ", ".join(look_of(state, False).word for state in states))
    for token, states in itertools.groupby(DRAWN, lambda state: look_of(state, False).token)
)
"""The legend of the colours: token of the theme, words."""


def colours(theme: Theme) -> dict[State, str]:
    """Return the colour of each state that has a bar."""
    return {state: colour_of(state, False, theme) for state in DRAWN}
