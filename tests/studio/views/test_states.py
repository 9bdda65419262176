"""How states are shown: every one by a glyph and a word too, and what stands on a colour is read."""

from __future__ import annotations

import itertools

import pytest

from simulation.results.states import State
from studio.views.states import LEGEND, READABLE, contrast, ink_of, look_of, readable, version_text
from studio.views.theme import THEMES, Theme


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("is_new", [False, True])
def test_what_stands_on_a_tile_can_be_read(theme: Theme, state: State, is_new: bool) -> None:
    ground, ink = readable(getattr(theme, look_of(state, is_new).token))
    assert contrast(ground, ink) >= READABLE


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
@pytest.mark.parametrize("token", ["accent", "soft", "new_version", "draining", "failed", "text"])
def test_what_is_written_beside_a_line_can_be_read(theme: Theme, token: str) -> None:
    assert contrast(ink_of(token, theme), theme.card) >= READABLE


def test_a_colour_that_text_can_stand_on_is_left_as_it_is() -> None:
    assert readable("#000000") == ("#000000", "#FFFFFF")
    assert readable("#E69F00") == ("#E69F00", "#0E1621")


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_a_ground_is_near_its_token(theme: Theme) -> None:
    for token, _glyph, _words in LEGEND:
        colour = getattr(theme, token)
        assert contrast(readable(colour)[0], colour) < 1.25, token


def test_no_two_looks_are_told_by_colour_alone() -> None:
    looks = {look_of(state, is_new) for state, is_new in itertools.product(State, (False, True))}
    assert len({look.glyph for look in looks}) == len(looks)
    assert len({look.word for look in looks}) == len(looks)


def test_the_legend_tells_every_colour() -> None:
    told = {token for token, _glyph, _words in LEGEND}
    shown = {look_of(state, is_new).token for state in State for is_new in (False, True)}
    assert shown - told == {"card"}  # what is absent has none


@pytest.mark.parametrize(
    ("state", "is_new", "version"),
    [
        (State.SERVING, False, "old"),
        (State.STOPPING, False, "old"),
        (State.DEPLOYING, False, "–"),
        (State.VERIFYING, False, "–"),
        (State.STARTING, True, "new"),
        (State.SERVING, True, "new"),
        (State.ABSENT, True, "–"),
    ],
)
def test_an_instance_has_a_version_only_while_it_runs_one(
    state: State, is_new: bool, version: str
) -> None:
    assert version_text(state, is_new) == version
