"""The panel below the headline with what would meet, and the edit that one of its cards makes."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QPushButton

from simulation.scenario.file import ScenarioFile
from studio.gui.background.job import JobState
from studio.gui.document.commands import edit_values
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import Desk

pytestmark = pytest.mark.slow

LATE = (
    SHOP.replace("replications: 4", "replications: 10")
    .replace("    steps: {deploy", "    balancer: {propagation_delay: 1s}\n    steps: {deploy")
    .replace("error_fraction: 1%", "error_fraction: 0.1%")
)
"""A shop whose instances stop a second before the balancer learns of it, so that requests are refused."""


def compare_late(desk: Desk) -> None:
    desk.document.open(ScenarioFile.parse(LATE))
    desk.run()


def find_changes(desk: Desk) -> None:
    desk.click(desk.find(QPushButton, "Find changes"))
    desk.qtbot.waitUntil(lambda: bool(desk.window.alternatives.cards))


def test_where_a_candidate_meets_there_is_no_panel(desk: Desk) -> None:
    panel = desk.window.alternatives
    assert not panel.isVisible()
    desk.run()
    assert desk.document.comparison is not None
    assert not panel.isVisible()
    panel.search()
    assert all(job.title != "What would meet" for job in desk.window.jobs.jobs)


def test_a_card_makes_the_change_and_one_undo_takes_it_back(desk: Desk) -> None:
    compare_late(desk)
    panel = desk.window.alternatives
    assert panel.isVisible()
    assert panel.heading.text() == "✗  No candidate meets the objectives: what would?"
    assert panel.alternatives is None
    find_changes(desk)
    # The causes are found meanwhile; what would meet stays.
    desk.qtbot.waitUntil(lambda: all(job.state is JobState.DONE for job in desk.window.jobs.jobs))
    assert desk.document.comparison is not None
    assert desk.document.comparison.candidates[0].diagnosis is not None
    assert panel.alternatives is not None
    assert panel.heading.text() == (
        "✗  No candidate meets the objectives: each of these alone would"
    )
    lines = [line.text() for line in panel.cards[0].lines]
    assert lines[0] == "pre-stop 1.2 s"
    assert lines[1].startswith("window ")
    assert lines[2].startswith("✓ 0:")
    assert lines[2].endswith(" runs")
    assert lines[3].startswith("Cost: takes ")
    assert not panel.button.isVisible()
    offered = panel.alternatives.offered[0]
    desk.click(desk.find(QPushButton, "Use this: pre-stop 1.2 s"))
    rule = desk.document.scenario.rollout
    assert rule is not None
    assert (rule.pre_stop, rule.window) == (1.2, offered.candidate.window)
    assert not panel.isVisible()
    desk.document.undo.undo()
    rule = desk.document.scenario.rollout
    assert rule is not None
    assert (rule.pre_stop, rule.window) == (0.0, 2)
    assert panel.isVisible()
    assert panel.cards


def test_an_edit_ends_the_search(desk: Desk) -> None:
    compare_late(desk)
    panel = desk.window.alternatives
    panel.search()
    [job] = [job for job in desk.window.jobs.jobs if job.title == "What would meet"]
    assert panel.heading.text().startswith(
        "✗  No candidate meets the objectives: searching for what would, "
    )
    edit_values(desk.document, "another window", {"rollout.window": 3})
    assert job.state is JobState.CANCELLED
    assert not panel.isVisible()
    assert panel.alternatives is None


def test_with_simulations_at_once_the_search_begins_by_itself(desk: Desk) -> None:
    desk.settings.set_value("simulate_at_once", True)
    compare_late(desk)
    panel = desk.window.alternatives
    desk.qtbot.waitUntil(lambda: bool(panel.cards))
    assert len(panel.cards) <= 4
