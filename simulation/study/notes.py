"""What a person must know of a scenario beside its figures: assumptions it rests on, limits it lacks.

Enters: a scenario and the candidates that are compared. Leaves: typed notes; sentences are made of
them upstairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from simulation.requests.stationary import long_lived
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import warm_up_of


class NoteKind(StrEnum):
    """What there is to know."""

    NO_CUT_OBJECTIVE = "no_cut_objective"
    CONNECTIONS_BEGIN_EMPTY = "connections_begin_empty"
    OVERLOADED_BEFORE = "overloaded_before"
    WARM_UP_TOO_SHORT = "warm_up_too_short"


@dataclass(frozen=True)
class Note:
    """One thing to know.

    Attributes:
        kind: What it is.
        classes: The classes of requests that it is about.
        arrivals: The scenario's kind of arrivals, where that is why.
        given_s: How long the warm-up is.
        wanted_s: How long it would have to be.
    """

    kind: NoteKind
    classes: tuple[str, ...] = ()
    arrivals: str = ""
    given_s: float | None = None
    wanted_s: float | None = None


def notes_json(notes: Sequence[Note]) -> list[dict[str, Any]]:
    """Return notes as plain data; what a note does not know is left out."""
    return [{key: value for key, value in asdict(one).items() if value} for one in notes]


def notes_of(scenario: Scenario, candidates: Sequence[Scenario] = ()) -> tuple[Note, ...]:
    """Return what there is to know of a scenario.

    Args:
        scenario: What is simulated.
        candidates: The scenarios of the candidates, which share one warm-up; else its own.
    """
    return tuple(_notes(scenario, candidates or (scenario,)))


def _notes(scenario: Scenario, candidates: Sequence[Scenario]) -> Iterator[Note]:
    classes = scenario.traffic.classes
    rolled = scenario.rolled_services()
    connections = tuple(long_lived(scenario))
    cut = tuple(
        name for name in connections if set(scenario.route_of(classes[name])).intersection(rolled)
    )
    if cut and scenario.objectives.cut_connections is None:
        yield Note(NoteKind.NO_CUT_OBJECTIVE, cut)
    if connections and scenario.traffic.begins_empty:
        yield Note(
            NoteKind.CONNECTIONS_BEGIN_EMPTY, connections, arrivals=scenario.traffic.arrivals
        )
    warm_up = warm_up_of(candidates)
    if warm_up.is_overloaded:
        yield Note(NoteKind.OVERLOADED_BEFORE, given_s=warm_up.given_s)
    elif warm_up.is_too_short:
        yield Note(NoteKind.WARM_UP_TOO_SHORT, given_s=warm_up.given_s, wanted_s=warm_up.wanted_s)
