"""Comparing windows: the window shows the simulated results."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QProgressBar

from simulation.scenario.file import ScenarioFile
from simulation.study.candidate_result import CandidateResult
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.gui.docks.runs_dock import HEADINGS
from studio.views.figures_text import (
    ANSWER_GLYPHS,
    clock_text,
    count_text,
    drain_text,
    duration_text,
    latency_text,
    percent_text,
    verdict_sentence,
    verdict_text,
)
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import WINDOW, Desk


def in_python(text: str, *windows: int) -> Comparison:
    """Return the comparison of the command line."""
    scenario = ScenarioFile.parse(text).scenario
    cases = cases_of(scenario, windows)
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))


def words_of(desk: Desk) -> list[QComboBox]:
    return desk.window.panel.findChildren(QComboBox)


def test_the_scenario_is_shown_before_anything_is_simulated(desk: Desk) -> None:
    assert desk.window.windowTitle() == "shop[*] – Rollcast"
    shown = {box.accessibleName(): box.text() for box in desk.window.findChildren(QDoubleSpinBox)}
    assert shown == {
        "Window size": "2",
        "Pause": "0.0",
        "Ready for": "0.0",
        "Drain timeout": "5.0",
        "Rate": "40.0",
        "Instances": "6",
        "Slots each": "2",
        "p99 under": "2000",
        "Errors under": "1.00",
        "Within": "0.5",
        "Learns after": "0.0",
        "Slow start": "0.0",
    }
    chosen = {box.accessibleName(): box.currentText() for box in words_of(desk)}
    assert chosen == {"Advance": "sliding", "Then": "cut", "Policy": "round robin"}
    assert desk.find(QLineEdit, "Compare").text() == "1, 2"
    assert desk.find(QLineEdit, "Start at").text() == "0s"
    assert desk.window.headline.banner.sentence == "≈  Window 2 should meet every objective"
    assert desk.window.headline.banner.note == "by closed forms · F5 simulates"
    figures = {name: card.figure for name, card in desk.window.headline.cards.items()}
    assert figures.pop("pool") == "4 of 6"
    assert all(figure.startswith("≈ ") for figure in figures.values()), figures
    assert desk.window.runs.table.texts() == []
    assert desk.window.top_bar.plan_button.text() == "Plan"
    assert desk.window.top_bar.plan_button.toolTip() == "Simulate first (F5)"
    assert not desk.action("run.plan").isEnabled()


@pytest.mark.slow
def test_a_start_that_is_not_steady_is_said_whatever_the_answer(desk: Desk) -> None:
    falling = "rate: {steps: [[0s, 130/s], [40s, 20/s]]}"  # six slots serve 120/s
    text = SHOP.replace("slots: 2", "slots: 1").replace("rate: 40/s", falling)
    desk.document.open(ScenarioFile.parse(f"{text}clock: {{start: 30s}}\n"))
    desk.run()
    note = desk.window.headline.banner.note
    assert note.startswith(
        "these runs neither show nor refute that it meets · ! more arrives before the rollout than"
    )


def test_the_runs_have_the_figures_of_the_command_line(desk: Desk) -> None:
    desk.run()
    comparison = in_python(SHOP, 1, 2)
    headline = desk.window.headline
    assert desk.window.runs.table.texts() == [
        run_row(candidate, f"Window {candidate.candidate.window}", seed=1)
        for candidate in comparison.candidates
    ]
    assert headline.banner.sentence == f"✓  {verdict_sentence(comparison, 1)}"
    assert headline.banner.note == "fastest that meets the objectives"
    chosen = comparison.candidates[1]
    figures = {name: card.figure for name, card in headline.cards.items()}
    assert figures == {
        "duration": duration_text(chosen.metrics["rollout_duration_s"].mean),
        "pool": "4 of 6",
        "p99": latency_text(chosen.metrics["rollout_latency_p99_s"].mean),
        "lost": percent_text(chosen.metrics["rollout_error_fraction"].mean),
    }
    assert desk.window.top_bar.plan_button.text() == "Plan window 2"
    assert desk.window.top_bar.plan_button.toolTip() == "See window 2 as a plan for the executor"
    assert desk.action("run.plan").isEnabled()


def run_row(result: CandidateResult, name: str, seed: int) -> tuple[str, ...]:
    """Return the row of a candidate in the list of runs."""
    mean = {metric: figure.mean for metric, figure in result.metrics.items()}
    return (
        ANSWER_GLYPHS[result.verdict.answer],
        name,
        str(result.candidate.window),
        drain_text(result.candidate.drain_timeout_s),
        clock_text(mean["rollout_duration_s"]),
        count_text(mean["lowest_in_pool_count"]),
        latency_text(mean["rollout_latency_p99_s"]),
        count_text(mean["failed_requests"]),
        str(seed),
        verdict_text(result),
    )


@pytest.mark.slow
def test_a_run_can_be_watched(desk: Desk) -> None:
    desk.document.open(ScenarioFile.parse(SHOP.replace("replications: 4", "replications: 60")))
    landed: list[int] = []

    def keep_count() -> None:
        comparison = desk.document.comparison
        assert comparison is not None
        landed.append(len(comparison.candidates[0].runs))

    desk.document.compared.connect(keep_count)
    progress = desk.find(QProgressBar, "Progress of the comparison")
    seen: list[int] = []
    progress.valueChanged.connect(seen.append)

    def start() -> None:
        desk.keys(Qt.Key.Key_F5)
        assert progress.isVisible()
        assert desk.window.bottom_bar.cancel_button.isVisible()
        assert desk.window.headline.banner.sentence == "≈  Window 2 should meet every objective"
        assert desk.window.headline.banner.note == "by closed forms · simulating…"
        assert desk.window.top_bar.plan_button.toolTip() == "Simulate first (F5)"

    desk.run(start)
    confirming = seen.index(60) + 1  # the runs that confirm the best are counted anew
    assert seen[:confirming] == sorted(seen[:confirming])
    assert seen[confirming:] == sorted(seen[confirming:])
    assert desk.document.comparison is not None
    confirmed = desk.document.comparison.confirmed
    assert confirmed is not None
    assert seen[-1] == confirmed.result.verdict.runs
    assert landed == sorted(landed)
    assert landed[-1] == 60
    assert not progress.isVisible()
    assert not desk.window.bottom_bar.cancel_button.isVisible()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["key", "button"])
def test_a_cancelled_comparison_keeps_its_results(desk: Desk, how: str) -> None:
    many = SHOP.replace("replications: 4", "replications: 100000")
    desk.document.open(ScenarioFile.parse(many))
    desk.keys(Qt.Key.Key_F5)
    desk.qtbot.waitUntil(lambda: desk.document.comparison is not None, timeout=60_000)
    if how == "key":
        desk.keys(Qt.Key.Key_Escape)
    else:
        desk.click(desk.window.bottom_bar.cancel_button)
    assert not desk.window.jobs.is_running  # acknowledged at once
    assert not desk.window.bottom_bar.cancel_button.isVisible()
    assert desk.document.comparison is not None
    runs = len(desk.document.comparison.candidates[0].runs)
    assert 0 < runs < 100000
    assert desk.window.runs.table.texts()
    assert "meets" in desk.window.headline.banner.sentence
    # The next comparison starts while the cancelled one still ends, and is not affected.
    desk.document.open(ScenarioFile.parse(SHOP))
    desk.run()
    assert len(desk.document.comparison.candidates[0].runs) == 4


def test_a_failed_run_says_why(desk: Desk) -> None:
    (desk.folder / "t.csv").write_text("time,requests\n0,400\n10,400\n", encoding="utf-8")
    traced = SHOP.replace("rate: 40/s", "rate: {trace: t.csv}")
    (desk.folder / "traced.yaml").write_text(traced, encoding="utf-8")
    desk.document.open(ScenarioFile.load(desk.folder / "traced.yaml"))
    desk.run()
    assert "the simulated interval meets the end of the trace" in desk.window.status_text
    # The first look at the scenario's own window may have ended in time.
    assert len(desk.window.runs.table.texts()) <= 1


@pytest.mark.parametrize("how", ["keys", "click"])
def test_every_page_shows_the_selected_run(desk: Desk, how: str) -> None:
    desk.run()
    table, headline = desk.window.runs.table, desk.window.headline
    assert desk.document.selection == 1
    if how == "keys":
        table.setFocus()
        desk.qtbot.keyClick(table, Qt.Key.Key_Up)
    else:
        place = table.visualRect(table.model().index(0, HEADINGS.index("p99"))).center()
        desk.qtbot.mouseClick(
            table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place
        )
    assert desk.document.selection == 0
    assert table.currentIndex().siblingAtColumn(WINDOW).data() == "1"
    assert "Window 1" in headline.banner.sentence
    assert headline.cards["pool"].figure == "5 of 6"
    assert desk.window.top_bar.plan_button.text() == "Plan window 1"


@pytest.mark.slow
def test_a_choice_by_hand_outlives_the_rows_that_land(desk: Desk) -> None:
    many = SHOP.replace("replications: 4", "replications: 100000")
    desk.document.open(ScenarioFile.parse(many))
    desk.keys(Qt.Key.Key_F5)
    table = desk.window.runs.table
    # After the first look at the scenario's own window.
    desk.qtbot.waitUntil(lambda: len(table.texts()) == 2, timeout=60_000)
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


def test_labels_have_accessible_names(desk: Desk) -> None:
    words = {label.text() for label in desk.window.findChildren(QLabel)}
    assert {
        "Rollout",
        "Draining",
        "Traffic",
        "Fleet",
        "Objectives",
        "seed 1 · 4 runs each",
    } <= words
