"""Notes: what a person must know of a scenario beside its figures, as data.

A note is about an assumption that the figures rest on, or a limit that the objectives lack. Screens
and the command line make sentences of notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from simulation.estimates.overload import EndlessOverload, find_endless_overload
from simulation.requests.stationary import long_lived
from simulation.scenario.inputs.days import FEWEST_DRAWN, WEEKDAYS
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import warm_up_of
from simulation.study.candidates import WhyLeftOut, default_windows


class NoteKind(StrEnum):
    """The kind of a note."""

    NO_CUT_OBJECTIVE = "no_cut_objective"
    CONNECTIONS_BEGIN_EMPTY = "connections_begin_empty"
    ENDLESS_OVERLOAD = "endless_overload"
    OVERLOADED_BEFORE = "overloaded_before"
    MAY_BE_OVERLOADED_BEFORE = "may_be_overloaded_before"
    WARM_UP_TOO_SHORT = "warm_up_too_short"
    WINDOW_LEFT_OUT = "window_left_out"
    DAYS_DRAWN = "days_drawn"
    MEAN_DAY = "mean_day"


QUALIFY_FIGURES = frozenset(
    {
        NoteKind.OVERLOADED_BEFORE,
        NoteKind.MAY_BE_OVERLOADED_BEFORE,
        NoteKind.WARM_UP_TOO_SHORT,
        NoteKind.CONNECTIONS_BEGIN_EMPTY,
        NoteKind.MEAN_DAY,
    }
)
"""The kinds of notes on assumptions that all figures rest on, whatever the answer is."""


@dataclass(frozen=True)
class Note:
    """One thing that a person must know of a scenario.

    Attributes:
        kind: The kind of the note.
        classes: The classes of requests that the note is about.
        arrivals: The scenario's kind of arrivals, where that is the reason.
        given_s: Duration of the warm-up.
        wanted_s: Duration of the warm-up that a steady state needs.
        window: The window that was left out of the default ones.
        reason: Why it was left out.
        expected_s: How long its rollout would take.
        limit_s: The longest duration that the objectives allow, where that is the reason.
        overload: The load that the fleet can never carry; nothing is simulated then.
        weekday: The weekday of a start, such as ``tue``.
        days_count: Number of the trace's whole days of this weekday.
        spread: The standard deviation of the logarithm of the factor on the mean of these days.
        growth: The growth by which the traffic is multiplied, such as ``20%``.
    """

    kind: NoteKind
    classes: tuple[str, ...] = ()
    arrivals: str = ""
    given_s: float | None = None
    wanted_s: float | None = None
    window: int | None = None
    reason: WhyLeftOut | None = None
    expected_s: float | None = None
    limit_s: float | None = None
    overload: EndlessOverload | None = None
    weekday: str = ""
    days_count: int | None = None
    spread: float | None = None
    growth: str = ""


def notes_json(notes: Sequence[Note]) -> list[dict[str, Any]]:
    """Return notes as JSON; empty fields are left out."""
    return [{key: value for key, value in asdict(note).items() if value} for note in notes]


def notes_of(scenario: Scenario, candidates: Sequence[Scenario] = ()) -> tuple[Note, ...]:
    """Return the notes on a scenario; those on what all its figures rest on come first.

    Args:
        scenario: The study's scenario.
        candidates: The scenarios of the cases, which share one warm-up; none for the scenario alone.
    """
    return tuple(_notes(scenario, candidates or (scenario,)))


def _notes(scenario: Scenario, candidates: Sequence[Scenario]) -> Iterator[Note]:
    overload = find_endless_overload(scenario)
    if overload is not None:
        yield Note(NoteKind.ENDLESS_OVERLOAD, overload=overload)
        return
    classes = scenario.traffic.classes
    rolled = scenario.rolled_services()
    connections = tuple(long_lived(scenario))
    cut = tuple(
        name for name in connections if set(scenario.route_of(classes[name])).intersection(rolled)
    )
    warm_up = warm_up_of(candidates)
    if warm_up.is_overloaded:
        yield Note(NoteKind.OVERLOADED_BEFORE, given_s=warm_up.given_s)
    elif warm_up.may_be_overloaded:
        yield Note(NoteKind.MAY_BE_OVERLOADED_BEFORE, given_s=warm_up.given_s)
    elif warm_up.is_too_short:
        yield Note(NoteKind.WARM_UP_TOO_SHORT, given_s=warm_up.given_s, wanted_s=warm_up.wanted_s)
    if connections and scenario.traffic.begins_empty:
        yield Note(
            NoteKind.CONNECTIONS_BEGIN_EMPTY, connections, arrivals=scenario.traffic.arrivals
        )
    if cut and scenario.objectives.cut_connections is None:
        yield Note(NoteKind.NO_CUT_OBJECTIVE, cut)
    yield from _known_days(candidates)
    yield from _left_out_windows(scenario, candidates)


def _known_days(candidates: Sequence[Scenario]) -> Iterator[Note]:
    """Yield a note for each weekday of the starts: how many of its days the trace knows."""
    drawn = [candidate.drawn_days() for candidate in candidates]
    growth = candidates[0].traffic.growth or ""
    for days in {days.weekday: days for days in drawn if days is not None}.values():
        name, count = WEEKDAYS[days.weekday], days.known_count
        if count >= FEWEST_DRAWN:
            yield Note(NoteKind.DAYS_DRAWN, weekday=name, days_count=count, growth=growth)
        else:
            yield Note(
                NoteKind.MEAN_DAY,
                weekday=name,
                days_count=count,
                spread=days.spread,
                growth=growth,
            )


def _left_out_windows(scenario: Scenario, candidates: Sequence[Scenario]) -> Iterator[Note]:
    """Yield a note for each window that was left out, where the default windows are compared."""
    if scenario.rollout is None:
        return
    default = default_windows(scenario)
    if {candidate.window_count() for candidate in candidates} != set(default.windows):
        return
    for left_out in default.left_out:
        is_late = left_out.reason is WhyLeftOut.DURATION
        yield Note(
            NoteKind.WINDOW_LEFT_OUT,
            window=left_out.window,
            reason=left_out.reason,
            expected_s=left_out.expected_s,
            limit_s=scenario.objectives.duration if is_late else None,
        )
