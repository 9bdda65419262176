"""Colours and type as data, for windows, charts and reports alike.

A screen and an exported picture look the same because both take their colours from one `Theme`.
"""

from __future__ import annotations

from dataclasses import dataclass

FONT_FAMILIES = ("Inter", "DejaVu Sans")
"""Font families in order of preference; matplotlib brings the second one."""

BASE_PX = 12.5
SMALL_PX = 11.0
FIGURE_PX = 19.0
GAP_PX = 10
RADIUS_PX = 9


@dataclass(frozen=True)
class Theme:
    """One set of colours, as ``#RRGGBB``.

    Attributes:
        page: Behind everything.
        card: Surfaces that hold something.
        line: Outlines of cards, and grids.
        field: Ground of input fields.
        text: Main text.
        soft: Secondary text.
        accent: Controls and the selection; traffic and latency in charts.
        on_accent: Text on the accent.
        new_version: Capacity, and instances of the new version.
        old_version: Instances of the old version.
        draining: Undecided verdicts, and instances that drain.
        so_far: Progress of a cell whose verdict is not decided yet.
        out: Instances that are stopped, deployed or verified.
        starting: Verdicts that miss anyway, and instances that start or return.
        failed: Limits, failures.
        meets_ground: Ground of a verdict that meets.
        meets_text: Text of a verdict that meets.
        fails_ground: Ground of a verdict that fails.
        fails_text: Text of a verdict that fails.
        undecided_ground: Ground of an undecided verdict.
        undecided_text: Text of an undecided verdict.
        missed: Marks of verdicts that the fleet misses anyway, without a rollout too.
        missed_ground: Ground of such a verdict.
        missed_text: Text of such a verdict.
    """

    name: str
    page: str
    card: str
    line: str
    field: str
    text: str
    soft: str
    accent: str
    on_accent: str
    new_version: str
    old_version: str
    draining: str
    so_far: str
    out: str
    starting: str
    failed: str
    meets_ground: str
    meets_text: str
    fails_ground: str
    fails_text: str
    undecided_ground: str
    undecided_text: str
    missed: str
    missed_ground: str
    missed_text: str

    def answer_colours(self, answer: str) -> tuple[str, str]:
        """Return the colours of a verdict's banner: ground and text."""
        return {
            "meets": (self.meets_ground, self.meets_text),
            "fails": (self.fails_ground, self.fails_text),
            "misses_anyway": (self.missed_ground, self.missed_text),
        }.get(answer, (self.undecided_ground, self.undecided_text))

    def answer_mark(self, answer: str) -> str:
        """Return the colour of a verdict's mark in charts and tables."""
        marks = {
            "meets": self.new_version,
            "fails": self.failed,
            "misses_anyway": self.missed,
        }
        return marks.get(answer, self.draining)


LIGHT = Theme(
    name="light",
    page="#F5F6F8",
    card="#FFFFFF",
    line="#DFE3E8",
    field="#F2F4F7",
    text="#1B2430",
    soft="#5A6675",
    accent="#0B6BCB",
    on_accent="#FFFFFF",
    new_version="#0B8A6A",
    old_version="#8DA2B8",
    draining="#E69F00",
    so_far="#C8CFD8",
    out="#C9CFD6",
    starting="#56B4E9",
    failed="#D55E00",
    meets_ground="#E4F4EE",
    meets_text="#0A6B52",
    fails_ground="#FBE9E0",
    fails_text="#A3420A",
    undecided_ground="#FBF1DA",
    undecided_text="#7A5200",
    missed="#7A63C7",
    missed_ground="#EEEAF7",
    missed_text="#55409A",
)

DARK = Theme(
    name="dark",
    page="#14181D",
    card="#1C2128",
    line="#323A45",
    field="#252C35",
    text="#E6EAF0",
    soft="#A0ABB8",
    accent="#5AA9F5",
    on_accent="#0E1621",
    new_version="#2FB58F",
    old_version="#5F7388",
    draining="#F0B429",
    so_far="#46505C",
    out="#3A424D",
    starting="#56B4E9",
    failed="#F0783C",
    meets_ground="#12352B",
    meets_text="#6FDDB9",
    fails_ground="#402312",
    fails_text="#FFB48A",
    undecided_ground="#3A2E10",
    undecided_text="#F5CF72",
    missed="#9D8AF0",
    missed_ground="#2A2540",
    missed_text="#C3B5F5",
)

THEMES = {theme.name: theme for theme in (LIGHT, DARK)}
