"""Studies in the background: start, edit, cancel, failure; no process stays behind."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil
import pytest
from PySide6.QtCore import QProcess, Qt
from PySide6.QtWidgets import QProgressBar

from simulation.scenario.file import ScenarioFile
from simulation.study.running.workers import stop_workers
from studio.gui.background import jobs as tasks
from studio.views.theme import DARK
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import RUN_MS, WINDOW, Desk

pytestmark = pytest.mark.slow

CTRL = Qt.KeyboardModifier.ControlModifier
MANY = SHOP.replace("replications: 4", "replications: 100000")
LONG = (
    SHOP.replace("replications: 4", "replications: 1")
    .replace("instances: 6", "instances: 200")
    .replace("40/s", "3000/s")
)
"""A run that takes several minutes."""


def begin(desk: Desk, text: str = MANY) -> None:
    desk.document.open(ScenarioFile.parse(text))
    desk.keys(Qt.Key.Key_F5)


def wait_for_results(desk: Desk) -> None:
    desk.qtbot.waitUntil(lambda: desk.document.comparison is not None, timeout=RUN_MS)


def processes() -> set[int]:
    """Return the worker processes of studies, without other processes."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # the process has just ended
            if "LokyProcess" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


@pytest.mark.parametrize("way", ["key", "button", "close"])
def test_cancel_ends_a_long_run(desk: Desk, way: str) -> None:
    begin(desk, LONG)
    desk.qtbot.waitUntil(lambda: len(processes()) > 0, timeout=RUN_MS)
    began_s = time.monotonic()
    if way == "key":
        desk.keys(Qt.Key.Key_Escape)
    elif way == "button":
        desk.click(desk.window.bottom_bar.cancel_button)
    else:
        desk.window.close()
    assert time.monotonic() - began_s < 20  # the window does not wait for the run
    assert not desk.window.jobs.is_running
    # On a slow machine the first look at one candidate may be shown before.
    comparison = desk.document.comparison
    assert comparison is None or len(comparison.candidates) == 1
    desk.qtbot.waitUntil(lambda: not processes(), timeout=10_000)


def test_closing_leaves_no_process(desk: Desk) -> None:
    begin(desk)
    desk.qtbot.waitUntil(lambda: bool(processes()), timeout=RUN_MS)
    desk.window.close()
    assert not processes()


def test_nothing_but_a_study_under_way_shows_progress(desk: Desk) -> None:
    progress = desk.find(QProgressBar, "Progress of the comparison")
    assert not progress.isVisible()
    assert not desk.action("run.cancel").isEnabled()
    begin(desk)
    assert progress.isVisible()
    assert desk.action("run.cancel").isEnabled()
    desk.qtbot.waitUntil(lambda: progress.value() > 0, timeout=RUN_MS)
    assert progress.maximum() == 100000
    desk.keys(Qt.Key.Key_Escape)
    assert not progress.isVisible()
    assert not desk.action("run.cancel").isEnabled()


def test_results_of_an_edited_scenario_are_stale(desk: Desk) -> None:
    begin(desk)
    wait_for_results(desk)
    assert desk.window.top_bar.plan_button.toolTip() == "Wait until the comparison is done"
    desk.type_number("Drain timeout", "7")
    assert desk.window.headline.banner.sentence.startswith("≈  Window 2 ")
    with desk.qtbot.waitSignal(desk.document.compared, timeout=RUN_MS):
        pass
    assert desk.document.is_stale
    assert desk.window.headline.banner.sentence.startswith("≈  Window 2 ")
    desk.keys(Qt.Key.Key_Z, CTRL)
    assert not desk.document.is_stale
    desk.keys(Qt.Key.Key_Escape)


def test_a_new_comparison_replaces_the_running_one(desk: Desk) -> None:
    begin(desk)
    wait_for_results(desk)
    desk.type_number("Window size", "3")
    ended: list[None] = []
    desk.window.jobs.ended.connect(lambda: ended.append(None))
    desk.keys(Qt.Key.Key_F5)
    assert len(ended) == 1  # the previous comparison
    assert desk.window.jobs.is_running
    desk.qtbot.waitUntil(lambda: not desk.document.is_stale, timeout=RUN_MS)
    table = (
        desk.window.runs.table
    )  # the first look at the scenario's own window comes before the others
    desk.qtbot.waitUntil(lambda: len(table.texts()) == 3, timeout=RUN_MS)
    assert [row[WINDOW] for row in table.texts()] == ["1", "2", "3"]
    desk.keys(Qt.Key.Key_Escape)
    assert len(ended) == 2


