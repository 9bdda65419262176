"""Two hundred comparisons in one window use no more memory than the first few."""

from __future__ import annotations

import gc

import psutil
import pytest

from studio.gui.document.commands import edit_values
from tests.studio.gui.conftest import Desk

pytestmark = pytest.mark.slow

RUNS, SETTLED = 200, 60
MOST_GROWTH_BYTES = 24_000_000
"""Tolerance for memory that allocators retain; 140 leaked runs would be several times as much."""


def resident_bytes() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def test_two_hundred_runs_leave_no_more_than_the_first_ones(desk: Desk) -> None:
    for page in ("replay", "compare", "trade_off", "timing", "plan", "execute"):
        desk.window.show_page(page)
    desk.window.show_page("replay")
    before = 0
    for number in range(RUNS):
        edit_values(desk.document, "window size", {"rollout.window": 1 + number % 3}, slides=True)
        desk.run(desk.window.jobs.start)
        if number + 1 == SETTLED:
            before = resident_bytes()
    grown = resident_bytes() - before
    assert len(desk.document.runs) <= 4
    assert len(desk.window.jobs.jobs) <= 31
    assert desk.window.jobs.threads() == ()
    assert grown < MOST_GROWTH_BYTES
