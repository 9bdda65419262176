"""Each note as a sentence."""

from __future__ import annotations

import pytest

from simulation.estimates.overload import EndlessOverload, OverloadedFleet
from simulation.study.candidates import WhyLeftOut
from simulation.study.notes import Note, NoteKind
from studio.views.sentences import note_text

BEGINNINGS = {
    NoteKind.NO_CUT_OBJECTIVE: (
        Note(NoteKind.NO_CUT_OBJECTIVE, ("ws", "poll")),
        "cut connections (ws, poll) have no limit; objectives.cut_connections sets one",
    ),
    NoteKind.CONNECTIONS_BEGIN_EMPTY: (
        Note(NoteKind.CONNECTIONS_BEGIN_EMPTY, ("ws",), arrivals="replay"),
        "long-lived connections (ws) begin empty with arrivals: replay",
    ),
    NoteKind.ENDLESS_OVERLOAD: (
        Note(
            NoteKind.ENDLESS_OVERLOAD,
            overload=EndlessOverload(OverloadedFleet.NEW, "web", 300.0, 256.0),
        ),
        "endless overload: 300 requests/s come to web and the whole fleet on the new version serves "
        "at most 256/s",
    ),
    NoteKind.OVERLOADED_BEFORE: (
        Note(NoteKind.OVERLOADED_BEFORE, given_s=600.0),
        "more arrives before the rollout than the whole fleet serves",
    ),
    NoteKind.MAY_BE_OVERLOADED_BEFORE: (
        Note(NoteKind.MAY_BE_OVERLOADED_BEFORE, given_s=600.0),
        "inputs are uncertain, and in some runs more arrives before the rollout",
    ),
    NoteKind.WARM_UP_TOO_SHORT: (
        Note(NoteKind.WARM_UP_TOO_SHORT, given_s=600.0, wanted_s=7200.0),
        "a steady state needs 2 h 00 min of warm-up, the automatic one ends at 10 min 00 s",
    ),
    NoteKind.DAYS_DRAWN: (
        Note(NoteKind.DAYS_DRAWN, weekday="tue", days_count=5, growth="20%"),
        "Tue: each run has the traffic of one of the trace's 5 whole days of this weekday, times a "
        "growth of 20%",
    ),
    NoteKind.MEAN_DAY: (
        Note(NoteKind.MEAN_DAY, weekday="sun", days_count=3, spread=0.1),
        "Sun: the trace knows 3 whole days of this weekday, fewer than 4, so each run has their mean, "
        "times a factor that lies between 0.85 and 1.18 in nine of ten runs",
    ),
    NoteKind.WINDOW_LEFT_OUT: (
        Note(NoteKind.WINDOW_LEFT_OUT, window=1, reason=WhyLeftOut.COST, expected_s=68_400.0),
        "window 1 was left out: its rollout takes about 19 h 00 min, and it costs more than all others",
    ),
}


@pytest.mark.parametrize("kind", NoteKind)
def test_a_note_as_a_sentence(kind: NoteKind) -> None:
    note, beginning = BEGINNINGS[kind]
    assert note.kind is kind
    assert note_text(note).startswith(beginning)