def test_many_starts_and_cancels_in_a_row_end_well(desk: Desk) -> None:
    desk.document.open(ScenarioFile.parse(MANY))
    for _round in range(6):
        desk.keys(Qt.Key.Key_F5)
        desk.keys(Qt.Key.Key_Escape)
    desk.document.open(ScenarioFile.parse(SHOP))
    desk.run()
    comparison = desk.document.comparison
    assert comparison is not None
    assert len(comparison.candidates[0].runs) == 4


def test_the_theme_can_be_changed_while_it_runs(desk: Desk) -> None:
    begin(desk)
    wait_for_results(desk)
    desk.keys(Qt.Key.Key_T, CTRL)
    with desk.qtbot.waitSignal(desk.document.compared, timeout=RUN_MS):
        pass
    assert DARK.page == desk.window.palette().window().color().name().upper()
    desk.keys(Qt.Key.Key_Escape)


def test_processes_that_die_are_replaced(desk: Desk) -> None:
    begin(desk)
    wait_for_results(desk)
    killed = processes()
    for pid in killed:
        psutil.Process(pid).kill()
    with desk.qtbot.waitSignal(desk.document.compared, timeout=RUN_MS):
        pass
    desk.qtbot.waitUntil(lambda: bool(processes() - killed), timeout=RUN_MS)
    assert desk.window.status_text == ""
    assert desk.window.jobs.is_running
    desk.keys(Qt.Key.Key_Escape)
    desk.document.open(ScenarioFile.parse(SHOP))
    desk.run()
    assert desk.window.runs.table.texts()


def test_a_defect_in_a_study_is_reported(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("simulation.study.compare.compare", fails)
    desk.run()
    assert desk.window.status_text == "✗ Compare shop broke off: ZeroDivisionError: a defect"
    monkeypatch.undo()
    desk.run()
    assert desk.window.status_text == ""  # the error message is gone
    assert desk.window.runs.table.texts()


def test_a_start_beyond_the_trace_is_reported(desk: Desk) -> None:
    (desk.folder / "t.csv").write_text("time,rate\n0,40\n600,40\n", encoding="utf-8")
    traced = SHOP.replace("40/s", "{trace: t.csv}")
    desk.document.open(ScenarioFile.parse(traced, desk.path))
    desk.type_text("Start at", "30m")
    desk.keys(Qt.Key.Key_F5)
    desk.qtbot.waitUntil(lambda: not desk.window.jobs.is_running, timeout=RUN_MS)
    assert desk.window.status_text.startswith("✗ ")
    assert "trace" in desk.window.status_text
    assert desk.document.comparison is None


@pytest.fixture(autouse=True)
def end_the_processes() -> None:
    """Begin each test without worker processes, so that those found belong to the test."""
    stop_workers()


def test_the_fast_engine_is_compiled_beside_the_study(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "is_ready", lambda: False)
    begin(desk)
    compiling = desk.window.jobs._compiling
    assert compiling.arguments() == [
        "-m",
        "simulation.engines.compiled.prepare",
    ]  # the compilation may have ended already
    wait_for_results(desk)
    desk.qtbot.waitUntil(
        lambda: compiling.state() == QProcess.ProcessState.NotRunning, timeout=RUN_MS
    )
    assert compiling.exitCode() == 0  # another process had compiled the engine


def test_after_a_comparison_the_headline_says_why_a_candidate_fails(desk: Desk) -> None:
    failing = SHOP.replace("duration: 30s", "lowest_in_pool: 5").replace("40%", "60%")
    desk.document.open(ScenarioFile.parse(failing))
    desk.keys(Qt.Key.Key_F5)

    def is_explained() -> bool:
        run = desk.document.current_run
        return run is not None and run.result.diagnosis is not None

    wait_for_results(desk)
    desk.qtbot.waitUntil(lambda: not desk.window.jobs.is_running, timeout=RUN_MS)
    comparison = desk.document.comparison
    assert comparison is not None
    windows = [result.candidate.window for result in comparison.candidates]
    desk.document.select(windows.index(2))
    desk.qtbot.waitUntil(is_explained, timeout=RUN_MS)
    note = desk.window.headline.banner.note
    assert "a window of 2 of 6 instances takes too much out of the pool" in note
    assert "`rollout.window: 1` would avoid this" in note
