"""The look: colours and type as data, for windows, charts and reports alike.

Nothing here knows Qt or matplotlib; whoever draws asks for a `Theme` and uses its names, so that a
screen and an exported picture look like one hand.
"""

from __future__ import annotations

from dataclasses import dataclass

FONT_FAMILIES = ("Inter", "DejaVu Sans")
"""In order of preference; the second is there wherever matplotlib is."""

BASE_PX = 12.5
SMALL_PX = 11.0
FIGURE_PX = 19.0
GRID_PX = 4
GAP_PX = 10
RADIUS_PX = 9


@dataclass(frozen=True)
class Theme:
    """One set of colours, as ``#RRGGBB``.

    Attributes:
        page: Behind everything.
        card: Surfaces that hold something.
        line: Their outlines, and grids.
        field: What can be typed into.
        text: What is read first.
        soft: What is read second.
        accent: What can be moved, pressed or is selected; traffic and latency in charts.
        on_accent: Text on the accent.
        new_version: Capacity, and instances of the new version.
        old_version: Instances of the old version.
        draining: Undecided, and instances that drain.
        so_far: How far something is that is not decided yet.
        out: Instances that are stopped, deployed or verified.
        starting: Instances that start or return.
        failed: Limits, failures.
        meets_ground: Behind a verdict that is good.
        meets_text: The verdict itself.
        fails_ground: Behind one that is not.
        fails_text: The verdict itself.
        undecided_ground: Behind one that is open.
        undecided_text: The verdict itself.
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

    def answer_colours(self, answer: str) -> tuple[str, str]:
        """Ground and text of a verdict's banner."""
        return {
            "meets": (self.meets_ground, self.meets_text),
            "fails": (self.fails_ground, self.fails_text),
        }.get(answer, (self.undecided_ground, self.undecided_text))

    def answer_mark(self, answer: str) -> str:
        """The colour of a verdict's mark in charts and tables."""
        return {"meets": self.new_version, "fails": self.failed}.get(answer, self.draining)


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
)

THEMES = {theme.name: theme for theme in (LIGHT, DARK)}
