"""Opening, running, looking: what a person sees is what was simulated."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtWidgets import QDoubleSpinBox, QLabel, QLineEdit, QProgressBar

from simulation.candidates import candidates_of
from simulation.compare import Comparison, compare
from simulation.scenario_file import ScenarioFile
from simulation.study import run_rows
from studio.format import (
    TABLE_HEADINGS,
    count_text,
    duration_text,
    latency_text,
    table_row,
    verdict_sentence,
)
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import Desk


def in_python(text: str, *windows: int) -> Comparison:
    """What the command line compares."""
    scenario = ScenarioFile.parse(text).scenario
    candidates = candidates_of(scenario, windows)
    return compare(scenario, candidates, list(run_rows(scenario, candidates, jobs=1)))


def test_the_scenario_is_shown_before_anything_is_simulated(desk: Desk) -> None:
    assert desk.window.windowTitle() == "shop[*] – Rollcast"
    shown = {box.accessibleName(): box.text() for box in desk.window.findChildren(QDoubleSpinBox)}
    assert shown == {
        "Window size": "2",
        "Ready for": "0.0",
        "Drain timeout": "5.0",
        "Rate": "40.0",
        "Instances": "6",
        "Slots each": "2",
        "p99 under": "2000",
        "Errors under": "1.00",
        "Within": "0.5",
    }
    assert desk.find(QLineEdit, "Compare").text() == "1, 2"
    assert desk.find(QLineEdit, "Start at").text() == "0s"
    assert desk.window.page.banner.sentence == "Nothing is simulated yet"
    assert [card.figure for card in desk.window.page.cards.values()] == ["–"] * 4
    assert desk.window.page.table.texts() == []
    assert not desk.window.plan_button.isEnabled()
    assert desk.window.plan_button.toolTip() == "Run the comparison first"
    assert not any(axes.lines for axes in desk.window.page.over_time.axes)


def test_a_run_shows_what_the_command_line_finds(desk: Desk) -> None:
    desk.run()
    comparison = in_python(SHOP, 1, 2)
    page = desk.window.page
    assert page.table.texts() == [table_row(one) for one in comparison.candidates]
    assert page.banner.sentence == f"✓  {verdict_sentence(comparison, 1)}"
    chosen = comparison.candidates[1]
    figures = {name: card.figure for name, card in page.cards.items()}
    assert figures == {
        "duration": duration_text(chosen.metrics["rollout_duration_s"].mean),
        "pool": "4 of 6",
        "p99": latency_text(chosen.metrics["rollout_latency_p99_s"].mean),
        "lost": count_text(sum(chosen.requests[name] for name in ("cut", "timed_out", "rejected"))),
    }
    assert desk.window.plan_button.isEnabled()
    assert desk.window.plan_button.text() == "Write plan for window 2"
    capacity, latency = page.over_time.axes
    assert list(capacity.lines[0].get_ydata()) == list(chosen.band("capacity_rps").median)
    assert "p99" in {text.get_text() for text in latency.texts}
    assert {"window 1", "window 2"} <= {text.get_text() for text in page.trade_off.axes[0].texts}


@pytest.mark.slow
def test_a_run_can_be_watched(desk: Desk) -> None:
    desk.document.open(ScenarioFile.parse(SHOP.replace("replications: 4", "replications: 60")))
    landed: list[int] = []
    desk.document.compared.connect(
        lambda: landed.append(len(desk.document.comparison.candidates[0].runs))
    )
    progress = desk.find(QProgressBar, "Progress of the comparison")
    seen: list[int] = []
    progress.valueChanged.connect(seen.append)

    def start() -> None:
        desk.click(desk.window.run_button)
        assert progress.isVisible()
        assert desk.window.cancel_button.isVisible()
        assert desk.window.page.banner.sentence == "Simulating the first runs…"
        assert desk.window.plan_button.toolTip() == "Run the comparison first"

    desk.run(start)
    assert seen == sorted(seen)
    assert seen[-1] == 60
    assert landed == sorted(landed)
    assert landed[-1] == 60
    assert not progress.isVisible()
    assert not desk.window.cancel_button.isVisible()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["key", "button"])
def test_a_run_can_be_cancelled_and_keeps_what_has_landed(desk: Desk, how: str) -> None:
    many = SHOP.replace("replications: 4", "replications: 100000")
    desk.document.open(ScenarioFile.parse(many))
    desk.keys(Qt.Key.Key_F5)
    desk.qtbot.waitUntil(lambda: desk.document.comparison is not None, timeout=60_000)
    if how == "key":
        desk.keys(Qt.Key.Key_Escape)
    else:
        desk.click(desk.window.cancel_button)
    assert not desk.window.jobs.is_running  # acknowledged at once
    assert not desk.window.cancel_button.isVisible()
    assert desk.document.comparison is not None
    runs = len(desk.document.comparison.candidates[0].runs)
    assert 0 < runs < 100000
    assert desk.window.page.table.texts()
    assert "meets" in desk.window.page.banner.sentence
    # The next one starts while the last is still leaving, and is not harmed by it.
    desk.document.open(ScenarioFile.parse(SHOP))
    desk.run()
    assert len(desk.document.comparison.candidates[0].runs) == 4


def test_a_failed_run_says_why(desk: Desk) -> None:
    (desk.folder / "t.csv").write_text("time,requests\n0,400\n10,400\n", encoding="utf-8")
    traced = SHOP.replace("rate: 40/s", "rate: {trace: t.csv}")
    (desk.folder / "traced.yaml").write_text(traced, encoding="utf-8")
    desk.document.open(ScenarioFile.load(desk.folder / "traced.yaml"))
    desk.run()
    assert "the simulated interval meets the end of the trace" in desk.window.said
    assert desk.window.page.banner.sentence == "Nothing is simulated yet"


@pytest.mark.parametrize("how", ["keys", "click", "point"])
def test_the_candidate_that_is_picked_is_shown_everywhere(desk: Desk, how: str) -> None:
    desk.run()
    page = desk.window.page
    assert desk.document.selection == 1
    if how == "keys":
        page.table.setFocus()
        desk.qtbot.keyClick(page.table, Qt.Key.Key_Up)
    elif how == "click":
        place = page.table.visualRect(page.table.model().index(0, 0)).center()
        desk.qtbot.mouseClick(
            page.table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place
        )
    else:
        canvas, axes = page.trade_off.canvas, page.trade_off.axes[0]
        metrics = desk.document.comparison.candidates[0].metrics
        x, y = axes.transData.transform(
            (metrics["rollout_duration_s"].mean, metrics["rollout_latency_p99_s"].mean)
        )
        ratio = canvas.device_pixel_ratio
        place = canvas.rect().bottomLeft()
        place.setX(round(x / ratio))
        place.setY(round(canvas.height() - y / ratio))
        desk.qtbot.mouseClick(
            canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place
        )
    assert desk.document.selection == 0
    assert page.table.currentIndex().data() == "1"
    assert "Window 1" in page.banner.sentence
    assert page.cards["pool"].figure == "5 of 6"
    assert desk.window.plan_button.text() == "Write plan for window 1"


def test_a_click_beside_every_point_changes_nothing(desk: Desk) -> None:
    desk.run()
    canvas = desk.window.page.trade_off.canvas
    desk.qtbot.mouseClick(
        canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, canvas.rect().topLeft()
    )
    assert desk.document.selection == 1


def test_sorting_keeps_the_candidate(desk: Desk) -> None:
    desk.run()
    table = desk.window.page.table
    header = table.horizontalHeader()
    before = table.texts()
    for _click in range(2):
        x = header.sectionPosition(TABLE_HEADINGS.index("takes")) + 8
        place = header.viewport().rect().topLeft()
        place.setX(x)
        place.setY(header.height() // 2)
        desk.qtbot.mouseClick(
            header.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place
        )
    assert table.texts() == before  # wide windows take less: longest first is as it was
    assert header.sortIndicatorSection() == TABLE_HEADINGS.index("takes")
    assert table.currentIndex().data() == "2"
    assert desk.document.selection == 1


@pytest.mark.slow
def test_a_choice_by_hand_outlives_the_rows_that_land(desk: Desk) -> None:
    many = SHOP.replace("replications: 4", "replications: 100000")
    desk.document.open(ScenarioFile.parse(many))
    desk.keys(Qt.Key.Key_F5)
    desk.qtbot.waitUntil(lambda: desk.document.comparison is not None, timeout=60_000)
    table = desk.window.page.table
    own = desk.document.selection
    other = 0 if own == 1 else 1
    flag = QItemSelectionModel.SelectionFlag.NoUpdate
    table.selectionModel().setCurrentIndex(table.model().index(other, 0), flag)
    assert desk.document.selection == other
    with desk.qtbot.waitSignal(desk.document.compared, timeout=60_000):
        pass
    assert desk.document.selection == other
    desk.keys(Qt.Key.Key_Escape)


@pytest.mark.slow
def test_closing_in_the_middle_of_a_study_leaves_nothing(desk: Desk) -> None:
    before = threading.active_count()
    many = SHOP.replace("replications: 4", "replications: 100000")
    desk.document.open(ScenarioFile.parse(many))
    desk.keys(Qt.Key.Key_F5)
    desk.qtbot.waitUntil(lambda: desk.document.comparison is not None, timeout=60_000)
    desk.window.close()
    assert not desk.window.isVisible()
    assert not desk.window.jobs.is_running
    desk.qtbot.waitUntil(lambda: threading.active_count() <= before + 1, timeout=10_000)


def test_labels_say_what_they_are(desk: Desk) -> None:
    words = {label.text() for label in desk.window.findChildren(QLabel)}
    assert {
        "Rollout",
        "Draining",
        "Traffic",
        "Fleet",
        "Objectives",
        "seed 1 · 4 runs each",
    } <= words
