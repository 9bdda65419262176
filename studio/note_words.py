"""What a person must know of a scenario, in words."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.notes import Note, NoteKind, notes_of
from simulation.scenario import Scenario
from studio.format import duration_text


def note_text(note: Note) -> str:
    """Return one note as a sentence without its full stop."""
    classes = ", ".join(note.classes)
    match note.kind:
        case NoteKind.NO_CUT_OBJECTIVE:
            return (
                f"cut connections ({classes}) have no limit; objectives.cut_connections sets one, "
                "such as 0 or 5%"
            )
        case NoteKind.CONNECTIONS_BEGIN_EMPTY:
            return (
                f"long-lived connections ({classes}) begin empty with arrivals: {note.arrivals}, "
                "so that fewer are cut than would be; a warm-up as long as their lives fills them"
            )
        case NoteKind.OVERLOADED_BEFORE:
            return (
                "more arrives before the rollout than the whole fleet serves, so there is no steady "
                f"state to start from; assumed: {duration_text(note.given_s)} of warm-up "
                "(clock.warm_up)"
            )
        case NoteKind.WARM_UP_TOO_SHORT:
            return (
                f"a steady state needs {duration_text(note.wanted_s)} of warm-up, the automatic one "
                f"ends at {duration_text(note.given_s)}; clock.warm_up sets another"
            )


def note_lines(scenario: Scenario, candidates: Sequence[Scenario] = ()) -> list[str]:
    """Return what there is to know of a scenario, a sentence each."""
    return [note_text(note) for note in notes_of(scenario, candidates)]
